"""`appliance up` whose proof fails: what is put back, what stays, and what is said. The engine is made of data."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import run
from appliance.cli.putback import standing
from appliance.engines.base import ExecResult
from appliance.engines.manifest import manifest_of
from appliance.errors import ApplianceError, Exit
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.observed import HostFacts, Manifest, Observed, ObservedService
from appliance.plan import Plan
from appliance.render.bundle import Bundle, File
from appliance.verify.proof import Proof, Step
from tests.unit.test_engine_verbs import SPEC

LARGER = SPEC + "message_size: 30 MiB\n"
MORE_PEOPLE = SPEC.replace("mailboxes: {", "mailboxes: {bob@example.org: {password: '{PASSWORD}'}, ").replace(
    "{PASSWORD}", "{SHA512-CRYPT}$6$saltsalt$" + "y" * 86
)


class Engine:
    """Runs the last bundle that was applied, and keeps all of them."""

    def __init__(self) -> None:
        self.running: Bundle | None = None
        self.whys: list[str] = []
        self.records: list[Manifest] = []
        self.files: dict[tuple[str, str], Mapping[str, bytes]] = {}
        self.clock = itertools.count(1)
        self.fails: str = ""  # the word of an apply's reason that shall fail
        self.half = False  # the edge has not loaded its files

    def observe(self, instance: str, **_how: object) -> Observed:
        host, images = HostFacts("28", "1.51", (4,), 0, 0, 0, ()), frozenset(tags(Lock()).values())
        if self.running is None:
            return Observed(instance, images=images, host=host)
        ring = self.running.ring_id
        seen = {s.name: self._seen(s.name, ring) for s in self.running.services}
        volumes: dict[str, str | None] = {v.name: ring for v in self.running.volumes}
        return Observed(instance, seen, (), volumes, self.running.network, images, ring_id=ring, host=host)

    def _seen(self, name: str, ring: str | None) -> ObservedService:
        assert self.running is not None
        service = self.running.service(name)
        manifest = next(m for m in reversed(self.records) if m.service == name)
        loaded = None if self.half and name == "postfix" else service.live
        return ObservedService(name, "running", "healthy", service.runtime, service.live, loaded, manifest, manifest, ring)

    def manifests(self, observed: Observed, wanted: Mapping[str, str]) -> Observed:
        return observed

    def read(self, instance: str, service: str, live: str) -> Mapping[str, bytes]:
        return self.files[service, live]

    def history(self, instance: str) -> tuple[Manifest, ...]:
        return tuple(sorted(self.records, key=lambda m: -m.time))

    def exec(self, instance: str, service: str, argv: Sequence[str], **_how: object) -> ExecResult:
        return ExecResult(0, b"", b"")

    def apply(self, plan: Plan, *_: object, why: str, **_how: object) -> None:
        self.whys.append(why)
        if self.fails and self.fails in why:
            raise ApplianceError("the disk is full\n  everything was put back", hint="make room")
        self.running, now = plan.bundle, float(next(self.clock))
        for s in plan.bundle.services:
            self.records.append(manifest_of(s, plan.bundle.release, time=now, who="me@here", controller="0"))
            self.files[s.name, s.live] = {f.path: f.data if isinstance(f, File) else b"" for f in s.files}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: made)
    return made


Up = Callable[..., tuple[int, str]]


@pytest.fixture
def up(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Up:
    """``up(spec, "relay", …)``: applies a spec; these steps of its proof fail. Its exit code and what it said."""

    def up(text: str, *failing: str, words: Sequence[str] = ()) -> tuple[int, str]:
        (tmp_path / "mail.yml").write_text(text)
        monkeypatch.setattr("appliance.cli.verify.shown", lambda app, **_how: proof(release(engine), failing))
        capsys.readouterr()
        code = run(["-y", *(w for w in words if w == "--json"), "up", *(w for w in words if w != "--json")])
        caught = capsys.readouterr()
        return code, caught.out + caught.err

    return up


def release(engine: Engine) -> str:
    assert engine.running is not None
    return engine.running.release


def proof(of: str, failing: Sequence[str]) -> Proof:
    def step(name: str, status: Any) -> Step:
        return Step(name, name, "outwards" if name.startswith("outwards") else "relay", status, 0.0, 0.0)

    steps = (step("probe", "ok"), *(step(n, "failed") for n in failing))
    return Proof("t", "mail.example.org", of, "spec", "smoke", "run", "seen from here", 0.0, 0.0, steps)


def test_the_release_before_is_put_back(engine: Engine, up: Up) -> None:
    assert up(SPEC)[0] == Exit.DONE
    first = release(engine)
    code, said = up(LARGER, "relay", "inbound")
    assert (code, release(engine)) == (Exit.UNPROVEN, first)
    assert engine.whys == ["up", "up", f"putting back {first}"]
    assert f"not proven (relay, inbound failed): release {first} was put back, with today's mailboxes, passwords and keys" in said
    assert "--keep-unproven" in said
    assert up(SPEC)[0] == Exit.DONE
    assert len(engine.whys) == 3, "what runs is what the earlier spec asks for"


def test_people_of_today_stay(engine: Engine, up: Up) -> None:
    up(SPEC)
    code, _ = up(MORE_PEOPLE + "message_size: 30 MiB\n", "relay")
    assert code == Exit.UNPROVEN
    assert "bob@example.org" in users(engine)
    assert up(MORE_PEOPLE)[0] == Exit.DONE
    assert len(engine.whys) == 3, "the earlier settings with today's people are what is there"


def users(engine: Engine) -> str:
    assert engine.running is not None
    found = (f.data for f in engine.running.service("dovecot").files if isinstance(f, File) and f.path == "users")
    return next(found).decode()


@pytest.mark.parametrize(
    ("text", "failing", "words", "why"),
    [
        (LARGER, ["relay"], ["--keep-unproven"], "stays running: --keep-unproven was said"),
        (LARGER, ["outwards-ipv4"], [], "stays running: what failed is decided elsewhere"),
        (LARGER, ["trusted", "outwards-ipv6"], [], "stays running: what failed is decided elsewhere"),
        (MORE_PEOPLE, ["relay"], [], "stays running: only people or keys changed, and these never go back"),
    ],
)
def test_what_stays(engine: Engine, up: Up, text: str, failing: list[str], words: list[str], why: str) -> None:
    up(SPEC)
    code, said = up(text, *failing, words=words)
    assert code == Exit.UNPROVEN
    assert why in said
    assert "`appliance verify` proves it" in said
    assert engine.whys == ["up", "up"]


def test_the_first_deployment_stays_and_says_how_to_go_on(engine: Engine, up: Up) -> None:
    code, said = up(SPEC, "relay")
    assert (code, engine.whys) == (Exit.UNPROVEN, ["up"])
    assert f"release {release(engine)} stays running: nothing ran before it that could be put back" in said
    assert "mend what failed and run `appliance up` again" in said


def test_one_step_of_ours_is_enough(engine: Engine, up: Up) -> None:
    up(SPEC)
    assert "was put back" in up(LARGER, "outwards-ipv4", "relay")[1]


def test_a_run_that_changed_nothing_puts_nothing_back(engine: Engine, up: Up) -> None:
    up(SPEC)
    code, said = up(SPEC, "relay")
    assert (code, engine.whys) == (Exit.UNPROVEN, ["up"])
    assert "put back" not in said


def test_what_was_not_whole_is_not_put_back(engine: Engine, up: Up) -> None:
    up(SPEC)
    engine.half = True
    code, said = up(LARGER, "relay")
    assert (code, engine.whys) == (Exit.UNPROVEN, ["up", "up"])
    assert "what ran before was no whole release" in said


def test_when_putting_back_fails_both_are_said(engine: Engine, up: Up) -> None:
    up(SPEC)
    first, engine.fails = release(engine), "putting back"
    code, said = up(LARGER, "relay")
    assert code == Exit.UNPROVEN
    assert release(engine) != first
    assert f"not proven (relay failed): release {release(engine)} stays running: release {first} could not be put back:" in said
    assert "the disk is full" in said
    assert "everything was put back" not in said, "the engine's words would be read as if the release had been"
    assert "hint: make room" in said


@pytest.mark.parametrize(("words", "done"), [([], True), (["--keep-unproven"], False)])
def test_programs_are_told(engine: Engine, up: Up, words: list[str], done: bool) -> None:
    up(SPEC)
    first = release(engine)
    _, said = up(LARGER, "relay", words=["--json", *words])
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    (event,) = (e for e in events if e["type"] == "put-back")
    assert (event["done"], event["earlier"], bool(event["reason"])) == (done, first, not done)


def test_standing_is_the_release_that_runs_as_a_whole(engine: Engine, up: Up) -> None:
    up(SPEC)
    first = release(engine)
    up(LARGER)
    now, history = engine.observe("t"), engine.history("t")
    assert (standing(now, history).release, standing(now, history).first) == (release(engine), False)
    assert release(engine) != first
    for broken in (
        replace(now, previous=("postfix",)),
        replace(now, services={n: s for n, s in now.services.items() if n != "postfix"}),
        replace(now, services={n: replace(s, current="elsewhere") for n, s in now.services.items()}),
        replace(now, services={n: replace(s, runtime=replace(s.runtime, memory=1)) for n, s in now.services.items()}),
    ):
        assert standing(broken, history).release == ""
