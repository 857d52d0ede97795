"""The fault matrix: parts × stopped, paused, slow, garbage, missing. Mail waits with its sender; nothing gets past a check."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.table import Control, Row
from tests.chaos.cells import FAULTS, SLACK, Cell, Part, tried
from tests.chaos.world import started
from tests.instances import Instances
from tests.integration.running import Appliance
from tests.integration.sabotage import main_cf

if TYPE_CHECKING:
    import docker

ROOM = "matrix"
BOTH = ("25", "587")

PARTS = (
    Part("clamd", "clamd", "clamd.sock", 75, BOTH, asker="clamav-milter"),
    Part("clamav-milter", "clamav-milter", "milter.sock", 90, BOTH),
    Part("policy", "policy", "milter.sock", 20, ("587",)),
    Part("opendkim-rsa", "opendkim-rsa", "milter.sock", 20, ("587",)),
    Part("opendkim-ed25519", "opendkim-ed25519", "milter.sock", 20, ("587",)),
    Part("quota policy", "policy-recipients", "recipients.sock", 31, BOTH),  # Postfix asks twice for 15 s, a second apart
    Part("quota of the store", "dovecot", "quota-status", 15, BOTH, process="quota-status", asker="policy-recipients"),
    Part("SASL", "dovecot", "auth", 10, ("587",), drops=("587",), process="auth"),
    Part("LMTP", "dovecot", "lmtp", 10, process="lmtp"),
    Part("the whole store", "dovecot", "", 31, BOTH, drops=("587",)),
    Part("resolver", "resolver", "", 10),
)
#: the store as a whole has no one socket
CELLS = [(part, fault) for part in PARTS for fault in FAULTS if part.socket or part.service == "resolver" or fault in FAULTS[:2]]


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    with started(client, instances, "matrix") as where:
        found = [shown(tried(where, part, fault)) for part, fault in CELLS]
        open_, blind = opened(where), blinded(where)
    bad = [c for c in found if c.wrong]
    yield Row(
        ROOM,
        f"cells of {len(found)} in which mail was refused for good, bounced, lost, or got past a check",
        "cells",
        len(bad),
        floor=0,
        goal=0,
        control=Control("of 3 whose default action is accept", open_),
        raw={
            f"{c.part} {c.fault}": [*c.wrong, {who: (a.code, a.text, a.seconds) for who, a in c.answers.items()}] for c in found
        },
        note="; ".join(f"{c.part} {c.fault}: {', '.join(c.wrong)}" for c in bad),
    )
    limits = {p.name: p.limit for p in PARTS}
    yield Row(
        ROOM,
        f"the slowest answer ÷ the rendered time limit, with {SLACK} s for the rest",
        "",
        max(c.slowest / (limits[c.part] + SLACK) for c in found),
        floor=1,
        goal=1,
        control=Control("a milter without a limit of ours", blind),
    )
    for part in PARTS:
        yield Row(ROOM, f"the slowest answer without {part.name}", "s", max(c.slowest for c in found if c.part == part.name))


def shown(cell: Cell) -> Cell:
    """A line on stderr."""
    codes = " ".join(f"{who.replace(' ', '-')}={a.code}" for who, a in cell.answers.items())
    words = f" WRONG: {'; '.join(cell.wrong)}" if cell.wrong else ""
    print(f"    {cell.part} {cell.fault}: {codes} {cell.slowest:.1f} s{words}", file=sys.stderr, flush=True)
    return cell


def opened(where: Appliance, names: Sequence[str] = ("clamav-milter", "policy", "opendkim-rsa")) -> int:
    """The control: milters that are passed by when they are silent. How many of their cells are seen to be wrong."""
    with main_cf("s/default_action=tempfail/default_action=accept/").on(where):
        return sum(bool(shown(tried(where, part, "stopped")).wrong) for part in PARTS if part.name in names)


def blinded(where: Appliance) -> float:
    """The control of the time: the policy's milter is held, and Postfix would wait for 300 s."""
    part = next(p for p in PARTS if p.name == "policy")
    with main_cf("/policy.milter.sock/s/_timeout=[0-9]*s/_timeout=300s/g").on(where):
        cell = shown(tried(where, replace(part, limit=15), "paused"))
    return cell.slowest / (15 + SLACK)
