"""Mail through everything against the same daemons bare: how much, how soon, at what cost."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.bench.load import Load, run
from benchmarks.arms import BARE, FULL, Arm, Delivery
from benchmarks.paired import paired
from benchmarks.table import Control, Row
from tests.instances import LABEL, Instances

if TYPE_CHECKING:
    import docker

ROOM = "delivery"
MESSAGES, SESSIONS, IDLE = 600, 20, 200
RELAY = Path(__file__).with_name("relay.py")


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    folder = Path(tempfile.mkdtemp(prefix="t-bench-"))
    full = bare = None
    try:
        full, bare = (
            Arm(client, instances, folder, "full", FULL, "--no-verify"),
            Arm(client, instances, folder, "bare", BARE, "--no-verify"),
        )
        yield from through(full, bare)
        yield from soon(full)
        yield from one_mailbox(full)
        yield ceiling(client, full)
    finally:
        for arm in (full, bare):
            if arm:
                instances.remove(arm.name)
        shutil.rmtree(folder)


def through(full: Arm, bare: Arm) -> Iterator[Row]:
    """The rate and the CPU of a message, both arms in turn."""
    done: dict[str, list[Delivery]] = {"full": [], "bare": []}

    def once(arm: Arm) -> float:
        load = replace(arm.submission, messages=MESSAGES, sessions=SESSIONS)
        done[arm.what].append(arm.delivered(load))
        return done[arm.what][-1].rate

    once(full)
    once(bare)
    for found in done.values():
        found.clear()
    rate = paired(lambda: once(full), lambda: once(bare))
    with by_tcp(full, "opendkim-rsa", "opendkim-ed25519", "clamav-milter", "policy"):
        slow = once(full)
    control = Control("filters by TCP", slow / sorted(rate.b)[len(rate.b) // 2])
    yield Row(
        ROOM,
        "delivered through signers, scanner and policy ÷ bare, 2 KB submitted over TLS",
        "",
        rate.ratio,
        floor=0.5,
        goal=0.7,
        more_is_better=True,
        control=control,
        spread=rate.spread,
        raw={"full": rate.a, "bare": rate.b},
    )
    for arm in (full, bare):
        costs = sorted(d.milliseconds for d in done[arm.what])
        yield Row(ROOM, f"CPU of one message, {arm.what}", "ms", costs[len(costs) // 2], spread=(costs[0], costs[-1]))
    yield Row(ROOM, "delivered through everything", "messages/s", sorted(rate.a)[len(rate.a) // 2], more_is_better=True)


def soon(full: Arm) -> Iterator[Row]:
    """One message after another at idle: the answer to DATA, and the way into the mailbox."""
    load = replace(full.submission, messages=IDLE, pause=0.05)
    answers, journeys = waits(full, load)
    with by_tcp(full, "opendkim-rsa", "opendkim-ed25519", "clamav-milter", "policy"):
        slow, slower = waits(full, replace(load, messages=60))
    for what, found, control, limits in (
        ("answer to DATA at idle", answers, slow, ((15.0, 8.0), (60.0, 20.0))),
        ("submitted to stored at idle", journeys, slower, ((40.0, 20.0), (120.0, 60.0))),
    ):
        for name, share, (floor, goal) in zip(("p50", "p99"), (0.5, 0.99), limits, strict=True):
            behind = Control("filters by TCP", quantile(control, share))
            yield Row(ROOM, f"{what}, {name}", "ms", quantile(found, share), floor, goal, control=behind)


def waits(arm: Arm, load: Load) -> tuple[list[float], list[float]]:
    """Milliseconds to the answer, and to the mailbox, of messages sent one after the other."""
    found = arm.delivered(load)
    sent = found.outcome.accepted
    # one at a time: the n-th that was answered is the n-th that was stored
    journeys = [(stored - s.given) * 1000 for stored, s in zip(found.stored, sent, strict=True)]
    return [(s.answered - s.given) * 1000 for s in sent], journeys


def quantile(found: Sequence[float], share: float) -> float:
    """The value below which that share of them lies."""
    return sorted(found)[min(int(len(found) * share), len(found) - 1)]


def one_mailbox(full: Arm) -> Iterator[Row]:
    """A flood into one mailbox against the same into twenty."""
    load = replace(full.incoming, messages=MESSAGES, sessions=SESSIONS)

    def one() -> float:
        return full.rate(load, recipients=load.recipients[:1])

    ratio = paired(one, lambda: full.rate(load), 4)
    slow = full.rate(load, recipients=load.recipients[:1], sessions=1, messages=MESSAGES // 6)
    yield Row(
        ROOM,
        "flood into one mailbox ÷ into twenty",
        "",
        ratio.ratio,
        floor=0.6,
        goal=0.9,
        more_is_better=True,
        control=Control("one session alone", slow / max(ratio.b)),
        spread=ratio.spread,
    )


def ceiling(client: docker.DockerClient, arm: Arm) -> Row:
    """What the generator itself can do: into a sink that keeps nothing."""
    image = client.containers.get(f"{arm.name}-postfix").attrs["Config"]["Image"]
    sink = client.containers.run(
        image,
        ["smtp-sink", "-c", "0.0.0.0:2525", "200"],
        entrypoint=[],
        detach=True,
        labels={LABEL: arm.name},
        user="65534:65534",
    )
    try:
        sink.reload()
        host = next(iter(sink.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        time.sleep(0.5)
        outcome = run(Load(host, 2525, [f"user{i}@example.org" for i in range(20)], 4000, sessions=SESSIONS))
        return Row(ROOM, "the generator's own ceiling: into smtp-sink", "messages/s", len(outcome.accepted) / outcome.seconds)
    finally:
        sink.remove(force=True)


@contextlib.contextmanager
def by_tcp(arm: Arm, *services: str) -> Iterator[None]:
    """Filters whose sockets are reached by TCP meanwhile."""
    image = arm.client.containers.get(f"{arm.name}-policy").attrs["Config"]["Image"]
    relays = []
    offers = {s.name: o.socket for r in arm.where.app.catalog().values() for s in r.services for o in s.offers if o.stage}
    try:
        for service in services:
            relay = arm.client.containers.run(
                image,
                ["python3", "-c", RELAY.read_text(), f"/s/{offers[service]}"],
                entrypoint=[],
                detach=True,
                labels={LABEL: arm.name},
                user="0:0",
                network_mode="none",
                volumes={f"{arm.name}-{service}-sock": {"bind": "/s", "mode": "rw"}},
            )
            relays.append(relay)
            deadline = time.monotonic() + 20
            while b"ready" not in relay.logs():
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the relay of {service} does not start: {relay.logs().decode()}")
                time.sleep(0.1)
        yield
    finally:
        for relay in relays:
            relay.stop(timeout=10)
            relay.remove(force=True)
