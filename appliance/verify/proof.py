"""What a verification found, as immutable data: enough for a terminal, for JSON, for JUnit and for a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

SCHEMA_VERSION = 1
Status = Literal["ok", "failed", "not-run"]
Suite = Literal["smoke", "full"]
SUITES: tuple[Suite, ...] = ("smoke", "full")


@dataclass(frozen=True)
class Step:
    """One check and its evidence.

    ``name`` is stable (``submission``, ``postfix/test_queue``), ``title`` a sentence, ``group`` a heading. ``sent`` and
    ``received`` are the decisive lines; the whole conversation stands in ``evidence["dialogue"]``, lines that begin with
    ``> `` (sent) or ``< `` (received). ``reason`` says why a step failed or was not run, ``remedy`` what to do about it.
    ``started`` and ``seconds``: seconds since the epoch, and how long it took.
    """

    name: str
    title: str
    group: str
    status: Status
    started: float
    seconds: float
    sent: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The step as a JSON object."""
        return {
            "name": self.name,
            "title": self.title,
            "group": self.group,
            "status": self.status,
            "started": stamp(self.started),
            "seconds": round(self.seconds, 3),
            "sent": list(self.sent),
            "received": list(self.received),
            "reason": self.reason,
            "remedy": self.remedy,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True)
class Proof:
    """The outcome of one verification. ``seen_from``: a sentence that says from where we connected."""

    instance: str
    hostname: str
    release: str
    spec_digest: str
    suite: Suite
    run_id: str
    seen_from: str
    started: float
    seconds: float
    steps: tuple[Step, ...]

    @property
    def failed(self) -> tuple[Step, ...]:
        """The steps that failed."""
        return tuple(s for s in self.steps if s.status == "failed")

    @property
    def proven(self) -> bool:
        """Nothing failed, and something was really tried."""
        return not self.failed and any(s.status == "ok" for s in self.steps)

    @property
    def outwards(self) -> str:
        """How far port 25 of the world is proven, which is another matter than what is proven here; "" where nobody looked."""
        found = [(s.name.rpartition("-")[2].replace("ipv", "IPv"), s) for s in self.steps if s.group == "outwards"]
        reached = [family for family, s in found if s.status == "ok"]
        missed = {f"over {family}: {s.reason}" for family, s in found if s.status != "ok"}
        if not reached:
            told = sorted((s for _, s in found), key=lambda s: s.status != "failed")
            return f"not proven outwards: {told[0].reason}" if told else ""
        return f"proven outwards over {' and '.join(reached)}" + "".join(f"; not {m}" for m in sorted(missed))

    def count(self, status: Status) -> int:
        """How many steps have that status."""
        return sum(s.status == status for s in self.steps)

    def summary(self) -> dict[str, Any]:
        """Everything but the steps, as a JSON object."""
        return {
            "schema_version": SCHEMA_VERSION,
            "instance": self.instance,
            "hostname": self.hostname,
            "release": self.release,
            "spec_digest": self.spec_digest,
            "suite": self.suite,
            "run_id": self.run_id,
            "seen_from": self.seen_from,
            "outwards": self.outwards,
            "started": stamp(self.started),
            "seconds": round(self.seconds, 3),
            "proven": self.proven,
            "ok": self.count("ok"),
            "failed": self.count("failed"),
            "not_run": self.count("not-run"),
        }

    def document(self) -> dict[str, Any]:
        """The whole proof as one JSON object."""
        return {**self.summary(), "steps": [s.document() for s in self.steps]}


def stamp(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
