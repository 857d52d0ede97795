"""The spec's text as a tree whose every node knows its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml

from appliance.errors import At, Problem
from appliance.spec.names import Fault
from appliance.spec.source import Source, path_text

Path = tuple[str | int, ...]


class Reader(Protocol):
    """How the doorway reads what the spec names; paths are relative to the spec. Raises OSError."""

    def file(self, path: str) -> bytes:
        """The bytes of a file."""

    def folder(self, path: str) -> Any:
        """Name → bytes of the files of a folder, without its sub-folders."""


@dataclass(slots=True, eq=False)
class Tree:
    """A node: a scalar with ``value``, or ``children`` by key (a map) or by number (``listed``)."""

    source: Source
    node: yaml.Node
    value: Any = None
    children: dict[str | int, Tree] | None = None
    listed: bool = False
    key: yaml.Node | None = None
    key_source: Source | None = None
    rows: list[Source] = field(default_factory=list)  # CSV files included here
    incomplete: bool = False  # a part of it could not be read: nothing is said about what seems to be missing

    def at(self) -> At:
        """Where the value stands; a map, a list and nothing are shown at their key."""
        if self.key is None or (self.children is None and self.value is not None):
            return place(self.source, self.node)
        return self.at_key()

    def at_key(self) -> At:
        """Where the key stands."""
        return place(self.key_source or self.source, self.key or self.node)

    def plain(self) -> Any:
        """The tree as Python data."""
        if self.children is None:
            return self.value
        return [c.plain() for c in self.children.values()] if self.listed else {k: c.plain() for k, c in self.children.items()}

    def find(self, path: Path) -> Tree:
        """The deepest node on the path; steps that the text does not have (a short form spelled out) are skipped."""
        tree = self
        for step in path:
            if tree.children is not None and step in tree.children:
                tree = tree.children[step]
        return tree


def place(source: Source, node: yaml.Node) -> At:
    """Where a node begins; its length when it ends in the same line."""
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line and not isinstance(node, yaml.CollectionNode) else 1
    return source.at(start.line, start.column, length)


def said(name: str, why: OSError | ValueError) -> str:
    """Why a file cannot be read, without Python's words."""
    if isinstance(why, UnicodeDecodeError):
        return f"{name} is not UTF-8 text (byte {why.start + 1})"
    reasons: dict[type, str] = {
        FileNotFoundError: "does not exist",
        IsADirectoryError: "is a folder, not a file",
        NotADirectoryError: "is a file, not a folder",
        PermissionError: "may not be read by you",
    }
    return f"{name} {reasons.get(type(why), f'cannot be read: {why}')}"


def rekey(tree: Tree, normal: Callable[[object], str], name: str) -> Iterator[Problem]:
    """Gives the children of a section their normal keys; yields what is no address or domain, and two spellings of one."""
    found: dict[str | int, Tree] = {}
    for key, child in (tree.children or {}).items():
        try:
            normalised = normal(key)
        except Fault as why:
            tree.incomplete = True
            yield Problem(why.kind, f"{path_text((name, key))}: {why.message}", child.at_key(), why.hint)
            continue
        if normalised in found:
            first = found[normalised].at_key()
            message = f"{path_text((name, key))} is {normalised}, which stands in {first.file}, line {first.line} already"
            yield Problem("duplicate-key", message, child.at_key())
            continue
        found[normalised] = child
    tree.children = found
