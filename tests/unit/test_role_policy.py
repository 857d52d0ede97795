"""What the policy programs are told."""

from __future__ import annotations

from appliance.render.bundle import File
from mailpolicy.settings import settings
from mailpolicy.tables import addresses
from tests.unit.role_room import bundle, texts

PROBE = f"probe-{'p' * 16}@example.org"


def test_the_settings_are_read_by_the_program_itself() -> None:
    found = settings(texts("policy", "roles: {policy: {recipients_per_hour: 7}}\n")["policy.toml"])
    assert (found.recipients_per_hour, found.probe, found.delimiter) == (7, PROBE, "+")
    assert {"example.org", "bücher.example", "xn--bcher-kva.example", "mail.example.org"} <= set(found.domains)


def test_owners_stand_in_every_spelling() -> None:
    senders = addresses(texts("policy")["senders"])
    assert senders["jürgen@bücher.example"] == ("jürgen@xn--bcher-kva.example", "jürgen@bücher.example")
    assert senders["list@example.org"] == ("alice@example.org",)
    assert senders[PROBE] == (PROBE,)
    assert "carol@example.org" not in senders


def test_every_address_leads_to_its_mailboxes() -> None:
    members = addresses(texts("policy-recipients")["members"])
    assert members["sales@example.org"] == ("alice@example.org", "bob@example.org")
    assert members["alice@example.org"] == ("alice@example.org",)
    assert members["@catch.example"] == ("alice@example.org",)
    assert members["jürgen@bücher.example"] == ("jürgen@xn--bcher-kva.example",)
    assert members[PROBE] == (PROBE,)
    # these reach nobody here, and the catch-all must not answer for them
    assert (members["off@catch.example"], members["away@example.org"]) == ((), ())


def test_nobody_asks_whether_a_postmaster_is_full() -> None:
    members = addresses(texts("policy-recipients")["members"])
    names = [a for a in members if a.partition("@")[0] in ("postmaster", "abuse")]
    assert {"postmaster", "abuse@mail.example.org", "postmaster@bücher.example"} <= set(names)
    assert {members[name] for name in names} == {()}
    assert members["alice@example.org"] == ("alice@example.org",)


def test_people_restart_nothing() -> None:
    """A new mailbox or another limit is read by the running program."""
    changed = "roles: {policy: {recipients_per_hour: 7}}\n"
    for name in ("policy", "policy-recipients"):
        before, after = bundle().service(name), bundle(changed).service(name)
        assert before.frozen == after.frozen
        other = [f for f in after.files if isinstance(f, File) and (old := before.file(f.path)) and old.digest != f.digest]
        assert {f.on_change for f in other} <= {"none"}


def test_without_a_store_nobody_is_asked() -> None:
    assert texts("policy-recipients")["start.sh"].rstrip().endswith("/config/live/members /sock/dovecot/quota-status")
