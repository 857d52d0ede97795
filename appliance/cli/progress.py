"""Progress of long steps: lines that start and end, an animation on a terminal, JSON lines for programs.

One class per form; all of them are an ``engines.base.Report``. First output comes at once; without a terminal a heartbeat
tells that a long step is still alive.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import click

from appliance import __version__

if TYPE_CHECKING:
    from appliance.cli.app import App

HEARTBEAT = 15.0  # seconds without a line


def progress(app: App) -> Progress:
    """The form that fits: JSON lines with --json, an animation on a terminal, plain lines otherwise."""
    mode = app.progress_mode
    if app.json:
        return JsonLines()
    if mode == "quiet":
        return Quiet()
    if mode == "tty" or (mode == "auto" and sys.stderr.isatty()):
        return Animated(app)
    return Plain(app)


class Progress:
    """Lines for people on stderr: nothing at all in this base form, which is ``--progress quiet``."""

    def start(self, step: str, text: str) -> None:
        """A step begins."""

    def done(self, step: str, text: str = "") -> None:
        """It ended well."""

    def failed(self, step: str, text: str) -> None:
        """It failed."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def event(self, kind: str, **fields: Any) -> None:
        """Something for programs; people see it elsewhere."""

    def close(self) -> None:
        """The last word: stops what runs beside."""


class Quiet(Progress):
    """Only failures."""

    def failed(self, step: str, text: str) -> None:
        """A failed step is never kept silent."""
        click.echo(f"failed: {step}: {text}", err=True)


class Plain(Progress):
    """One line when a step starts and one when it ends, with its seconds, and a heartbeat between."""

    def __init__(self, app: App) -> None:
        self.app, self.lock = app, threading.RLock()
        self.running: dict[str, tuple[str, float]] = {}
        self.last = time.monotonic()
        self.over = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def line(self, text: str) -> None:
        """Writes one line."""
        with self.lock:
            self.last = time.monotonic()
            self.app.say(text)

    def start(self, step: str, text: str) -> None:
        """``… text``."""
        with self.lock:
            self.running[step] = (text, time.monotonic())
            self.line(f"… {text}")

    def done(self, step: str, text: str = "") -> None:
        """``✓ text (1.2 s)``."""
        with self.lock:
            began, since = self.running.pop(step, (step, time.monotonic()))
            self.line(f"{click.style('✓', fg='green')} {text or began} ({time.monotonic() - since:.1f} s)")

    def failed(self, step: str, text: str) -> None:
        """``✗ text``."""
        with self.lock:
            self.running.pop(step, None)
            self.line(f"{click.style('✗', fg='red')} {text}")

    def note(self, text: str) -> None:
        """``- text``."""
        self.line(f"- {text}")

    def close(self) -> None:
        """Stops the heartbeat."""
        self.over.set()

    def _beat(self) -> None:
        while not self.over.wait(1.0):
            with self.lock:
                if self.running and time.monotonic() - self.last > HEARTBEAT:
                    text, since = next(iter(self.running.values()))
                    self.line(f"… still: {text} ({time.monotonic() - since:.0f} s)")


class Animated(Plain):
    """A moving line below the lines of the finished steps."""

    FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

    def start(self, step: str, text: str) -> None:
        """The step joins the moving line."""
        with self.lock:
            self.running[step] = (text, time.monotonic())
            self._draw(0)

    def line(self, text: str) -> None:
        """Clears the moving line, writes, and draws it again."""
        with self.lock:
            sys.stderr.write("\r\x1b[K")
            super().line(text)
            self._draw(0)

    def close(self) -> None:
        """Clears the moving line for good."""
        super().close()
        with self.lock:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _beat(self) -> None:
        tick = 0
        while not self.over.wait(0.1):
            tick += 1
            with self.lock:
                self._draw(tick)

    def _draw(self, tick: int) -> None:
        if not self.running:
            sys.stderr.write("\r\x1b[K")
        else:
            text, since = next(iter(self.running.values()))
            more = f" (+{len(self.running) - 1})" if len(self.running) > 1 else ""
            columns = click.get_current_context(silent=True)
            width = (columns.terminal_width if columns and columns.terminal_width else 0) or _columns()
            shown = f"{self.FRAMES[tick % len(self.FRAMES)]} {text}{more} {time.monotonic() - since:.0f} s"
            sys.stderr.write(f"\r\x1b[K{shown[: width - 1]}")
        sys.stderr.flush()


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


class JsonLines(Progress):
    """One JSON object a line on stdout, the first one says the version."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.event("version", schema_version=1, appliance=__version__)

    def event(self, kind: str, **fields: Any) -> None:
        """Writes one line."""
        with self.lock:
            click.echo(json.dumps({"type": kind, **fields}, ensure_ascii=False, default=str))
            sys.stdout.flush()

    def start(self, step: str, text: str) -> None:
        """``{"type":"start"…}``."""
        self.event("start", step=step, text=text)

    def done(self, step: str, text: str = "") -> None:
        """``{"type":"done"…}``."""
        self.event("done", step=step, text=text)

    def failed(self, step: str, text: str) -> None:
        """``{"type":"failed"…}``."""
        self.event("failed", step=step, text=text)

    def note(self, text: str) -> None:
        """``{"type":"note"…}``."""
        self.event("note", text=text)
