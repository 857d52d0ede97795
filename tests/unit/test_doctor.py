"""`doctor` on an engine that is made of data: each finding, what it advises, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from appliance.cli.main import run
from appliance.errors import Exit
from appliance.observed import HostFacts, Observed, PortHolder
from appliance.render.bundle import NetworkBundle
from tests.unit.test_engine_verbs import SPEC

GIB = 2**30
WELL = HostFacts("28.5.2", "1.51", (4, 6), 8 * GIB, 4 * GIB, 40 * GIB, ())
WITHOUT = replace(WELL, families=(4,), without_ipv6='IPv6 is left out: /etc/docker/daemon.json needs "ip6tables": true')


@dataclass
class Fake:
    """An engine that only can be looked at, as ``plan`` and ``doctor`` look."""

    host: HostFacts = WELL
    ports: tuple[PortHolder, ...] = ()
    network: NetworkBundle | None = None
    ring_id: str | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)

    def observe(self, instance: str, *, ports: Sequence[tuple[str, int]] = (), manifests: bool = True) -> Observed:
        self.asked += ports
        return Observed(instance, ports=self.ports, network=self.network, host=self.host, ring_id=self.ring_id)

    def manifests(self, observed: Observed, wanted: object) -> Observed:
        return observed


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    engine = Fake()
    (tmp_path / "mail.yml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: engine)
    return engine


def wanted(**fields: str) -> None:
    """The spec with lines added or replaced."""
    kept = [line for line in SPEC.splitlines() if line.partition(":")[0] not in fields]
    Path("mail.yml").write_text("\n".join([*kept, *(f"{name}: {value}" for name, value in fields.items()), ""]))


def said(capsys: pytest.CaptureFixture[str], code: Exit = Exit.DONE) -> list[str]:
    assert run(["doctor"]) == code
    return capsys.readouterr().out.splitlines()


def test_a_machine_that_is_well(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) == [
        "✓ engine: 28.5.2 (API 1.51)",
        "✓ clock: differs from the engine's by 0.0 s",
        "✓ disk: 40 GiB free",
        "✓ client addresses: arrive truly over IPv4 and IPv6; nothing else is published",
        "✓ memory: the services may take 5.5 GiB of 8 GiB",
        "✓ ports: free, or held by this instance",
    ]
    assert ("0.0.0.0", 25) in fake.asked
    assert not Path("keys").exists()  # it only looks


@pytest.mark.parametrize(
    ("host", "line"),
    [
        (replace(WELL, clock_skew=-7.5), "✗ clock: differs from the engine's by 7.5 s; set both by NTP"),
        (replace(WELL, clock_skew=3600), "✗ clock: differs from the engine's by 3600.0 s; set both by NTP"),
        (replace(WELL, disk_free=GIB), "✗ disk: 1 GiB free; mail needs room to grow"),
        (
            replace(WELL, memory=2 * GIB),
            "✗ memory: the services may take 5.5 GiB of 2 GiB; `roles: {clamav: off}` saves more than",
        ),
        (replace(WELL, warnings=("the engine is rootless",)), "✗ host: the engine is rootless"),
    ],
)
def test_what_the_machine_lacks(fake: Fake, capsys: pytest.CaptureFixture[str], host: HostFacts, line: str) -> None:
    fake.host = host
    lines = said(capsys, Exit.FAILED)
    assert [x for x in lines if x.startswith("✗")] == [next(x for x in lines if x.startswith(line))]


def test_what_is_not_known_is_no_fault(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.host = replace(WELL, disk_free=0, memory=0)
    lines = said(capsys)
    assert not [x for x in lines if x.startswith("✓ disk")]


def test_ports_that_others_hold(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.ports = (PortHolder("0.0.0.0", 25, "exim4 (process 812)"), PortHolder("::", 993, "the container other-imap"))
    assert [x for x in said(capsys, Exit.FAILED) if x.startswith("✗")] == [
        "✗ refused: port 0.0.0.0:993 (imaps) is held by the container other-imap; stop it, or set listen.ports.imaps",
        "✗ refused: port 0.0.0.0:25 (smtp) is held by exim4 (process 812); stop it, or set listen.ports.smtp",
    ]


def test_a_subnet_that_is_taken_and_a_ring_that_is_elsewhere(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.host = replace(WELL, routes=("198.18.0.0/15",))
    fake.ring_id = "aaaa"
    found = [x for x in said(capsys, Exit.FAILED) if x.startswith("✗")]
    assert "`appliance keys import` brings it; if it is lost, `appliance up --adopt`" in found[0]
    assert "which the engine's host already uses; set network.subnet to a free one" in found[1]


# -- families -------------------------------------------------------------------------------------------------------------------
IPV6 = '["203.0.113.7", "2001:db8::7"]'


@pytest.mark.parametrize(
    ("host", "fields", "code", "lines", "planned"),
    [
        # nobody asked for IPv6: doctor says it, plan does not
        (WITHOUT, {}, Exit.DONE, ["✓ client addresses: IPv6 is left out: /etc/docker/daemon.json"], False),
        (WITHOUT, {"addresses": IPV6}, Exit.FAILED, ["✗ client addresses: IPv6 is left out: /etc/docker/daemon.json"], True),
        (WITHOUT, {"listen": '{address: [127.0.0.1, "::1"]}'}, Exit.FAILED, ["✗ client addresses: IPv6 is left out"], True),
        # the spec itself leaves it out
        (
            WELL,
            {"addresses": IPV6, "listen": "{address: 127.0.0.1}"},
            Exit.DONE,
            ["✓ client addresses: IPv6 is left out: listen.address names no IPv6 address"],
            False,
        ),
        (
            WITHOUT,
            {"addresses": IPV6, "listen": "{address: 127.0.0.1}"},
            Exit.DONE,
            ["✓ client addresses: IPv6 is left out: /etc/docker/daemon.json"],
            False,
        ),
        (WELL, {"addresses": IPV6}, Exit.DONE, [], False),
    ],
)
def test_why_ipv6_is_left_out(
    fake: Fake,
    capsys: pytest.CaptureFixture[str],
    host: HostFacts,
    fields: dict[str, str],
    code: Exit,
    lines: list[str],
    planned: bool,
) -> None:
    fake.host = host
    wanted(**fields)
    found = [x for x in said(capsys, code) if "client addresses" in x][1:]
    assert [x for x, start in zip(found, lines, strict=True) if not x.startswith(start)] == []
    assert run(["plan"]) == Exit.DONE
    assert capsys.readouterr().out.count("IPv6 is left out") == planned


def test_an_address_that_is_not_served_is_refused_with_the_reason(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.host = WITHOUT
    wanted(listen='{address: "::1"}')
    found = [x for x in said(capsys, Exit.FAILED) if x.startswith("✗")]
    assert found[0].startswith("✗ client addresses: IPv6 is left out: /etc/docker")
    assert found[1].startswith("✗ spec: listen.address names only ::1, and IPv6 is not served here")
    assert run(["plan"]) == Exit.FAILED
    assert "listen.address names only ::1" in capsys.readouterr().err


@pytest.mark.parametrize(("address", "said"), [("9.9.9.9", 1), ("203.0.113.7", 0)])
def test_the_first_plan_of_a_public_host_says_what_the_proof_leaves_open(
    fake: Fake, capsys: pytest.CaptureFixture[str], address: str, said: int
) -> None:
    wanted(addresses=f"[{address}]")
    assert run(["plan"]) == Exit.DONE
    assert capsys.readouterr().out.count("`appliance verify --outwards HOST` tries port 25 of the world") == said


def test_as_json(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.host = replace(WELL, disk_free=GIB)
    assert run(["--json", "doctor"]) == Exit.FAILED
    found = json.loads(capsys.readouterr().out)
    assert found["schema_version"] == 1
    assert [f["subject"] for f in found["findings"] if not f["ok"]] == ["disk"]


def test_a_spec_with_errors_and_no_spec(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    wanted(hostname="[]")
    assert run(["doctor"]) == Exit.INVALID_SPEC
    Path("mail.yml").unlink()
    assert run(["doctor"]) == Exit.USAGE
