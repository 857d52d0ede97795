"""Services that wait for something from outside are waited for, all together, and then left to it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.cli import waiting
from appliance.engines.base import ExecResult
from appliance.render.bundle import WAITING, Health
from tests.reports import Recorder


class World:
    """Services whose health commands end with WAITING for so many looks; the clock goes on with each pause."""

    def __init__(self, looks: dict[str, int]) -> None:
        self.looks, self.now, self.recorder = dict(looks), 0.0, Recorder()

    def exec(self, instance: str, service: str, argv: Sequence[str], *, timeout: int = 60) -> ExecResult:
        self.looks[service] -= 1
        return ExecResult(WAITING, b"", b"no signatures yet\n") if self.looks[service] >= 0 else ExecResult(0, b"", b"")

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("appliance.cli.waiting.time.monotonic", lambda: self.now)
        monkeypatch.setattr("appliance.cli.waiting.time.sleep", self.sleep)
        runtime = SimpleNamespace(health=Health(("true",)))
        bundle = SimpleNamespace(service=lambda _: SimpleNamespace(runtime=runtime))
        changes = [SimpleNamespace(service=s, action="create", bundle=SimpleNamespace(runtime=runtime)) for s in self.looks]
        plan = SimpleNamespace(instance="t", bundle=bundle, changes=changes)
        planned: Any = SimpleNamespace(plan=plan, observed=SimpleNamespace(services={}))
        app: Any = SimpleNamespace(engine=lambda: self, report=lambda: self.recorder)
        waiting.wait(app, planned)


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        ({"clamd": 0, "freshclam": 0}, 0),
        ({"clamd": 5, "freshclam": 0}, 4 * waiting.PAUSE),
        ({"clamd": 10**9, "freshclam": 10**9}, waiting.PATIENCE),  # not once for each
    ],
)
def test_how_long(monkeypatch: pytest.MonkeyPatch, looks: dict[str, int], seconds: float) -> None:
    world = World(looks)
    world.wait(monkeypatch)
    assert world.now == pytest.approx(seconds, abs=waiting.PAUSE)
