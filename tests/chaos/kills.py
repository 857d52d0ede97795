"""SIGKILL of each container, of pairs and of all at once, under load: nothing that was answered 250 is lost."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Control, Row
from tests.chaos.faults import Taken, held
from tests.chaos.ledger import LISTENERS, Ledger
from tests.chaos.world import began, drained, services, started, until
from tests.instances import LABEL, Instances
from tests.integration.running import Appliance

if TYPE_CHECKING:
    import docker

ROOM = "kills"
SINGLES, PAIRS, ALL = 3, 26, 8
#: seconds after which the engine counts a start as a good one, and restarts the next time without a delay
GOOD_START = 10.5
RESTARTED = 90  # seconds of patience


@dataclass(frozen=True)
class Found:
    """What became of a ledger: how many were acknowledged, which are gone, how many came twice, seconds until an answer."""

    acknowledged: int
    lost: tuple[str, ...]
    twice: int
    seconds: tuple[float, ...]
    hard: dict[str, int]


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    with started(client, instances, "kills") as where:
        names = services(where)
        share, late, twice = forgetful(where), held_back(where), delivered_again(where)
        found = struck(where, rounds(names))
    kills = len(found.seconds)
    yield Row(
        ROOM,
        f"acknowledged mails lost or refused for good, of {found.acknowledged:,} in {kills} kills",
        "mails",
        len(found.lost) + sum(found.hard.values()),
        floor=0,
        goal=0,
        control=Control("of 100, a server that keeps nothing (smtp-sink)", share),
        raw={"lost": found.lost, "refused": found.hard},
    )
    yield Row(
        ROOM,
        "delivered more than once",
        "%",
        100 * found.twice / found.acknowledged,
        floor=0.2,
        goal=0.05,
        control=Control("LMTP's last answer cut off", twice),
        raw={"twice": found.twice},
    )
    times = sorted(found.seconds)
    for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        value = times[min(int(len(times) * part), len(times) - 1)]
        control = Control("the policy held for 4 s", late)
        yield Row(ROOM, f"both listeners acknowledge again after the restart, {name}", "s", value, 3, 1, control=control)


def rounds(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Each alone, pairs, all of them; in an order that is the same each time."""
    chance = random.Random(20261124)  # noqa: S311
    pairs = list(itertools.combinations(names, 2))
    found = [(n,) for n in names] * SINGLES + chance.sample(pairs, min(PAIRS, len(pairs))) + [tuple(names)] * ALL
    chance.shuffle(found)
    return found


def struck(where: Appliance, strikes: Sequence[tuple[str, ...]], *, pause: float = 0.0, rest: bool = True) -> Found:
    """Kills in rounds under load, then looks for everything. ``rest``: victims have run for GOOD_START before."""
    seconds = []
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Ledger(where, Path(folder) / "ledger", pause=pause) as ledger:
            answering(ledger, time.time())
            for number, victims in enumerate(strikes):
                seconds.append(strike(where, ledger, victims, rest))
                done = f"{number + 1}/{len(strikes)} {seconds[-1]:.2f} s"
                print(f"    {done} {', '.join(victims)}", file=sys.stderr, flush=True)
        idents = ledger.idents
        found = drained(where, idents)
    lost = tuple(sorted(idents - set(found)))
    return Found(len(idents), lost, sum(found[i] > 1 for i in idents), tuple(seconds), ledger.hard)


def strike(where: Appliance, ledger: Ledger, victims: Sequence[str], rest: bool) -> float:
    """One kill; seconds from the restart until both listeners acknowledge again."""
    before = {n: began(where, n) for n in victims}
    if rest:
        until(lambda: time.time() - max(before.values()) > GOOD_START or None, "the last start is old", 30)
    kill(where, victims)
    return answering(ledger, restarted(where, before))


def kill(where: Appliance, names: Sequence[str]) -> None:
    """SIGKILL by the host's pid: after `docker kill` the engine would not start it again."""
    pids = [where.client.containers.get(f"{where.name}-{n}").attrs["State"]["Pid"] for n in names]
    for pid in pids:
        if pid:
            os.kill(pid, signal.SIGKILL)


def restarted(where: Appliance, before: dict[str, float]) -> float:
    """When the last of the victims was started again."""

    def look() -> float | None:
        now = {n: began(where, n) for n in before}
        return max(now.values()) if all(now[n] > before[n] for n in before) else None

    return until(look, f"{', '.join(before)} started again", RESTARTED)


def answering(ledger: Ledger, since: float) -> float:
    """Seconds until both listeners acknowledged a message that began after ``since``."""

    def look() -> float | None:
        times = [ledger.answered(x, since) for x in LISTENERS]
        return None if None in times else max(t for t in times if t) - since

    return until(look, f"a message acknowledged; refused: {ledger.refused.most_common(3)}", 60)


def held_back(where: Appliance) -> float:
    """The control of the answering time: a service that does nothing for 4 s after the moment that counts."""
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder, Ledger(where, Path(folder) / "ledger") as ledger:
        answering(ledger, time.time())
        with held(where, "policy"):
            since = time.time()
            until(lambda: time.time() - since > 4 or None, "4 s", 10)
        return answering(ledger, since)


def delivered_again(where: Appliance) -> float:
    """The control of the duplicates: per cent of mails that come twice when the store's last answer is cut off once."""
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Taken("dovecot", "lmtp", "cut").on(where), Ledger(where, Path(folder) / "ledger", senders=1, pause=0.1) as ledger:
            until(lambda: len(ledger.acks) > 15 or None, "some mails", 60)
            until(lambda: sum(stored_of(where, ledger)) > 15 or None, "they are stored", 60)
        idents = ledger.idents
        drained(where, idents)
        until(lambda: not where.exec("postfix", "postqueue", "-j").strip() or None, "the queue is empty", 60)
        found = drained(where, idents)
        return 100 * sum(found[i] > 1 for i in idents) / len(idents)


def stored_of(where: Appliance, ledger: Ledger) -> list[int]:
    """How often each mail of a ledger is stored."""
    found = drained(where, (), 0)
    return [found[a.sent.ident] for a in ledger.acks.copy()]


def forgetful(where: Appliance, host: str = "127.0.0.1") -> float:
    """The control of the loss: per cent of a ledger that is gone behind a server that answers 250 and keeps nothing.

    ``host``: of another engine than the machine's.
    """
    image = where.app.bundle().service("postfix").runtime.image
    sink = where.client.containers.run(
        image,
        ["smtp-sink", "-c", "0.0.0.0:2525", "20"],
        entrypoint=[],
        detach=True,
        labels={LABEL: where.name},
        user="65534:65534",
        ports={"2525/tcp": (host, 0)},
    )
    try:
        sink.reload()
        port = int(sink.attrs["NetworkSettings"]["Ports"]["2525/tcp"][0]["HostPort"])
        there = replace(where, ports={**where.ports, "smtp": port})
        with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
            with Ledger(there, Path(folder) / "ledger", listeners=LISTENERS[:1], pause=0.01, host=host) as ledger:
                until(lambda: len(ledger.acks) > 50 or None, "some mails are acknowledged", 60)
            idents = ledger.idents
            return 100 * len(idents - set(drained(where, idents, 3))) / len(idents)
    finally:
        sink.remove(force=True)
