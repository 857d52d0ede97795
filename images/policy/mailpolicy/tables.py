"""Text tables that are put in place by rename: read again when the file behind the name is another one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from mailpolicy.mailboxes import normal

T = TypeVar("T")
Addresses = Mapping[str, tuple[str, ...]]


class Table(Generic[T]):
    """One file and what ``parse`` makes of its text. ``get`` raises OSError or ValueError: the caller then answers 4xx."""

    def __init__(self, path: str, parse: Callable[[str], T]) -> None:
        self.path, self.parse = path, parse
        self._lock = threading.Lock()
        self._loaded: tuple[tuple[int, int, int], T] | None = None

    def get(self) -> T:
        """The table as the file says it now."""
        found = self._loaded
        if found and found[0] == _mark(Path(self.path).stat()):
            return found[1]
        with self._lock:
            with Path(self.path).open(encoding="utf-8") as file:
                # the mark of what is read, not of what may have taken its name since
                mark = _mark(os.fstat(file.fileno()))
                if not self._loaded or self._loaded[0] != mark:
                    self._loaded = (mark, self.parse(file.read()))
            return self._loaded[1]


def _mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def addresses(text: str) -> Addresses:
    """Lines ``address other[, other…]``; an address alone has none. Lines that begin with # are remarks."""
    table: dict[str, tuple[str, ...]] = {}
    same: dict[str, str] = {}
    for line in text.splitlines():
        if line and line[0] != "#":
            key, _, rest = line.partition(" ")
            key = normal(key)
            # most lines name themselves: one string in memory instead of two
            table[same.setdefault(key, key)] = tuple(same.setdefault(o, o) for o in map(normal, rest.replace(",", " ").split()))
    return table
