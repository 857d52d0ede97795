"""Mailboxes come and go while everything runs: nothing is restarted, mail arrives at once, what was removed is kept, and ends."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from tests.integration.mail import arrive, begin_idle, idle_is_told, imap, mailbox, wait_for
from tests.integration.running import PASSWORDS, Appliance, hashed
from tests.integration.sieve import home

#: in a domain with a catch-all, which must get none of their mail
NEW, BACK, LATER = (f"{name}@xn--bcher-kva.example" for name in ("new", "back", "later"))
CATCH_ALL = "info@xn--bcher-kva.example"
#: what a daemon says when it takes new settings, or begins anew
BEGINS = re.compile(r"SIGHUP|reload|refreshing|daemon started|starting up|start of service|Reading databases", re.IGNORECASE)


class People:
    """The spec with some mailboxes more."""

    def __init__(self, where: Appliance) -> None:
        self.where, self.text = where, where.spec_path.read_text(encoding="utf-8")

    def are(self, *addresses: str) -> str:
        """`up`, without -y: nothing of this needs to be asked. What it said."""
        lines = "".join(f'  {a}: {{password: "{hashed(PASSWORDS[a])}", quota: 5 MiB}}\n' for a in addresses)
        self.where.spec_path.write_text(self.text.replace("\naliases:", f"\n{lines}aliases:"), encoding="utf-8")
        return self.where.cli("up", "--no-verify").stderr


@pytest.fixture(scope="module")
def people(appliance_up: Appliance) -> Iterator[People]:
    """Mailboxes are added and removed by ``are``; after the module they are as before."""
    found = People(appliance_up)
    try:
        yield found
    finally:
        found.are()


@dataclass(frozen=True)
class Runs:
    """A service as it runs: after a restart something of this is another. ``qmgr``: pids that `postfix reload` changes too."""

    container: str | None
    started: str
    restarts: int
    qmgr: tuple[str, ...]


def running(where: Appliance) -> dict[str, Runs]:
    """Service → what runs now."""
    found = {}
    for service in where.app.bundle().services:
        container = where.client.containers.get(f"{where.name}-{service.name}")
        table = container.top()
        pid, command = table["Titles"].index("PID"), table["Titles"].index("CMD")
        qmgr = tuple(p[pid] for p in table["Processes"] if p[command].startswith("qmgr"))
        found[service.name] = Runs(container.id, container.attrs["State"]["StartedAt"], container.attrs["RestartCount"], qmgr)
    return found


def began(where: Appliance, since: float) -> list[str]:
    """Lines since then of daemons that took new settings or began anew."""
    names = [s.name for s in where.app.bundle().services]
    lines = where.engine.logs(where.name, names, follow=False, tail=None, since=int(since))
    return [f"{service}: {text}" for service, line in lines if BEGINS.search(text := line.decode(errors="replace"))]


def files(where: Appliance) -> set[str]:
    """Every message file of the store."""
    find = ("find", "/srv/mail", "-path", "*/Maildir/*/*", "-type", "f")
    return set(where.engine.exec(where.name, "dovecot", find, user="905:905").stdout.decode().split("\n")) - {""}


def test_adding_a_mailbox_restarts_nothing(appliance_up: Appliance, people: People) -> None:
    """Its first mail is delivered at once, and not caught; its quota holds, its login works; others notice nothing."""
    before, first = running(appliance_up), f"first-{secrets.token_hex(4)}@tests"
    assert before["postfix"].qmgr, "a reload would not be seen"
    idle = imap(appliance_up, "alice@example.org")
    begin_idle(idle)
    since = time.time()
    said = people.are(NEW, BACK, LATER)
    answer = arrive(appliance_up, first, NEW)
    with imap(appliance_up, NEW) as client:
        quota = client.getquotaroot("INBOX")[1]
    assert answer.accepted, answer
    assert wait_for(appliance_up, {first}, NEW, seconds=5).get(first) == 1
    assert first not in mailbox(appliance_up, CATCH_ALL)
    assert b"5120)" in b" ".join(q for part in quota for q in part if q)
    assert "nothing is interrupted" in said
    assert running(appliance_up) == before
    assert began(appliance_up, since) == []
    idle_is_told(idle, appliance_up)


def test_a_removed_mailbox_is_kept_refused_and_ended(appliance_up: Appliance, people: People) -> None:
    """No catch-all takes its mail; its own mail waits 30 days for it to come back, then `tend` ends that and nothing else."""
    people.are(NEW, BACK, LATER)
    for address in (NEW, BACK, LATER):
        assert arrive(appliance_up, f"old-{address}", address).accepted
        assert f"old-{address}" in wait_for(appliance_up, {f"old-{address}"}, address)
    before = files(appliance_up)
    assert "30 days" in people.are()
    for address in (NEW, NEW.replace("@", "+x@")):
        answer = arrive(appliance_up, f"refused-{address}", address)
        assert (answer.code, answer.text[:5]) == (550, "5.1.1"), answer
    assert not [ident for ident in mailbox(appliance_up, CATCH_ALL) if NEW.partition("@")[0] in ident]
    assert tend(appliance_up) == ""
    assert before <= files(appliance_up)

    people.are(BACK)
    assert f"old-{BACK}" in mailbox(appliance_up, BACK)
    assert arrive(appliance_up, f"again-{BACK}", BACK).accepted
    assert f"again-{BACK}" in wait_for(appliance_up, {f"again-{BACK}"}, BACK)

    a_month_later(appliance_up, NEW)
    before = files(appliance_up)
    assert tend(appliance_up).startswith(f"the mail of {NEW} is removed (")
    kept = files(appliance_up)
    assert before - kept == {path for path in before if path.startswith(f"{home(NEW)}/")} != set()
    assert all(any(path.startswith(f"{home(address)}/") for path in kept) for address in (BACK, LATER))
    assert tend(appliance_up) == ""
    assert arrive(appliance_up, "late@tests", NEW).code == 550


def tend(where: Appliance) -> str:
    """`appliance tend`; what it said."""
    end = where.cli("tend")
    return end.stdout + end.stderr


def a_month_later(where: Appliance, address: str) -> None:
    """The list says that the mailbox went 31 days before it did."""
    path = where.spec_path.parent / "keys" / where.name / "people" / "removed"
    lines = dict(line.split() for line in path.read_text().splitlines() if not line.endswith(" ended"))
    earlier = date.fromisoformat(lines[address]) - timedelta(days=31)
    path.write_text(path.read_text().replace(f"{address} {lines[address]}", f"{address} {earlier}"))


@pytest.mark.slow
def test_a_new_domain_is_known_at_once(appliance_up: Appliance, people: People) -> None:
    """Who asked for it before is not told the old answer again, by no process of Postfix."""

    def answers(sessions: int) -> set[int]:
        return {arrive(appliance_up, f"{n}@tests", "nobody@later.example").code for n in range(sessions)}

    before = people.text
    try:
        assert answers(3) == {554}  # relaying
        people.text = before.replace("\nmailboxes:", "\n  later.example: {}\nmailboxes:")
        assert "reload postfix" in people.are()
        assert answers(10) == {550}  # no such mailbox
    finally:
        people.text = before
        people.are()
