"""Sieve scripts of users, put into place as ManageSieve would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.mail import STRANGER, message
from tests.integration.running import Appliance


def home(address: str) -> str:
    """Where a mailbox lies in the store."""
    local, _, domain = address.rpartition("@")
    return f"/srv/mail/{domain}/{local}"


@contextmanager
def active(where: Appliance, script: str, address: str = "bob@example.org") -> Iterator[None]:
    """The script is the mailbox's active one while the context lasts."""
    place = home(address)
    command = f"mkdir -p {place} && cat > {place}/.dovecot.sieve"
    end = where.engine.exec(where.name, "dovecot", ("sh", "-c", command), stdin=script.encode(), user="905:905")
    assert end.code == 0, end.stderr
    try:
        yield
    finally:
        gone = ("rm", "-f", *(f"{place}/.dovecot.{end}" for end in ("sieve", "svbin", "sieve.log")))
        where.engine.exec(where.name, "dovecot", gone, user="905:905")


def deliver(where: Appliance, ident: str, address: str) -> str:
    """A delivery straight to Dovecot's LMTP, as Postfix would make it; the last answer."""
    program = Path(__file__).with_name("lmtp.pl").read_text(encoding="utf-8")
    end = where.engine.exec(
        where.name,
        "dovecot",
        ("perl", "-e", program, address),
        stdin=message(ident, STRANGER, address),
        user="0:0",
    )
    return end.stdout.decode(errors="replace").splitlines()[-1]
