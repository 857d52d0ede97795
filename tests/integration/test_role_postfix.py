"""The conversations of Postfix and the policy programs with the running appliance, and what a Sieve script may send."""

from __future__ import annotations

import base64
import json
import re
import secrets
import smtplib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.resources import folder
from appliance.verify import dialog
from tests.integration.mail import arrive, fill, message, submit, trusting, until_accepted
from tests.integration.running import PASSWORDS, Appliance, hashed
from tests.integration.sieve import active, home

LISTENERS = {"25": "smtp", "587": "submission", "465": "submissions"}
#: 10587 is not published, what is said to it is said inside the network
FILES = [
    path
    for role in ("postfix", "policy")
    for path in sorted((folder("roles") / role / "dialogs").glob("*.txt"))
    if path.stem != "reinjection"
]
INFO = "info@xn--bcher-kva.example"
PROBE_PASSWORD = "the probe's password"


class Talk:
    """A connection as dialog.Connection wants it, greeted, encrypted and logged in."""

    def __init__(self, where: Appliance, service: str, login: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", where.ports[LISTENERS[service]]), timeout=40)
        if service == "465":
            self.socket = trusting().wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        self._answer()
        self._say("EHLO dialog.invalid")
        if login and service != "465":
            self._say("STARTTLS")
            self.socket = trusting().wrap_socket(self.socket)
            self.file = self.socket.makefile("rb")
            self._say("EHLO dialog.invalid")
        if login not in ("", "tls"):
            password = PASSWORDS.get(login, PROBE_PASSWORD)
            said = self._say("AUTH PLAIN " + base64.b64encode(f"\0{login}\0{password}".encode()).decode())
            assert said.startswith(b"235"), said

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self.file.readline()

    def _answer(self) -> bytes:
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        return line

    def _say(self, text: str) -> bytes:
        self.send(f"{text}\r\n".encode())
        return self._answer()


def words(where: Appliance) -> Mapping[str, str]:
    """What the dialogues' names stand for in this appliance."""
    probe = where.app.people().probe
    return {
        "probe": probe,
        "probe_local": probe.partition("@")[0],
        "domain": "example.org",
        "hostname": "mail.example.org",
        "outside": "elsewhere.invalid",
        "too_large": str(where.app.spec().wire_size + 1),
        "mailbox": "bob@example.org",
        "mailbox_local": "bob",
        "alias": "sales@example.org",
        "alias_of_others": "list@example.org",
        "disabled": "off@xn--bcher-kva.example",
        "disabled_local_there": "off",
        "disabled_plain": base64.b64encode(f"\0off@xn--bcher-kva.example\0{PASSWORDS[INFO]}".encode()).decode(),
        "catch_all": "xn--bcher-kva.example",
        "international": "info@bücher.example",
        "routed": "partner.example",
        "full": "full@example.org",
        "full_local": "full",
        "alias_of_full": "tofull@example.org",
        "postmaster_full": "abuse@xn--bcher-kva.example",
        "alias_partly_full": "half@example.org",
    }


@pytest.fixture
def ready(appliance_up: Appliance) -> Iterator[Appliance]:
    """The appliance with a probe that may log in and a mailbox that is full."""
    script, probe = ("sh", "/config/current/probe.sh"), words(appliance_up)["probe"]
    appliance_up.exec("dovecot", *script, stdin=f"{probe}:{hashed(PROBE_PASSWORD)}\n".encode())
    assert until_accepted(lambda: arrive(appliance_up, f"{secrets.token_hex(8)}@tests")).accepted
    fill(appliance_up, "full@example.org")
    yield appliance_up
    appliance_up.exec("dovecot", *script, stdin=b"")


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.parent.name}-{p.stem}")
def test_dialogue(ready: Appliance, path: Path) -> None:
    @contextmanager
    def connect(service: str, login: str) -> Iterator[dialog.Connection]:
        talk = Talk(ready, service, login)
        try:
            yield talk
        finally:
            talk.socket.close()

    found = dialog.run(path.read_text(encoding="utf-8"), connect, words(ready))
    assert found == [], "\n".join(map(str, found))


#: script → the envelope sender and From that arrive, or the words of the refusal
SCRIPTS = {
    "vacation": ('require "vacation"; vacation :handle "{handle}" "away";', "<>", "bob@example.org"),
    "vacation from an own alias": (
        'require "vacation"; vacation :handle "{handle}" :from "sales@example.org" "away";',
        "<>",
        "sales@example.org",
    ),
    "vacation from somebody else": (
        'require "vacation"; vacation :handle "{handle}" :from "info@xn--bcher-kva.example" "away";',
        "",
        "is not an address of bob@example.org",
    ),
    "a notification from somebody else": (
        'require "enotify"; notify :from "info@xn--bcher-kva.example" :message "news" "mailto:alice@example.org";',
        "",
        "is not an address of bob@example.org",
    ),
    "a notification that says it is a redirect": (
        'require "enotify"; notify :from "info@xn--bcher-kva.example" :message "news" '
        '"mailto:alice@example.org?X-Sieve-Redirected-From=x@example.org";',
        "",
        "is not an address of bob@example.org",
    ),
    "a rejection": ('require "reject"; reject "not wanted";', "<>", "postmaster@example.org"),
    "a redirect": ('redirect "alice@example.org";', "<alice@example.org>", "alice@example.org"),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_writes_as_its_owner_only(appliance_up: Appliance, name: str) -> None:
    """alice writes to bob, whose script answers; what leaves is judged by the envelope and From that reach alice."""
    script, envelope, words_of_it = SCRIPTS[name]
    handle = secrets.token_hex(6)
    with active(appliance_up, script.format(handle=handle)):
        since = time.time()
        text = message(f"{handle}@tests", "alice@example.org", "bob@example.org")
        assert until_sent(appliance_up, text)
        if envelope:
            assert until_arrived(appliance_up, handle, since) == (envelope, words_of_it)
        else:
            until_logged(appliance_up, words_of_it, since)


def until_sent(where: Appliance, text: bytes) -> bool:
    """A mail on port 25, from alice's address: a stranger's name would be looked up in a DNS that tests do not have."""

    def send() -> bool:
        try:
            with smtplib.SMTP("127.0.0.1", where.ports["smtp"], timeout=60) as client:
                client.sendmail("alice@example.org", ["bob@example.org"], text)
        except (smtplib.SMTPException, OSError):
            return False
        return True

    deadline = time.monotonic() + 60
    while not (sent := send()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return sent


def logged(where: Appliance, service: str, since: float) -> str:
    container = where.client.containers.get(f"{where.name}-{service}")
    return bytes(container.logs(since=int(since))).decode(errors="replace")


def until_logged(where: Appliance, wanted: str, since: float, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while wanted not in (said := logged(where, "policy", since)):
        assert time.monotonic() < deadline, said
        time.sleep(0.5)


def until_arrived(where: Appliance, handle: str, since: float, seconds: float = 30) -> tuple[str, str]:
    """(Return-Path, address in From) of the mail that the script sent to alice."""
    inbox = f"{home('alice@example.org')}/Maildir"
    find = f"grep -l -r -e X-Sieve -e multipart/report {inbox}/new {inbox}/cur"
    recent = f"[ $(stat -c %Y $f) -ge {int(since)} ] && grep -q {handle} $f"
    show = f"for f in $({find}); do {recent} && sed '/^\\r*$/q' $f; done; true"
    deadline = time.monotonic() + seconds
    while True:
        end = where.engine.exec(where.name, "dovecot", ("sh", "-c", show), user="905:905")
        text = end.stdout.decode(errors="replace")
        path, sender = re.search(r"^Return-Path: (\S+)", text, re.M), re.search(r"^From:.*?([^\s<]+@[^\s>]+)", text, re.M)
        if path and sender:
            return path[1], sender[1]
        assert time.monotonic() < deadline, text + logged(where, "policy", since) + logged(where, "dovecot", since)[-1500:]
        time.sleep(0.5)


def test_counts_outlive_the_filter(appliance_up: Appliance) -> None:
    """A filter that is stopped and started still knows how much was sent: a restart is no new allowance."""
    assert until_accepted(lambda: submit(appliance_up, f"{secrets.token_hex(8)}@tests")).accepted
    container = appliance_up.client.containers.get(f"{appliance_up.name}-policy")
    container.restart(timeout=10)
    appliance_up.wait("policy")
    kept = appliance_up.engine.exec(appliance_up.name, "policy", ("cat", "/var/lib/mailpolicy/counts"))
    assert sum(json.loads(kept.stdout)["alice@example.org"].values()) > 0
