"""What the checks across fields stand on: the spec as far as it could be read, what was taken out of it, and the places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.errors import At, Problem
from appliance.spec.model import Spec
from appliance.spec.rows import find_row
from appliance.spec.source import path_text
from appliance.spec.tree import Path, Tree


@dataclass(frozen=True)
class Ground:
    """``broken``: paths that were wrong and taken out. Nothing is said about what depends on them."""

    spec: Spec
    tree: Tree
    broken: set[Path] = field(default_factory=set)

    def whole(self, *path: str | int) -> bool:
        """Whether the value at the path is the user's own."""
        return () not in self.broken and not any(path[: len(b)] == b or b[: len(path)] == path for b in self.broken)

    def complete(self, section: str) -> bool:
        """Whether every entry of a section could be read, so that a missing one is really missing."""
        tree = (self.tree.children or {}).get(section)
        return (section,) not in self.broken and not (tree is not None and tree.incomplete)

    def said(self, *path: str | int) -> bool:
        """Whether the text says the field at all."""
        tree = self.tree
        for step in path:
            if tree.children is None or step not in tree.children:
                return False
            tree = tree.children[step]
        return True

    def at(self, path: Path) -> At:
        """Where the value stands; rows of a CSV file are looked up now."""
        return self._row(path) or self.tree.find(path).at()

    def key(self, path: Path) -> At:
        """Where the key stands."""
        return self._row(path) or self.tree.find(path).at_key()

    def _row(self, path: Path) -> At | None:
        section = (self.tree.children or {}).get("mailboxes")
        if path[:1] != ("mailboxes",) or len(path) < 2 or section is None or path[1] in (section.children or {}):
            return None
        return next((at for source in section.rows if (at := find_row(source, str(path[1])))), None)

    def declared(self) -> set[str]:
        """Every address that the spec names as a mailbox or an alias, also where its entry is wrong."""
        names = set(self.spec.mailboxes) | set(self.spec.aliases)
        for section in ("mailboxes", "aliases"):
            tree = (self.tree.children or {}).get(section)
            names |= {str(name) for name in (tree.children or {})} if tree is not None and not tree.listed else set()
        return names

    def hosted(self) -> set[str]:
        """Every hosted domain, also where its entry is wrong."""
        tree = (self.tree.children or {}).get("domains")
        return set(self.spec.domains) | ({str(n) for n in tree.children or {}} if tree is not None and not tree.listed else set())

    def problem(self, kind: str, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """An error at the path's value, or at its key."""
        return Problem(kind, f"{path_text(path)}: {message}", self.key(path) if key else self.at(path), hint)

    def warning(self, kind: str, path: Path, message: str, hint: str = "") -> Problem:
        """A warning at the path's value."""
        return Problem(kind, f"{path_text(path)}: {message}", self.at(path), hint, level="warning")


Findings = Iterator[Problem]
