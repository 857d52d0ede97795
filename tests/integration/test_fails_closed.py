"""Every filter fails closed: with one part stopped, mail waits with its sender (4xx), and goes through again once it is back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.integration.mail import (
    Answer,
    arrive,
    arrive_as,
    mailbox,
    message,
    read,
    submit,
    until_accepted,
    valid_signatures,
    wait_for,
)
from tests.integration.running import Appliance
from tests.integration.sieve import active, deliver

ALICE, BOB, INFO = "alice@example.org", "bob@example.org", "info@xn--bcher-kva.example"

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


def written(where: Appliance, name: str) -> None:
    """alice's mail to info, on port 25: a stranger's name would be looked up for the reply."""
    assert until_accepted(lambda: arrive_as(where, message(name, ALICE, INFO), INFO, ALICE)).accepted


def until_deferred(where: Appliance, why: str, seconds: float = 30) -> None:
    """Until a mail waits in the queue for this reason."""
    deadline = time.monotonic() + seconds
    while why not in (queue := where.exec("postfix", "postqueue", "-p")):
        assert time.monotonic() < deadline, queue
        time.sleep(0.2)


@pytest.mark.parametrize("service", ["policy", "opendkim-rsa", "opendkim-ed25519"])
def test_what_sieve_hands_back_waits_for_the_filters(appliance_up: Appliance, service: str) -> None:
    """A redirect stays in the queue and arrives once. A vacation reply is not sent unsigned: the mail itself is stored, and the
    sender's next mail is answered, because the reply that failed does not count as given."""
    handle, redirected, first, second = secrets.token_hex(6), ident(service), ident(service), ident(service)
    vacation = f'require "vacation"; vacation :handle "{handle}" "away {handle}";'
    with active(appliance_up, f'redirect "{ALICE}";', BOB), active(appliance_up, vacation, INFO):
        with stopped(appliance_up, service):
            assert until_accepted(lambda: arrive(appliance_up, redirected, BOB)).accepted
            written(appliance_up, first)
            assert first in wait_for(appliance_up, {first}, INFO)
            until_deferred(appliance_up, f"<{BOB}> Execution of Sieve filters was aborted due to temporary failure")
            assert redirected not in mailbox(appliance_up)
        appliance_up.wait(service)
        assert wait_for(appliance_up, {redirected}).get(redirected) == 1
        assert redirected not in mailbox(appliance_up, BOB)
        written(appliance_up, second)
        reply = read(appliance_up, f'FROM "{INFO}" BODY "{handle}"')
    assert f"<{second}>".encode() in reply
    domain = INFO.partition("@")[2]
    assert valid_signatures(appliance_up, reply) == [f"{domain} ed25519-sha256", f"{domain} rsa-sha256"]


@pytest.mark.slow
def test_what_sieve_hands_back_waits_for_postfix(appliance_up: Appliance) -> None:
    """Dovecot does not take a mail that it cannot hand on; whoever delivers it has it still, and it arrives at the next try."""
    redirected = ident("postfix")
    with active(appliance_up, f'redirect "{ALICE}";', BOB):
        with stopped(appliance_up, "postfix"):
            assert deliver(appliance_up, redirected, BOB).startswith("451 4.2.0")
        appliance_up.wait("postfix")
        assert deliver(appliance_up, redirected, BOB).startswith("250 2.0.0")
    assert wait_for(appliance_up, {redirected}).get(redirected) == 1
