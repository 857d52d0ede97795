"""Dovecot's accounts and limits."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from appliance.errors import InvalidSpec
from tests.unit.roles_room import bundle, text, values, view

MIB = 2**20
SSHA = "{SSHA512}" + "x" * 96


def argon(kib: int) -> str:
    return "{ARGON2ID}$argon2id$v=19$m=" + str(kib) + ",t=2,p=1$" + "c2FsdHNhbHRzYWx0c2FsdA" + "$" + "A" * 43


MANY = f"""mailboxes:
  alice@example.org: {{password: "{SSHA}", quota: 2 GiB}}
  Bob@Example.ORG: {{password: "{SSHA}"}}
  dora@example.org: {{password: "{SSHA}", quota: 2 GiB}}
  jürgen@bücher.example: {{password: "{SSHA}", quota: 10 MiB}}
  off@example.org: {{password: "{SSHA}", enabled: false}}
"""


def lines(rest: str, path: str) -> dict[str, str]:
    """User → the rest of the line."""
    return dict(line.split(":", 1) for line in text(bundle(rest), "dovecot", path).splitlines())


def test_every_enabled_mailbox_has_a_line_with_hash_and_quota() -> None:
    users = lines(MANY, "users")
    assert users["dora@example.org"] == f"{SSHA}::::::userdb_quota_storage_size={2 * 2**30}B"
    assert users["bob@example.org"] == f"{SSHA}::::::userdb_quota_storage_size=0B"
    assert all(line.count(":") == 6 for line in users.values())


def test_what_reaches_a_postmaster_is_stored_whatever_the_quota() -> None:
    """RCPT asks for the quota of everything but postmaster and abuse; LMTP cannot tell them apart any more."""
    users = lines(MANY + "aliases: {abuse@bücher.example: [jürgen@bücher.example]}\n", "users")
    limit = f'%{{protocol|if("eq","lmtp","0B","{2 * 2**30}B")}}'
    assert users["alice@example.org"] == f"{SSHA}::::::userdb_quota_storage_size={limit}"
    assert '"lmtp","0B"' in users["jürgen@bücher.example"]
    assert "lmtp" not in users["bob@example.org"] + users["dora@example.org"]


def test_both_spellings_of_an_international_domain_are_one_mailbox() -> None:
    users = lines(MANY, "users")
    canonical = "jürgen@xn--bcher-kva.example"
    assert {u for u in users if u.startswith("jürgen")} == {canonical, "jürgen@bücher.example"}
    assert "user=" not in users[canonical]
    assert users["jürgen@bücher.example"].split(" ")[1:] == [f"user={canonical}", f"userdb_user={canonical}"]


def test_a_disabled_mailbox_keeps_its_mail_and_has_no_hash_anywhere() -> None:
    assert set(lines(MANY, "nologin")) == {"off@example.org"}
    assert lines(MANY, "nologin")["off@example.org"].startswith("::::::")
    assert "off@example.org" not in lines(MANY, "users")
    assert SSHA not in text(bundle(MANY), "dovecot", "nologin")


def test_the_files_of_people_are_renamed_into_place_and_hashes_are_secret() -> None:
    files = {f.path: f for f in bundle(MANY).service("dovecot").files}
    users = files["users"]
    assert (users.on_change, users.secret, users.mode, users.owner, users.people) == ("none", True, 0o440, (0, 903), True)
    assert files["nologin"].people
    assert files["tls/key.pem"].mode == 0o400


def test_the_default_quota_is_for_those_who_name_none() -> None:
    users = lines(MANY + "roles: {dovecot: {default_quota: 1 GiB}}\n", "users")
    assert users["bob@example.org"].endswith(f"={2**30}B")
    assert users["dora@example.org"].endswith(f"={2 * 2**30}B")


@pytest.mark.parametrize("name", ["a/b@example.org", "#a@example.org", "a%u@example.org", "a:b@example.org"])
def test_a_name_that_a_passwd_file_or_a_folder_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(InvalidSpec):
        bundle(f'mailboxes: {{"{name}": {{password: "{SSHA}"}}, alice@example.org: {{password: "{SSHA}"}}}}\n')


@pytest.mark.parametrize(
    ("kib", "per_check"),
    [(0, 20), (19456, 20), (65536, 64), (65537, 256), (1048576, 1024)],
)
def test_memory_is_what_thirty_checks_at_once_take(kib: int, per_check: int) -> None:
    made = bundle(f'mailboxes:\n  alice@example.org: {{password: "{argon(kib) if kib else SSHA}"}}\n')
    configuration = text(made, "dovecot", "dovecot.conf")
    worker = re.search(r"service auth-worker \{(.*?)\n\}", configuration, re.DOTALL)
    assert worker is not None
    assert "process_limit = 30" in worker[1]
    assert f"vsz_limit = {160 + per_check}M" in worker[1]
    assert made.service("dovecot").runtime.memory == (256 + 30 * per_check + 200) * MIB


def test_a_dear_hash_of_a_disabled_mailbox_costs_nothing() -> None:
    cheap = f'mailboxes:\n  alice@example.org: {{password: "{SSHA}"}}\n'
    dear = cheap + f'  off@example.org: {{password: "{argon(1048576)}", enabled: false}}\n'
    assert bundle(cheap).service("dovecot").runtime.memory == bundle(dear).service("dovecot").runtime.memory


@pytest.mark.parametrize(("size", "grace"), [("1 MiB", 10 * MIB), ("25 MiB", 35872770)])
def test_what_was_accepted_at_rcpt_fits_at_delivery(size: str, grace: int) -> None:
    rest = f"message_size: {size}\n"
    found = int(values(text(bundle(rest), "dovecot", "dovecot.conf"))["quota_storage_grace"].rstrip("B"))
    assert found >= view("dovecot", rest).spec.wire_size
    assert abs(found - grace) < 2000


@pytest.mark.parametrize(("chosen", "path"), [("maildir", "~/Maildir"), ("mdbox", "~/mdbox")])
def test_the_format_of_the_store(chosen: str, path: str) -> None:
    found = values(text(bundle(f"roles: {{dovecot: {{format: {chosen}}}}}\n"), "dovecot", "dovecot.conf"))
    assert (found["mail_driver"], found["mail_path"]) == (chosen, path)


def test_replies_and_redirects_leave_by_the_internal_listener() -> None:
    found = values(text(bundle(""), "dovecot", "dovecot.conf"))
    assert found["submission_host"] == "reinjection.internal:10587"
    assert found["ssl_client_require_valid_cert"] == "yes"


def test_the_probe_is_known_to_its_own_file_only() -> None:
    configuration = text(bundle(""), "dovecot", "dovecot.conf")
    filters = re.findall(r"passwd_file_path = (\S+)\n(?:  #.*\n)?  passdb_username_filter = (\S+)", configuration)
    probe = view("dovecot", "").people.probe
    assert filters == [("/config/live/users", f"!{probe}"), ("/srv/probe/users", probe)]


@pytest.mark.parametrize(("families", "listen"), [((4,), "*"), ((4, 6), "*, ::")])
def test_families(families: tuple[int, ...], listen: str) -> None:
    assert values(text(bundle("", families=families), "dovecot", "dovecot.conf"))["listen"] == listen


@pytest.mark.parametrize(
    ("asked", "code", "out", "left"),
    [
        ("carol@example.org\n", 0, "the mail of carol@example.org is removed (", {"alice@example.org"}),
        ("nobody@example.org\n", 0, "", {"alice@example.org", "carol@example.org"}),
        ("alice@example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
        ("off@example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
        ("../b@example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
        (".@example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
        ("@example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
        ("carol@..\n", 1, "", {"alice@example.org", "carol@example.org"}),
        ("example.org\n", 1, "", {"alice@example.org", "carol@example.org"}),
    ],
)
def test_forget_ends_the_mail_of_those_who_left_alone(tmp_path: Path, asked: str, code: int, out: str, left: set[str]) -> None:
    for name in ("alice", "carol"):
        (tmp_path / "mail/example.org" / name / "Maildir").mkdir(parents=True)
    (tmp_path / "live").mkdir()
    for path in ("users", "nologin"):
        (tmp_path / "live" / path).write_text(text(bundle(MANY), "dovecot", path))
    script = text(bundle(MANY), "dovecot", "forget.sh")
    for place, here in (("/srv/mail", "mail"), ("/config/live", "live")):
        script = script.replace(place, str(tmp_path / here))
    done = subprocess.run(["sh", "-c", script], input=asked, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout[: len(out)] if out else done.stdout) == (code, out)
    assert bool(done.stderr) == bool(code)
    assert {f"{p.name}@example.org" for p in (tmp_path / "mail/example.org").iterdir()} == left
