"""Mailboxes that leave the spec: who is told what of them."""

from __future__ import annotations

import pytest

from appliance.cli.farewell import farewell, left
from appliance.spec.model import Spec

GONE_SPEC = Spec.model_validate(
    {
        "version": 1,
        "name": "t",
        "hostname": "mail.example.org",
        "postmaster": "alice@example.org",
        "domains": {"example.org": {}, "xn--bcher-kva.example": {"catch_all": "alice@example.org"}},
        "mailboxes": {"alice@example.org": {}, "off@example.org": {"enabled": False}},
        "aliases": {"now@xn--bcher-kva.example": {"to": ["alice@example.org"]}},
    }
)


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ((), []),
        (("off@example.org",), []),  # it is in the spec
        (("bob@elsewhere.example",), []),  # its domain went with it
        (("bob@example.org",), ["the mail of bob@example.org stays in the store for 30 days, then `appliance tend` removes it"]),
        # the U-label spelling is the same mailbox, and what is an alias now is refused to nobody
        (
            ("bob@xn--bcher-kva.example", "bob@bücher.example", "now@xn--bcher-kva.example"),
            [
                "the mail of bob@xn--bcher-kva.example, now@xn--bcher-kva.example stays in the store for 30 days, then"
                " `appliance tend` removes it",
                "mail to bob@xn--bcher-kva.example is refused, and not caught by the catch-all: an alias of that name gives it to"
                " somebody",
            ],
        ),
    ],
)
def test_the_farewell_of_mailboxes(gone: tuple[str, ...], words: list[str]) -> None:
    assert list(farewell(left(frozenset(gone), GONE_SPEC), GONE_SPEC)) == words
