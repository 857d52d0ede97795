"""How many recipients a login had within the last hour. Counts outlive the filter, or a restart would be a new allowance."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

WINDOW = 60  # minutes


class Rate:
    """Counts per login and minute. ``clock`` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.changed = False
        self._lock = threading.Lock()
        self._minutes: dict[str, dict[int, int]] = {}
        self._told: dict[str, int] = {}

    def take(self, login: str, limit: int) -> bool:
        """Counts one recipient; False, and nothing counted, when the login has had ``limit`` of them."""
        now = self._now()
        with self._lock:
            minutes = self._minutes.setdefault(login, {})
            for minute in [m for m in minutes if m <= now - WINDOW]:
                del minutes[minute]
            if sum(minutes.values()) >= limit:
                return False
            minutes[now] = minutes.get(now, 0) + 1
            self.changed = True
            return True

    def tell(self, login: str) -> bool:
        """Whether this refusal is worth a line: the first of a minute."""
        now = self._now()
        with self._lock:
            fresh = self._told.get(login) != now
            self._told[login] = now
            return fresh

    def load(self, path: Path) -> None:
        """Takes up the counts of before; a file that is not there or cannot be read starts at nothing."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            counts = {str(login): {int(m): int(n) for m, n in minutes.items()} for login, minutes in found.items()}
        except (OSError, ValueError, AttributeError):
            return
        with self._lock:
            self._minutes = counts

    def save(self, path: Path) -> None:
        """Writes the counts of the last hour, if there are new ones, and puts them in place by rename."""
        now = self._now()
        with self._lock:
            if not self.changed:
                return
            self.changed = False
            recent = {login: {m: n for m, n in minutes.items() if m > now - WINDOW} for login, minutes in self._minutes.items()}
            self._minutes = {login: minutes for login, minutes in recent.items() if minutes}
            text = json.dumps(self._minutes)
            self._told = {login: minute for login, minute in self._told.items() if minute == now}
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)

    def _now(self) -> int:
        return int(self.clock() // 60)
