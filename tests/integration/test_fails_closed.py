"""Every filter fails closed: with one part stopped, mail waits with its sender (4xx), and goes through again once it is back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.integration.mail import Answer, arrive, submit, until_accepted, wait_for
from tests.integration.running import Appliance

#: service → (a stranger's mail on 25, a user's on 587): accepted although it is down, or later
MATRIX = {
    "clamd": ("later", "later"),
    "clamav-milter": ("later", "later"),
    "opendkim-rsa": ("accepted", "later"),  # what comes in has no signer
    "opendkim-ed25519": ("accepted", "later"),
    "policy": ("accepted", "later"),
    "policy-recipients": ("later", "later"),
    "dovecot": ("later", "later"),
    "resolver": ("accepted", "accepted"),  # local mail still flows
}


@contextmanager
def stopped(where: Appliance, service: str) -> Iterator[None]:
    """A service that is down for a while."""
    container = where.client.containers.get(f"{where.name}-{service}")
    container.stop(timeout=10)
    try:
        yield
    finally:
        container.start()


def ident(service: str) -> str:
    return f"{service}-{secrets.token_hex(4)}@tests"


@pytest.mark.parametrize("service", MATRIX)
def test_with_one_part_down_mail_waits_and_then_arrives(appliance_up: Appliance, service: str) -> None:
    def sender(send: Callable[..., Answer], name: str) -> Callable[[], Answer]:
        return lambda: send(appliance_up, name)

    inbound, outbound = ident(service), ident(service)
    # a warm start: whatever the last test stopped answers again
    assert until_accepted(lambda: arrive(appliance_up, ident("warm"))).accepted
    assert until_accepted(lambda: submit(appliance_up, ident("warm"))).accepted
    with stopped(appliance_up, service):
        answers = {"25": arrive(appliance_up, inbound), "587": submit(appliance_up, outbound)}
        for (listener, answer), expected in zip(answers.items(), MATRIX[service], strict=True):
            assert getattr(answer, expected), f"{listener}: {answer}"
            assert answer.seconds < 60, f"{listener}: {answer}"
    # and once it is back
    for answer, send, name in ((answers["25"], arrive, inbound), (answers["587"], submit, outbound)):
        if not answer.accepted:
            assert until_accepted(sender(send, name)).accepted
    assert inbound in wait_for(appliance_up, {inbound})
    assert outbound in wait_for(appliance_up, {outbound}, "bob@example.org")


def test_with_the_resolver_down_outside_recipients_wait(appliance_up: Appliance) -> None:
    with stopped(appliance_up, "resolver"):
        answer = submit(appliance_up, ident("outside"), to="someone@elsewhere.example")
        assert answer.later, answer
    assert until_accepted(lambda: submit(appliance_up, ident("back"))).accepted
