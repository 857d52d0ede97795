"""The scanner scans what Postfix accepts, with signatures that are not stale."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
from testinfra.host import Host

STALE_DAYS = 7  # freshclam asks twelve times a day; a week without an answer is a fault
ASK = (
    r'my $s = IO::Socket::UNIX->new(Peer => "/sock/clamd/clamd.sock") or die "no answer: $!\n"; alarm 20; '
    r'my $m = shift; print $s $m eq "scan" ? "zINSTREAM\0" . pack("N a* N", 5, "hello", 0) : "z$m\0"; $s->flush; $/ = "\0"; '
    r"print scalar <$s>"
)


def ask(daemons: Mapping[str, Host], what: str) -> str:
    """clamd's answer to one command."""
    said = daemons["clamd"].run(f"perl -MIO::Socket::UNIX -e '{ASK}' %s", what)
    assert said.rc == 0, said.stderr
    return str(said.stdout).rstrip("\0")


def test_clamd_scans(daemons: Mapping[str, Host]) -> None:
    """A harmless text is scanned and found clean."""
    assert ask(daemons, "scan") == "stream: OK"


def test_the_milter_answers(daemons: Mapping[str, Host]) -> None:
    """The milter negotiates as with Postfix."""
    said = daemons["clamav-milter"].run("perl /config/current/health.pl")
    assert said.rc == 0, said.stderr


def test_whole_messages_are_scanned(hosts: Mapping[str, Host], facts: dict[str, Any]) -> None:
    """No message that Postfix accepts is larger than what clamd takes."""
    lines = hosts["clamd"].file("/config/current/clamd.conf").content_string.splitlines()
    limits = {
        name: int(value)
        for name, value in (line.split() for line in lines if line.startswith(("Stream", "MaxFileS", "MaxScanS")))
    }
    accepted = -(-facts["spec"]["message_size"] * 78 // 57)
    assert accepted < limits["StreamMaxLength"] <= limits["MaxFileSize"] <= limits["MaxScanSize"]


def test_signatures_are_fresh(daemons: Mapping[str, Host], facts: dict[str, Any]) -> None:
    """The signatures that clamd has loaded are not older than a week."""
    if "freshclam" not in facts["services"]:
        pytest.skip("the signatures are a folder of the spec")
    _, _, date = ask(daemons, "VERSION").split("/")
    age = (time.time() - time.mktime(time.strptime(date, "%a %b %d %H:%M:%S %Y"))) / 86400
    assert age < STALE_DAYS, f"the signatures are {age:.0f} days old"
