"""The controller is killed between any two steps of an apply, at any moment of one under load, and two of them run at once."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engines.docker.engine import connect
from appliance.errors import ApplianceError, Exit
from benchmarks.table import Control, Row
from tests.chaos.kills import answering
from tests.chaos.ledger import Ledger
from tests.chaos.world import drained, started, unsigned, until
from tests.instances import Instances
from tests.integration.engine_room import Room, base_image
from tests.integration.mail import submit
from tests.integration.running import Appliance
from tests.integration.sabotage import Stopped, Together, main_cf
from tests.integration.test_engine_kill import killed, texts_of_steps, two_states

if TYPE_CHECKING:
    import docker

ROOM = "controller"
KILLS = 12
#: from either spec to the other: a new container, reloads, a table that is changed in place
CHANGES = (
    ("message_size: 2 MiB", "message_size: 3 MiB"),
    ("  sales@example.org: [", "  more@example.org: [bob@example.org]\n  sales@example.org: ["),
    ("recipients_per_hour: 1000000}", "recipients_per_hour: 999999}\n  postfix: {processes: 41}"),
)


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    yield between_steps(client, instances)
    with started(client, instances, "controller") as where:
        yield from at_any_moment(where)
        yield at_once(where)


def between_steps(client: docker.DockerClient, instances: Instances) -> Row:
    """The engine's own rig: small services, one change of each kind, killed before every step."""
    hands = connect()
    room = Room(hands, instances.new("steps"), base_image(client))
    one, two = two_states(room)
    room.up(one)
    idle = int(room.plan(one).empty)
    steps = texts_of_steps(room, two)
    bad: list[str] = []
    here, there = one, two
    for at, step in enumerate(steps):
        try:
            killed(room, there, at)
            bad += [f"killed before {step}: nothing is pending"] * room.plan(there).empty
            room.up(there)
            bad += [f"killed before {step}: the next up does not converge"] * (not room.plan(there).empty)
        except (AssertionError, ApplianceError) as why:
            bad.append(f"killed before {step}: {why}")
        here, there = there, here
    instances.remove(room.instance)
    hands.close()
    return Row(
        ROOM,
        f"kills before each of {len(steps)} steps after which nothing was pending, the lock stayed, or `up` did not converge",
        "",
        len(bad),
        floor=0,
        goal=0,
        control=Control("a plan that nobody killed has nothing pending", idle),
        note="; ".join(bad),
    )


@dataclass
class Course:
    """What went wrong over the kills; ``cut``: applies that were really cut off."""

    cut: int = 0
    bad: list[str] = field(default_factory=list)


def at_any_moment(where: Appliance) -> Iterator[Row]:
    """The command itself is killed while mail goes in: no half of an apply loses mail, refuses it or leaves it unsigned."""
    course, chance = Course(), random.Random(20261124)  # noqa: S311
    plain = where.spec_path.read_text(encoding="utf-8")
    other = plain
    for old, new in CHANGES:
        other = other.replace(old, new)
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Ledger(where, Path(folder) / "ledger", senders=1, pause=0.05) as ledger:
            answering(ledger, time.time())
            for number in range(KILLS):
                where.spec_path.write_text((other, plain)[number % 2], encoding="utf-8")
                cut_off(where, course, chance.uniform(0.5, 6))
        idents = ledger.idents
        found = drained(where, idents)
    mine = {a.sent.ident for a in ledger.acks if a.listener == "submission"}
    open_ = unsigned(where) & mine
    yield Row(
        ROOM,
        f"kills of `up`, {course.cut} of them under way, after which plan was empty, the lock stayed, or `up` did not converge",
        "",
        len(course.bad),
        floor=0,
        goal=0,
        control=Control("a plan that nobody killed has nothing pending", int(pending(where) == Exit.DONE)),
        note="; ".join(course.bad),
    )
    yield Row(
        ROOM,
        f"of {len(idents):,} mails acknowledged meanwhile: lost, unsigned or refused for good",
        "mails",
        len(idents - set(found)) + len(open_) + sum(ledger.hard.values()),
        floor=0,
        goal=0,
        control=Control("two signers stopped and passed by", passed_by(where)),
        raw={"lost": sorted(idents - set(found)), "unsigned": sorted(open_), "refused": ledger.hard},
    )


def cut_off(where: Appliance, course: Course, seconds: float) -> None:
    """One `up` that is killed after so many seconds; then plan, up, plan."""
    argv = [sys.executable, "-m", "appliance", "-f", str(where.spec_path), "-y", "up", "--no-verify"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as apply:
        try:
            apply.wait(seconds)
        except subprocess.TimeoutExpired:
            apply.kill()
            course.cut += 1
    done = apply.returncode == 0
    try:
        until(lambda: not_locked(where) or None, "the lock is gone", 15)
    except RuntimeError as why:
        course.bad.append(str(why))
    if pending(where) != (Exit.DONE if done else Exit.PENDING):
        course.bad.append(f"killed after {seconds:.1f} s: plan ended with {pending(where)}")
    end = where.cli("-y", "up", "--no-verify", check=False)
    if end.returncode or pending(where) != Exit.DONE:
        course.bad.append(f"killed after {seconds:.1f} s: up ended with {end.returncode}: {end.stderr[-200:]}")


def pending(where: Appliance) -> int:
    """How `plan` ends: 0 with nothing to do, 2 with something."""
    return where.cli("plan", "--detailed-exitcode", check=False).returncode


def not_locked(where: Appliance) -> bool:
    """Whether no apply holds the instance."""
    return not where.client.containers.list(all=True, filters={"name": f"^/{where.name}-writer$"})


def passed_by(where: Appliance) -> int:
    """The control: mails that leave unsigned when both signers are away and nobody waits for them."""
    away = (main_cf("s/default_action=tempfail/default_action=accept/"), Stopped("opendkim-rsa"), Stopped("opendkim-ed25519"))
    names = {f"open-{n}-{time.time_ns()}@tests" for n in range(5)}
    with Together(away).on(where):
        taken = {name for name in names if submit(where, name).accepted}
    drained(where, taken)
    return len(unsigned(where) & taken)


def at_once(where: Appliance) -> Row:
    """Two controllers: one applies, the other says that the lock is held (5), or finds nothing left to do."""
    text = where.spec_path.read_text(encoding="utf-8")
    for old, new in CHANGES:
        text = text.replace(old, new)
    where.spec_path.write_text(text, encoding="utf-8")
    argv = [sys.executable, "-m", "appliance", "-f", str(where.spec_path), "-y", "up", "--no-verify"]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    codes = sorted(p.wait(120) for p in both)
    for process in both:
        process.communicate()
    after = pending(where)
    return Row(
        ROOM,
        "two controllers at once: both applied, or neither, or something is still pending",
        "",
        int(codes not in ([0, Exit.LOCKED], [0, 0]) or after != Exit.DONE),
        floor=0,
        goal=0,
        control=Control("the spec changed and nobody applied it", int(changed(where) != Exit.DONE)),
        raw={"codes": codes, "plan": after},
    )


def changed(where: Appliance) -> int:
    """How `plan` ends when the spec has one change that was not applied."""
    text = where.spec_path.read_text(encoding="utf-8")
    where.spec_path.write_text(text.replace("message_size: 3 MiB", "message_size: 4 MiB"), encoding="utf-8")
    return pending(where)
