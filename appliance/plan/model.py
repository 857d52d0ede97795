"""desired Bundle + observed state → Plan. Pure: no socket, no clock. What apply does is exactly what stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from appliance.render.bundle import Bundle, ServiceBundle

Action = Literal["create", "replace", "restart", "reload", "update", "start", "remove", "keep"]


@dataclass(frozen=True)
class FileChange:
    """A changed file: ``kind`` is added, changed or removed; ``note`` replaces a diff that must not be shown."""

    path: str
    kind: Literal["added", "changed", "removed"]
    on_change: str
    secret: bool = False
    source: str = ""


@dataclass(frozen=True)
class Change:
    """What happens to one service. ``why``: sentences. ``interrupts``: listeners that are closed for a moment."""

    service: str
    action: Action
    why: tuple[str, ...] = ()
    files: tuple[FileChange, ...] = ()
    interrupts: tuple[str, ...] = ()
    bundle: ServiceBundle | None = None  # None for remove
    packages: tuple[str, ...] = ()  # what another image changes, a line each: ``name 1.0 → 1.1``
    parsed: bool = False  # files that the daemon parses changed: validate before anything is disturbed


@dataclass(frozen=True)
class Resource:
    """A network, volume, image or key that is made or removed. ``ref`` is its name; ``danger`` says what cannot be undone."""

    kind: Literal["network", "volume", "image", "key"]
    action: Literal["create", "remove", "replace"]
    ref: str
    danger: str = ""


@dataclass(frozen=True)
class Plan:
    """The whole order. ``changes`` stand in the order in which they are carried out; ``keep`` entries are listed too."""

    instance: str
    bundle: Bundle
    changes: tuple[Change, ...]
    resources: tuple[Resource, ...] = ()
    settle: tuple[str, ...] = ()  # services whose <service>-previous must be settled first
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()  # dangers not allowed: apply refuses while there is one
    adopt: bool = False
    basis: str = ""  # observed.basis_of what it was made from; "": apply does not compare
    prune: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not self.resources and not self.settle and all(c.action == "keep" for c in self.changes)
