"""Dovecot in the running appliance: its conversations, and what its users count on."""

from __future__ import annotations

import hashlib
import imaplib
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.resources import folder
from tests.integration.mail import arrive, begin_idle, fill, idle_is_told, imap, mailbox, trusting, until_accepted, wait_for
from tests.integration.running import PASSWORDS, Appliance, hashed

DIALOGS = folder("roles") / "dovecot" / "dialogs"
ALICE = "alice@example.org"
WORDS = {
    "mailbox": ALICE,
    "mailbox_upper": ALICE.upper(),
    "password": PASSWORDS[ALICE],
    "bounded": "bob@example.org",
    "bounded_password": f'"{PASSWORDS["bob@example.org"]}"',
    "disabled": "off@xn--bcher-kva.example",
    "domain": "example.org",
}


Exchange = tuple[str, tuple[str, ...]]  # what is sent, how the lines of the answer begin


def conversations() -> Iterator[tuple[str, str, list[Exchange]]]:
    """(name, listener, exchanges) for each connection of each dialogue; the first exchange is the greeting."""
    for path in sorted(DIALOGS.glob("*.txt")):
        for number, block in enumerate(re.split(r"^\[(?=\w+\]$)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]):
            listener, _, text = block.partition("]\n")
            exchanges: list[Exchange] = [("", ())]
            for line in text.splitlines():
                if line.startswith("> "):
                    exchanges.append((line[2:], ()))
                elif line.startswith("< "):
                    exchanges[-1] = (exchanges[-1][0], (*exchanges[-1][1], line[2:]))
            yield f"{path.stem}-{number + 1}", listener, exchanges


@pytest.mark.parametrize(("listener", "exchanges"), [pytest.param(c[1], c[2], id=c[0]) for c in conversations()])
def test_dialogue(appliance_up: Appliance, listener: str, exchanges: list[Exchange]) -> None:
    words = {**WORDS, "password": f'"{WORDS["password"]}"' if listener.startswith("imap") else WORDS["password"]}
    plain = socket.create_connection(("127.0.0.1", appliance_up.ports[listener]), timeout=15)
    implicit = listener in ("imaps", "pop3s")
    with trusting().wrap_socket(plain) if implicit else plain as connection, connection.makefile("rb") as answers:
        for command, wanted in exchanges:
            if command:
                connection.sendall(command.format(**words).encode() + b"\r\n")
            expected = [w.format(**words) for w in wanted]
            said: list[str] = []
            # the last of them ends the answer; the others may come in any order
            while not said or not said[-1].startswith(expected[-1]):
                line = answers.readline().decode("utf-8", "replace").rstrip("\r\n")
                assert line, f"{command!r} was answered {said}, and not {expected}"
                said.append(line)
                failed = line.startswith(("-ERR", "NO", "BYE")) or re.match(r"\w+ (NO|BAD)", line)
                assert line.startswith(expected[-1]) or not failed, f"{command!r} was answered {said}, and not {expected}"
            assert not [w for w in expected if not any(line.startswith(w) for line in said)], f"{command!r}: {said}"


def until_login(where: Appliance, user: str, password: str, seconds: float = 10) -> imaplib.IMAP4_SSL:
    """Dovecot looks at its users once a second."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return imap(where, user, password)
        except imaplib.IMAP4.error:
            if time.monotonic() > deadline:
                raise


@pytest.mark.parametrize("spelling", ["info@bücher.example", "info@xn--bcher-kva.example", "INFO@xn--bcher-kva.example"])
def test_every_spelling_is_one_mailbox(appliance_up: Appliance, spelling: str) -> None:
    client = imap(appliance_up, spelling, PASSWORDS["info@xn--bcher-kva.example"])
    client.select()
    before = int(client.select()[1][0] or b"0")
    assert until_accepted(lambda: arrive(appliance_up, f"{time.time_ns()}@tests", "info@xn--bcher-kva.example")).accepted
    deadline = time.monotonic() + 20
    while int(client.select()[1][0] or b"0") != before + 1:
        assert time.monotonic() < deadline, "the mail did not arrive in this mailbox"
        time.sleep(0.3)
    client.logout()


def test_a_reload_leaves_sessions_alone(appliance_up: Appliance) -> None:
    client = imap(appliance_up, ALICE)
    begin_idle(client)
    appliance_up.exec("dovecot", "sh", "/config/current/reload.sh")
    appliance_up.settled()
    idle_is_told(client, appliance_up)


@pytest.mark.slow
def test_a_sleeping_connection_wakes_when_mail_arrives(appliance_up: Appliance) -> None:
    client = imap(appliance_up, ALICE)
    begin_idle(client)
    deadline = time.monotonic() + 60
    while "imap-hibernate" not in appliance_up.exec("dovecot", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"):
        assert time.monotonic() < deadline, "the connection was not put to sleep"
        time.sleep(1)
    idle_is_told(client, appliance_up)


def test_a_new_password_holds_at_the_next_login(appliance_up: Appliance) -> None:
    """Within the scheme, so that the file keeps its size; the container and open sessions live on."""
    spec, old = appliance_up.spec_path, PASSWORDS["bob@example.org"]
    text = spec.read_text(encoding="utf-8")
    container = appliance_up.client.containers.get(f"{appliance_up.name}-dovecot").id
    client = imap(appliance_up, "bob@example.org", old)
    try:
        spec.write_text(text.replace(hashed(old), hashed("another")), encoding="utf-8")
        appliance_up.cli("-y", "up", "--no-verify")
        until_login(appliance_up, "bob@example.org", "another").logout()
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap(appliance_up, "bob@example.org", old)
        assert client.noop()[0] == "OK"
    finally:
        spec.write_text(text, encoding="utf-8")
        appliance_up.cli("-y", "up", "--no-verify")
    until_login(appliance_up, "bob@example.org", old).logout()
    assert appliance_up.client.containers.get(f"{appliance_up.name}-dovecot").id == container


def test_the_probe_script_adds_and_removes_one_login(appliance_up: Appliance) -> None:
    probe = appliance_up.app.people().probe
    script = ("sh", "/config/current/probe.sh")
    try:
        for password in ("one", "two"):
            appliance_up.exec("dovecot", *script, stdin=f"{probe}:{hashed(password)}\n".encode())
            until_login(appliance_up, probe, password).logout()
    finally:
        appliance_up.exec("dovecot", *script, stdin=b"")
    time.sleep(1.1)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap(appliance_up, probe, "two")


def test_the_largest_mail_arrives_whole(appliance_up: Appliance) -> None:
    """What Postfix accepts, LMTP takes: sent to LMTP at its socket, as Postfix would, at exactly the limit."""
    size = appliance_up.app.spec().wire_size
    body = (b"x" * 70 + b"\r\n") * (size // 72)
    mail = b"Subject: largest\r\n\r\n" + body
    end = appliance_up.engine.exec(
        appliance_up.name,
        "dovecot",
        ("perl", "-e", Path(__file__).with_name("lmtp.pl").read_text(), ALICE),
        stdin=mail,
        user="0:0",
    )
    assert b"250 2.0.0" in end.stdout, end.stdout + end.stderr
    client = imap(appliance_up, ALICE)
    client.select()
    newest = client.search(None, "SUBJECT largest")[1][0].split()[-1].decode()
    part = client.fetch(newest, "(BODY.PEEK[TEXT])")[1][0]
    assert isinstance(part, tuple)
    assert hashlib.sha256(part[1]).digest() == hashlib.sha256(body).digest()
    client.store(newest, "+FLAGS", r"(\Deleted)")
    client.expunge()


def test_postmaster_and_abuse_are_delivered_to_a_full_mailbox(appliance_up: Appliance) -> None:
    """RFC 5321, 4.5.1; everybody else is told 552, and IMAP holds the mailbox to its quota."""
    full = "full@example.org"
    fill(appliance_up, full)
    idents = {f"{name}-{time.time_ns()}@tests": f"{name}@xn--bcher-kva.example" for name in ("abuse", "abuse+x")}
    for ident, address in idents.items():
        assert arrive(appliance_up, ident, address).accepted
    assert set(idents) <= set(wait_for(appliance_up, set(idents), full))
    other = f"{time.time_ns()}@tests"
    assert arrive(appliance_up, other, full).code == 552
    with imap(appliance_up, full) as client:
        assert client.append("INBOX", "", "", b"Subject: x\r\n\r\nx\r\n")[0] == "NO"
    assert other not in mailbox(appliance_up, full)
