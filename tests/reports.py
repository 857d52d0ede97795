"""A Report that remembers, for tests."""

from __future__ import annotations

import threading


class Recorder:
    """``events``: (kind, step, text) in the order in which they came; notes have no step."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()

    def start(self, step: str, text: str) -> None:
        self._add("start", step, text)

    def done(self, step: str, text: str = "") -> None:
        self._add("done", step, text)

    def failed(self, step: str, text: str) -> None:
        self._add("failed", step, text)

    def note(self, text: str) -> None:
        self._add("note", "", text)

    @property
    def notes(self) -> list[str]:
        """The texts of the notes."""
        return [text for kind, _, text in self.events if kind == "note"]

    def steps(self, step: str) -> list[str]:
        """What became of one step, as kinds."""
        return [kind for kind, name, _ in self.events if name == step]

    def _add(self, kind: str, step: str, text: str) -> None:
        with self._lock:
            self.events.append((kind, step, text))
