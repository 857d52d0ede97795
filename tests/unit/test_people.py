"""Who exists and who may send as whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.keys.view import KeyView
from appliance.people import People, people
from appliance.spec.model import Spec

KEYS = KeyView(tokens={"probe": "abc123abc123abc1"})


def make(keys: KeyView = KEYS, **changes: Any) -> People:
    base: dict[str, Any] = {
        "version": 1,
        "name": "t",
        "hostname": "mail.example.org",
        "postmaster": "alice@example.org",
        "domains": {"example.org": {}, "bücher.example": {"catch_all": "alice@example.org"}},
        "mailboxes": {
            "alice@example.org": {"quota": "1 GiB"},
            "bob@example.org": {},
            "jürgen@bücher.example": {},
            "off@bücher.example": {"enabled": False},
        },
        "aliases": {
            "sales@example.org": {"to": ["alice@example.org", "bob@elsewhere.net"]},
            "all@example.org": {"to": ["sales@example.org", "bob@example.org"]},
            "news@example.org": {"to": ["bob@example.org"], "send_as": ["alice@example.org"]},
            "loop@example.org": {"to": ["pool@example.org"]},
            "pool@example.org": {"to": ["loop@example.org", "bob@example.org"]},
        },
    }
    return people(Spec.model_validate(base | changes), keys)


def test_who_was_removed_is_not_caught() -> None:
    once = ("gone@xn--bcher-kva.example", "off@xn--bcher-kva.example", "gone@example.org", "gone@elsewhere.example")
    found = make(keys=replace(KEYS, removed=frozenset(once)))
    assert found.recipients["gone@xn--bcher-kva.example"] == ("gone@xn--bcher-kva.example",)
    assert found.recipients["gone@bücher.example"] == ("gone@xn--bcher-kva.example",)
    assert not {"gone@xn--bcher-kva.example", "off@xn--bcher-kva.example"} & set(found.mailboxes), "no mailbox takes it"
    assert found.removed == ("gone@xn--bcher-kva.example", "gone@bücher.example"), "known by that entry, so refused by name"
    # where nothing is caught, an unknown recipient needs no entry
    assert not {"gone@example.org", "gone@elsewhere.example"} & set(found.recipients)


def test_an_alias_takes_the_mail_of_who_was_removed() -> None:
    found = make(
        keys=replace(KEYS, removed=frozenset({"gone@xn--bcher-kva.example"})),
        aliases={"gone@bücher.example": {"to": ["bob@example.org"]}},
    )
    assert found.recipients["gone@xn--bcher-kva.example"] == ("bob@example.org",)
    assert found.removed == ()


def test_every_mailbox_has_an_identity_entry_so_that_a_catch_all_does_not_swallow_it() -> None:
    who = make()
    for address in ("alice@example.org", "jürgen@xn--bcher-kva.example", "off@xn--bcher-kva.example"):
        assert who.recipients[address] == (address,)
    assert who.recipients["@xn--bcher-kva.example"] == ("alice@example.org",)


def test_international_domains_are_known_by_both_spellings() -> None:
    who = make()
    assert {"xn--bcher-kva.example", "bücher.example"} <= set(who.domains)
    assert who.recipients["jürgen@bücher.example"] == ("jürgen@xn--bcher-kva.example",)
    assert who.owners["jürgen@bücher.example"] == ("jürgen@xn--bcher-kva.example",)


@pytest.mark.parametrize("name", ["postmaster", "abuse"])
@pytest.mark.parametrize("where", ["@example.org", "@xn--bcher-kva.example", "@bücher.example", "@mail.example.org", ""])
def test_postmaster_and_abuse_always_deliver(name: str, where: str) -> None:
    assert make().recipients[f"{name}{where}"] == ("alice@example.org",)


def test_a_mailbox_named_postmaster_takes_the_place_of_the_default() -> None:
    who = make(mailboxes={"alice@example.org": {}, "postmaster@example.org": {}}, aliases={})
    assert who.recipients["postmaster@example.org"] == ("postmaster@example.org",)
    assert who.recipients["abuse@example.org"] == ("alice@example.org",)


@pytest.mark.parametrize(
    ("changes", "mailboxes"),
    [
        ({}, {"alice@example.org"}),
        ({"postmaster": "sales@example.org"}, {"alice@example.org"}),
        ({"postmaster": "me@elsewhere.example"}, set()),
        ({"aliases": {"abuse@bücher.example": {"to": ["bob@example.org"]}}}, {"alice@example.org", "bob@example.org"}),
        (
            {"mailboxes": {"alice@example.org": {}, "postmaster@example.org": {}, "bob@example.org": {}}, "aliases": {}},
            {"alice@example.org", "postmaster@example.org"},
        ),
    ],
)
def test_whoever_postmaster_or_abuse_reaches_is_known(changes: dict[str, Any], mailboxes: set[str]) -> None:
    assert make(**changes).postmasters == mailboxes


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("sales@example.org", ("alice@example.org",)),
        ("all@example.org", ("bob@example.org", "alice@example.org")),
        ("loop@example.org", ("bob@example.org",)),
        ("@bücher.example", ("alice@example.org",)),
    ],
)
def test_members_are_the_mailboxes_at_the_end_of_every_alias(address: str, reached: tuple[str, ...]) -> None:
    assert set(make().members[address]) == set(reached)


@pytest.mark.parametrize(
    ("address", "owners"),
    [
        ("alice@example.org", {"alice@example.org"}),
        ("sales@example.org", {"alice@example.org"}),
        ("news@example.org", {"alice@example.org"}),
        ("all@example.org", {"alice@example.org", "bob@example.org"}),
        ("postmaster@example.org", {"alice@example.org"}),
    ],
)
def test_owners(address: str, owners: set[str]) -> None:
    assert set(make().owners[address]) == owners


def test_nobody_owns_a_catch_all_or_a_disabled_mailbox() -> None:
    who = make()
    assert not [a for a in who.owners if a.startswith("@")]
    assert "off@xn--bcher-kva.example" not in who.owners
    assert who.disabled == ("off@xn--bcher-kva.example", "off@bücher.example")


def test_addresses_elsewhere_are_told_apart() -> None:
    assert make().outside == {"sales@example.org": ("bob@elsewhere.net",)}


def test_the_probe_is_a_recipient_of_its_own_and_owns_only_itself() -> None:
    who = make()
    assert who.probe == "probe-abc123abc123abc1@example.org"
    assert who.recipients[who.probe] == (who.probe,)
    assert [a for a, owners in who.owners.items() if who.probe in owners] == [who.probe]
    assert who.probe not in who.mailboxes
