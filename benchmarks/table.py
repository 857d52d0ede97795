"""One line for each claim: floor, goal, measured, and a control that must come out worse."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["goal", "floor", "MISSED", "no control", "context"]


@dataclass(frozen=True)
class Control:
    """A thing that must come out worse than the claim's limit, or the measurement measures nothing.

    ``what`` names it; ``measured`` is in the row's unit.
    """

    what: str
    measured: float


@dataclass(frozen=True)
class Row:
    """One claim. ``floor`` must hold, ``goal`` is where we want to be; both None for figures that are only context.

    ``more_is_better`` for rates and ratios. ``spread`` (lowest, highest) of the rounds. ``note`` says what limits it.
    """

    room: str
    what: str
    unit: str
    measured: float
    floor: float | None = None
    goal: float | None = None
    more_is_better: bool = False
    control: Control | None = None
    spread: tuple[float, float] | None = None
    note: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, limit: float | None, value: float) -> bool:
        """Whether a value is on the right side of a limit."""
        return limit is None or (value >= limit if self.more_is_better else value <= limit)

    @property
    def verdict(self) -> Verdict:
        """The best limit that holds. A control that does not miss the floor takes the claim's worth away."""
        if self.floor is None and self.goal is None:
            return "context"
        if self.control is None or self.holds(self.floor if self.floor is not None else self.goal, self.control.measured):
            return "no control"
        if self.goal is not None and self.holds(self.goal, self.measured):
            return "goal"
        return "floor" if self.holds(self.floor, self.measured) else "MISSED"


def number(value: float | None) -> str:
    """Three significant figures, at most two decimals."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def limit(row: Row, value: float | None) -> str:
    """``≤ 0.80``."""
    return "-" if value is None else f"{'≥' if row.more_is_better else '≤'} {number(value)}"


def cells(row: Row) -> Sequence[str]:
    """The line's columns."""
    measured = number(row.measured) + (f" ({number(row.spread[0])}–{number(row.spread[1])})" if row.spread else "")
    control = f"{number(row.control.measured)}: {row.control.what}" if row.control else "-"
    unit = f" [{row.unit}]" if row.unit else ""
    return row.verdict, row.what + unit, limit(row, row.floor), limit(row, row.goal), measured, control


HEAD = ("verdict", "what", "floor", "goal", "measured", "control")


def lines(rows: Iterable[Row]) -> list[str]:
    """The table as text: columns as wide as they need be, the notes below."""
    rows = list(rows)
    table = [HEAD, *(cells(r) for r in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(HEAD) - 1)]
    out = ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]]).rstrip() for line in table]
    return out + [f"note: {r.what}: {r.note}" for r in rows if r.note]


def document(rows: Iterable[Row], machine: Mapping[str, Any]) -> str:
    """The same as JSON."""
    found = [{**asdict(r), "verdict": r.verdict} for r in rows]
    return json.dumps({"schema_version": 1, "machine": machine, "rows": found}, indent=2, ensure_ascii=False)
