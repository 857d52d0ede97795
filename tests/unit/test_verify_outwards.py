"""Port 25 outwards: who is asked, from where, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from appliance.engines.base import ExecResult
from appliance.spec.model import Alias, RelayHost
from appliance.verify import probe
from appliance.verify.proof import Step
from appliance.verify.run import verify
from appliance.verify.steps import outwards
from tests.reports import Recorder
from tests.unit.verify_world import FakeEngine, Running

PUBLIC = {
    "addresses": ("9.9.9.9", "2620:fe::fe"),
    "aliases": {"out@example.org": Alias(to=("someone@far.example",))},
}


class Greeted(FakeEngine):
    """An engine whose containers are greeted by some addresses only."""

    greets: tuple[str, ...] = ()

    def exec(self, instance: str, service: str, argv: Sequence[str], **more: Any) -> ExecResult:
        if argv[0] == "bash":
            good = argv[-1] in self.greets
            return ExecResult(
                0 if good else 1, b"220 far.example ESMTP\n" if good else b"", b"" if good else b"Connection timed out"
            )
        return super().exec(instance, service, argv, **more)


def ask(monkeypatch: pytest.MonkeyPatch, name: str, *, greets: tuple[str, ...] = (), **spec: Any) -> Step:
    monkeypatch.setattr(probe, "settle", lambda: None)
    monkeypatch.setattr(
        outwards, "exchangers", lambda domain, family: {4: ["198.51.100.1", "198.51.100.2"], 6: ["2001:db8::1"]}[family]
    )
    with Running() as target:
        engine = Greeted(target.engine.world)  # type: ignore[attr-defined]
        engine.greets = greets
        object.__setattr__(target, "engine", engine)
        object.__setattr__(target.topology, "spec", target.spec.model_copy(update={**PUBLIC, **spec}))
        proof = verify(target, "full", Recorder(), only=frozenset({name}))
    return next(s for s in proof.steps if s.name == name)


@pytest.mark.parametrize(
    ("name", "greets", "status"),
    [
        ("outwards-ipv4", ("198.51.100.1",), "ok"),
        ("outwards-ipv4", ("198.51.100.2",), "ok"),
        ("outwards-ipv4", ("2001:db8::1",), "failed"),
        ("outwards-ipv6", ("2001:db8::1",), "ok"),
        ("outwards-ipv6", ("198.51.100.1",), "failed"),
    ],
)
def test_one_exchanger_must_greet_us_in_that_family(
    monkeypatch: pytest.MonkeyPatch, name: str, greets: tuple[str, ...], status: str
) -> None:
    found = ask(monkeypatch, name, greets=greets)
    assert found.status == status, found.reason
    assert found.sent[0].endswith("from postfix")
    if status == "failed":
        assert "Connection timed out" in found.reason
        assert "provider" in found.remedy


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"addresses": ("203.0.113.7",)}, "no public IPv4 address"),
        ({"addresses": ("2620:fe::fe",)}, "no public IPv4 address"),
        ({"aliases": {}}, "names no address elsewhere"),
        ({"relay_host": RelayHost(host="relay.example")}, "relay_host"),
    ],
)
def test_where_nothing_can_be_asked(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], reason: str) -> None:
    found = ask(monkeypatch, "outwards-ipv4", **spec)
    assert found.status == "not-run"
    assert reason in found.reason


def test_only_domains_that_the_spec_names_are_asked() -> None:
    with Running() as target:
        spec = target.spec.model_copy(
            update={
                "postmaster": "me@private.example",
                "aliases": {"a@example.org": Alias(to=("alice@example.org", "x@far.example", "y@mail.example.org"))},
            }
        )
    assert list(outwards.outside(spec)) == ["private.example", "far.example"]
