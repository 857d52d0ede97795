"""What Postfix writes itself, and what it hands back to itself: bounces are signed, mail that is put in again stays as it is."""

from __future__ import annotations

import secrets

import pytest

from tests.integration.mail import (
    STRANGER,
    arrive_as,
    header,
    message,
    read,
    submit_as,
    until_accepted,
    valid_signatures,
    wait_for,
)
from tests.integration.next_hop import refusing
from tests.integration.running import Appliance
from tests.integration.sabotage import Edit

JURGEN = "jürgen@bücher.example"
#: bounces come from the first hosted domain
SIGNED = ["example.org ed25519-sha256", "example.org rsa-sha256"]


@pytest.mark.parametrize(
    ("login", "sender"),
    [("alice@example.org", "alice@example.org"), ("jürgen@xn--bcher-kva.example", JURGEN)],
    ids=["plain", "international"],
)
def test_a_bounce_is_signed(appliance_up: Appliance, login: str, sender: str) -> None:
    """A message that was accepted and is refused by the next hop comes back to its sender with both signatures valid."""
    ident = f"{secrets.token_hex(8)}@tests"
    with refusing(appliance_up):
        data = message(ident, sender, "x@refuses.example")
        assert until_accepted(lambda: submit_as(appliance_up, data, "x@refuses.example", login, sender)).accepted
        bounce = read(appliance_up, f'FROM "MAILER-DAEMON@example.org" TEXT "{ident}"', login)
    assert b"554 5.7.1 not wanted here" in bounce
    assert header(bounce).startswith(b"Return-Path: <>\r\n")
    assert valid_signatures(appliance_up, bounce) == SIGNED
    with pytest.raises(AssertionError, match=r"does not match|body hash"):
        valid_signatures(appliance_up, bounce.replace(b"not wanted here", b"welcome here"))


def test_mail_that_is_put_in_again_is_neither_signed_nor_completed(appliance_up: Appliance) -> None:
    """`postsuper -r` (an operator's) changes nothing of a stranger's mail, which claims to be ours."""
    ident = f"{secrets.token_hex(8)}@tests"
    sent = f"From: alice@example.org\r\nTo: bob\r\nMessage-ID: <{ident}>\r\nSubject: put in again\r\n\r\nx\r\n".encode()
    to = "bob@example.org"
    with Edit("postfix", "live/recipient_access", (f"$a {to} HOLD",), table=True).on(appliance_up):
        assert until_accepted(lambda: arrive_as(appliance_up, sent, to, STRANGER)).accepted
    appliance_up.exec("postfix", "postsuper", "-r", "ALL")
    appliance_up.exec("postfix", "postqueue", "-f")
    assert wait_for(appliance_up, {ident}, to).get(ident) == 1
    found = read(appliance_up, f'HEADER Message-ID "{ident}"', to)
    assert found.endswith(sent)
    assert b"DKIM-Signature" not in found
