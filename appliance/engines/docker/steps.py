"""An apply as a list of small steps that can be read, printed and undone.

A step does one thing. When one fails, that step and all before it are undone, newest first; each ``undo`` therefore also copes
with a ``do`` that got only half-way.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from appliance.engines.base import Report
from appliance.engines.docker.hand import HandLost
from appliance.errors import ApplianceError, Exit


def nothing() -> None:
    """The undo of a step that leaves nothing to undo."""


@dataclass(frozen=True)
class Step:
    """``group``: the service or the phase under which progress shows it; ``text`` says in words what ``do`` does."""

    group: str
    text: str
    do: Callable[[], None]
    undo: Callable[[], None] = nothing


class Interrupted(ApplianceError):
    """The user, or the system, asked to end."""

    code = Exit.INTERRUPTED

    def __init__(self) -> None:
        super().__init__("interrupted")


class Interrupts:
    """SIGINT and SIGTERM as a wish that is looked at between two steps, so that no call is cut in the middle."""

    def __init__(self) -> None:
        self._wish = threading.Event()

    def check(self) -> None:
        """Raises Interrupted when somebody asked to end."""
        if self._wish.is_set():
            raise Interrupted

    def sleep(self, seconds: float) -> None:
        """Waits, and raises Interrupted as soon as somebody asks to end."""
        if self._wish.wait(seconds):
            raise Interrupted

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catches both signals within; only the main thread may, elsewhere they keep their meaning."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> Any:
        self._wish.set()


class Runner:
    """Carries steps out in their order, and back."""

    def __init__(self, report: Report, check: Callable[[], None]) -> None:
        self.report, self.check = report, check

    def before(self, number: int, step: Step) -> None:
        """The place between two steps."""

    def run(self, steps: Sequence[Step]) -> None:
        """Raises what the failed step raised, as an ApplianceError that says whether everything was put back."""
        last = {step.group: n for n, step in enumerate(steps)}
        begun: list[Step] = []
        started: set[str] = set()
        try:
            for n, step in enumerate(steps):
                self.before(n, step)
                self.check()
                if step.group not in started:
                    started.add(step.group)
                    self.report.start(step.group, step.text)
                begun.append(step)
                step.do()
                if last[step.group] == n:
                    started.discard(step.group)
                    self.report.done(step.group)
        except HandLost as why:
            # somebody else holds the lock now: to undo would be to write into their apply
            self._failed(started, why)
            raise
        except Exception as why:
            self._failed(started, why)
            raise self._back(begun, why) from (None if isinstance(why, ApplianceError) else why)

    def close(self, steps: Sequence[Step]) -> None:
        """The steps behind the last one that can fail: none is undone, and a wish to end waits until they are done."""
        for n, step in enumerate(steps):
            self.before(n, step)
            step.do()

    def _failed(self, started: set[str], why: Exception) -> None:
        for group in started:
            self.report.failed(group, str(why).splitlines()[0] if str(why) else type(why).__name__)

    def _back(self, begun: list[Step], why: Exception) -> ApplianceError:
        self.report.start("undo", "putting everything back")
        left = []
        for step in reversed(begun):
            try:
                step.undo()
            except HandLost as lost:
                return lost
            except Exception as trouble:
                left.append(f"{step.text}: {trouble}")
        message = str(why) or type(why).__name__
        hint, code = (why.hint, why.code) if isinstance(why, ApplianceError) else ("", Exit.FAILED)
        if left:
            self.report.failed("undo", "not everything could be put back")
            return ApplianceError(
                "\n  ".join((f"{message}; not everything could be put back:", *left)),
                hint="`appliance plan` shows what is left to do",
                code=code,
            )
        self.report.done("undo", "everything was put back")
        return ApplianceError(f"{message}\n  everything was put back", hint=hint, code=code)
