"""The disk fills up below the queue, and below the mail: senders keep their mail, `status` and `verify` say why, and it heals."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Control, Row
from tests.chaos import disks
from tests.chaos.kills import forgetful
from tests.chaos.ledger import Ledger
from tests.chaos.world import drained, started, stored, until
from tests.instances import Instances
from tests.integration.running import Appliance

if TYPE_CHECKING:
    import docker

ROOM = "full"
#: bytes; the largest message of the tests' spec is 2 MiB
SIZES = {"queue": 64 * disks.MIB, "mail": 96 * disks.MIB}
SERVICES = {"queue": "postfix", "mail": "dovecot"}
#: what a container without limits may write
ENDLESS = 1e6


@dataclass(frozen=True)
class Found:
    """``said``: how `status` and `verify` ended, before and while it was full; ``waited`` seconds full, ``healed`` after."""

    acknowledged: int
    lost: int
    hard: dict[str, int]
    silent_before: int
    silent: int
    waited: float
    healed: float
    words: dict[str, str]


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    with disks.ext4(SIZES) as places:
        volumes = {n: o for n, place in places.items() for n, o in disks.volumes(place, (n,)).items()}
        with started(client, instances, "full", volumes=volumes) as where:
            gone = forgetful(where)
            for name, place in places.items():
                yield from lines(name, filled(where, name, place), gone)
            yield logs(where)


def lines(name: str, found: Found, gone: float) -> Iterator[Row]:
    """Three lines for one disk."""
    yield Row(
        ROOM,
        f"acknowledged mails lost or refused for good, of {found.acknowledged:,}, the disk below the {name} full",
        "mails",
        found.lost + sum(found.hard.values()),
        floor=0,
        goal=0,
        control=Control("of 100, a server that keeps nothing (smtp-sink)", gone),
        raw={"refused": found.hard},
    )
    yield Row(
        ROOM,
        f"of status and verify: who does not say that the disk below the {name} is full",
        "",
        found.silent,
        floor=0,
        goal=0,
        control=Control("asked before", found.silent_before),
        raw=found.words,
    )
    yield Row(
        ROOM,
        f"new mail goes through after the disk below the {name} has room",
        "s",
        found.healed,
        floor=10,
        goal=3,
        control=Control("while it had none, until we made some", found.waited),
    )


def filled(where: Appliance, name: str, place: Path) -> Found:
    """Fills, asks, makes room, looks for everything."""
    before = sum(speaks(where, SERVICES[name]).values())
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Ledger(where, Path(folder) / "ledger", senders=1, pause=0.05) as ledger:
            until(lambda: len(ledger.acks) > 50 or None, "some mail is acknowledged", 60)
            with ballast(place):
                full = time.time()
                words: dict[str, str] = {}
                silent = 2 - sum(speaks(where, SERVICES[name], words).values())
                through = passed(where, ledger, name, full + 1)
                if through():
                    raise RuntimeError(f"the {name} takes mail on a full disk: nothing is measured")
                waited = time.time() - full
            since = time.time()
            healed = until(passed(where, ledger, name, since), "new mail goes through", 120) - since
        idents = ledger.idents
        lost = idents - set(drained(where, idents))
    return Found(len(idents), len(lost), ledger.hard, 2 - before, silent, waited, healed, words)


def passed(where: Appliance, ledger: Ledger, name: str, since: float) -> Callable[[], float | None]:
    """When mail that began after a moment was acknowledged (the queue), or stored (the mail)."""

    def look() -> float | None:
        if name == "queue":
            return ledger.answered("smtp", since)
        new = {a.sent.ident for a in ledger.acks.copy() if a.sent.began >= since}
        return time.time() if new & set(stored(where)) else None

    return look


def speaks(where: Appliance, service: str, words: dict[str, str] | None = None) -> dict[str, bool]:
    """Whether `status` ends with 1 and names the service's want of room, and whether `verify` ends with 3."""
    status = where.cli("status", check=False)
    said = next((x for x in status.stdout.splitlines() if f" {service}: " in x and "no room" in x), "")
    verify = where.cli("verify", check=False)
    if words is not None:
        words |= {"status": said, "verify": short(verify)}
    return {"status": status.returncode == 1 and bool(said), "verify": verify.returncode == 3}


def short(end: subprocess.CompletedProcess[str]) -> str:
    """The first lines about what failed."""
    return "\n".join(x for x in (end.stdout + end.stderr).splitlines() if "✗" in x)[:500]


@contextmanager
def ballast(place: Path) -> Iterator[None]:
    """Not a byte is left; what others give back meanwhile is taken as well at the beginning only."""
    file = place / "ballast"
    with file.open("wb", buffering=0) as stream:
        for size in (disks.MIB, 64 << 10, 4 << 10):
            try:
                while True:
                    os.posix_fallocate(stream.fileno(), stream.seek(0, os.SEEK_END), size)
            except OSError:
                continue
    try:
        yield
    finally:
        file.unlink()


def logs(where: Appliance) -> Row:
    """What all logs together may take of the disk; the engine's logs are not on a file system that we could fill."""
    total = 0.0
    for container in where.client.containers.list(filters={"label": f"appliance.instance={where.name}"}):
        config = container.attrs["HostConfig"]["LogConfig"].get("Config") or {}
        size = config.get("max-size", "")
        each = float(size.rstrip("m")) if size.endswith("m") else ENDLESS
        total += each * int(config.get("max-file", "1"))
    control = Control("one container without a limit", ENDLESS)
    return Row(ROOM, "what the logs of all containers may take", "MB", total, floor=2000, goal=500, control=control)
