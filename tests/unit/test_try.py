"""`appliance try` and `make down` beside an example that is not theirs, and after their folder was lost. No engine is asked."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli.main import run
from appliance.engines.base import Report
from appliance.errors import Exit
from appliance.observed import HostFacts, Manifest, Observed, ObservedService
from appliance.render.bundle import Port, Runtime

OTHER = "0123456789abcdef"
RUNTIME = Runtime("appliance/x:1", ("x",), "mail.example.org", ports=(Port("smtp", "127.0.0.1", 2525, 25),))
MANIFEST = Manifest("postfix", "1", "f", "r", 1.0, "me@here:/home/me/other/.try", "0.1", RUNTIME, {})
HOST = HostFacts("28", "1.51", (4,), 8 * 2**30, 4 * 2**30, 0, ())


class Engine:
    """An engine on which an example runs, of the ring ``ring``; None: nothing is there."""

    def __init__(self) -> None:
        self.ring: str | None = None
        self.asked: list[tuple[str, bool]] = []

    def observe(self, instance: str, **_how: object) -> Observed:
        if self.ring is None:
            return Observed(instance, host=HOST)
        service = ObservedService("postfix", "running", "healthy", RUNTIME, "1", "1", ring_id=self.ring)
        return Observed(instance, {"postfix": service}, (), {f"{instance}-mail": self.ring}, host=HOST)

    def manifests(self, observed: Observed, wanted: Mapping[str, str]) -> Observed:
        return replace(observed, services={n: replace(s, manifest=MANIFEST) for n, s in observed.services.items()})

    def read(self, instance: str, service: str, live: str) -> Mapping[str, bytes]:
        return {}

    def down(self, instance: str, report: Report, *, volumes: bool, break_lock: bool) -> None:
        self.asked.append((instance, volumes))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: made)
    return made


def ours(folder: Path) -> str:
    """The example as it lies there once it was started; the id of its ring."""
    from appliance.cli.try_ import lay_out

    lay_out(folder / ".try")
    assert run(["-f", ".try/mail.yml", "keys", "create", "--json"]) in (Exit.DONE, Exit.FAILED)
    return str(json.loads((folder / ".try/keys/example/ring.json").read_text())["id"])


def test_beside_another_checkouts_example(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ring = OTHER
    assert run(["try"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"belongs to the key ring {OTHER} (deployed by me@here:/home/me/other/.try), and there is no ring here" in said
    assert "it holds the ports 2525" in said
    assert "`make down` in that checkout removes it" in said
    assert list(tmp_path.iterdir()) == [], "what was laid out would invite `make down` to end it"


def test_a_folder_that_was_there_stays(engine: Engine, tmp_path: Path) -> None:
    here, engine.ring = ours(tmp_path), OTHER
    assert run(["try"]) == Exit.FAILED
    assert (tmp_path / ".try/keys/example/ring.json").exists(), here


def test_down_leaves_another_checkouts_example(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here, engine.ring = ours(tmp_path), OTHER
    assert run(["-y", "try", "--down"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert f"the key ring {OTHER} (deployed by me@here:/home/me/other/.try), and the ring here is {here}" in said
    assert "where it is gone, remove .try, then `make down` here asks for the host name" in said
    assert (engine.asked, (tmp_path / ".try").exists()) == ([], True)


@pytest.mark.parametrize("runs", [True, False])
def test_down_of_our_own(engine: Engine, tmp_path: Path, runs: bool, capsys: pytest.CaptureFixture[str]) -> None:
    here = ours(tmp_path)
    engine.ring = here if runs else None
    assert run(["try", "--down"]) == Exit.DONE
    assert (engine.asked, (tmp_path / ".try").exists()) == ([("example", True)], False)
    assert "example and .try are gone" in capsys.readouterr().err


@pytest.mark.parametrize("laid_out", [False, True])
@pytest.mark.parametrize(("typed", "code"), [("", Exit.USAGE), ("example\n", Exit.USAGE), ("mail.example.org\n", Exit.DONE)])
def test_down_after_the_folder_was_lost(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    laid_out: bool,
    typed: str,
    code: Exit,
) -> None:
    from appliance.cli.try_ import lay_out

    if laid_out:
        lay_out(tmp_path / ".try")
    engine.ring = OTHER
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert run(["-y", "try", "--down"]) == code
    said = capsys.readouterr().err
    assert ".try has no key ring, so this may be another checkout's: example (mail.example.org)" in said
    assert f"key ring {OTHER}, deployed by me@here:/home/me/other/.try; services: 1, volumes: 1" in said
    assert "example-mail: the messages" in said
    assert engine.asked == ([("example", True)] if code == Exit.DONE else [])
    assert "example is gone" in said or "example and .try are gone" in said or "echo mail.example.org | make down" in said


def test_down_of_nothing(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["try", "--down"]) == Exit.DONE
    assert "there is no example in .try, and none on the engine" in capsys.readouterr().err
    assert engine.asked == []
