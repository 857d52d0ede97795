"""Port 25 outwards: who is asked, from where, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from appliance.cli.verify import named
from appliance.engines.base import Engine, ExecResult
from appliance.errors import UsageError
from appliance.spec.model import Alias, RelayHost
from appliance.verify import probe
from appliance.verify.proof import Proof, Step
from appliance.verify.run import verify
from appliance.verify.show import summary_lines
from appliance.verify.steps import outwards as steps
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


def ask(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    *,
    greets: tuple[str, ...] = (),
    families: tuple[int, ...] = (4, 6),
    outwards: str = "",
    **spec: Any,
) -> Step:
    return proved(monkeypatch, (name,), greets=greets, families=families, outwards=outwards, **spec).steps[1]


def proved(
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, ...],
    *,
    greets: tuple[str, ...] = (),
    families: tuple[int, ...] = (4, 6),
    outwards: str = "",
    **spec: Any,
) -> Proof:
    monkeypatch.setattr(probe, "settle", lambda: None)
    monkeypatch.setattr(steps, "exchangers", exchangers)
    with Running() as target:
        engine = Greeted(target.engine.world)  # type: ignore[attr-defined]
        engine.greets = greets
        changed = target.spec.model_copy(update={**PUBLIC, **spec})
        asked = replace(target, engine=cast(Engine, engine), topology=replace(target.topology, spec=changed), families=families)
        return verify(asked, "full", Recorder(), outwards=outwards, only=frozenset(names))


def exchangers(domain: str, family: int) -> list[str]:
    """Names instead of a DNS: everybody has exchangers in both families but these two."""
    if domain == "typo.example" or (domain == "four.example" and family == 6):
        return []
    found = {4: ["198.51.100.1", "198.51.100.2"], 6: ["2001:db8::1"]}[family]
    return ["198.51.100.9"] if domain == "named.example" and family == 4 else found


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
        ({"aliases": {}}, "`appliance verify --outwards HOST` asks one"),
        ({"aliases": {"out@example.org": Alias(to=("x@typo.example",))}}, "typo.example has no mail exchanger with IPv4"),
        ({"relay_host": RelayHost(host="relay.example")}, "relay_host"),
    ],
)
def test_where_nothing_can_be_asked(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any], reason: str) -> None:
    found = ask(monkeypatch, "outwards-ipv4", **spec)
    assert found.status == "not-run"
    assert reason in found.reason


def test_a_family_that_is_not_served_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(monkeypatch, "outwards-ipv6", families=(4,))
    assert (found.status, found.sent) == ("not-run", ())
    assert "IPv6 is not served here" in found.reason
    assert ask(monkeypatch, "outwards-ipv6", families=(4,), outwards="named.example").status == "not-run"


@pytest.mark.parametrize("spec", [{}, {"addresses": ("10.0.0.1",)}, {"aliases": {}}, {"relay_host": RelayHost(host="r.example")}])
def test_a_host_that_was_named_is_asked_whatever_the_spec_says(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    found = ask(monkeypatch, "outwards-ipv4", outwards="named.example", greets=("198.51.100.9",), **spec)
    assert (found.status, found.sent) == ("ok", ("connect [198.51.100.9]:25 from postfix",))


def test_a_named_host_without_any_exchanger_is_a_failure_and_one_without_ipv6_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ask(monkeypatch, "outwards-ipv4", outwards="typo.example")
    assert (found.status, found.reason.partition(",")[0]) == ("failed", "typo.example has no mail exchanger")
    assert ask(monkeypatch, "outwards-ipv6", outwards="four.example").status == "not-run"


def test_an_address_is_its_own_exchanger() -> None:
    assert steps.exchangers("198.51.100.7", 4) == ["198.51.100.7"]
    assert steps.exchangers("198.51.100.7", 6) == steps.exchangers("2001:db8::1", 4) == []


BOTH = ("outwards-ipv4", "outwards-ipv6")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"aliases": {}}, "not proven outwards: the spec names no address elsewhere"),
        ({"greets": ("198.51.100.1",), "families": (4,)}, "proven outwards over IPv4; not over IPv6: IPv6 is not served here"),
        ({"greets": ("198.51.100.1", "2001:db8::1")}, "proven outwards over IPv4 and IPv6"),
        ({}, "not proven outwards: none of 198.51.100.1, 198.51.100.2 greeted us"),
    ],
)
def test_the_proof_says_how_far_it_reaches(monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], words: str) -> None:
    proof = proved(monkeypatch, BOTH, **more)
    assert proof.outwards.startswith(words)
    assert summary_lines(proof)[1] == proof.outwards == proof.summary()["outwards"]


def test_a_proof_that_was_not_asked_says_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = proved(monkeypatch, ("no-auth-mx",))
    assert (proof.outwards, len(summary_lines(proof))) == ("", 2)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"aliases": {}}, True),
        ({}, False),  # an alias leads elsewhere: its exchanger will be asked
        ({"aliases": {}, "addresses": ("203.0.113.7",)}, False),  # nothing of the world
        ({"aliases": {}, "relay_host": RelayHost(host="relay.example")}, False),
    ],
)
def test_the_first_plan_names_the_gap(spec: dict[str, Any], said: bool) -> None:
    with Running() as target:
        words = steps.unproven(target.spec.model_copy(update={**PUBLIC, **spec}))
    assert ("--outwards HOST" in words) == said == bool(words)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("", ""),
        ("Example.ORG", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_what_outwards_takes(word: str, name: str) -> None:
    assert named(word) == name


@pytest.mark.parametrize("word", ["alice@example.org", "192.0.2.1.1", "a b", "mail.example.org:25"])
def test_what_outwards_refuses(word: str) -> None:
    with pytest.raises(UsageError, match="--outwards"):
        named(word)


def test_only_domains_that_the_spec_names_are_asked() -> None:
    with Running() as target:
        spec = target.spec.model_copy(
            update={
                "postmaster": "me@private.example",
                "aliases": {"a@example.org": Alias(to=("alice@example.org", "x@far.example", "y@mail.example.org"))},
            }
        )
    assert list(steps.outside(spec)) == ["private.example", "far.example"]
