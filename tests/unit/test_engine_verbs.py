"""ps, logs, exec, down and history on an engine that is made of data."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import click
import pytest

from appliance.cli.history import releases
from appliance.cli.logs import moment
from appliance.cli.main import run
from appliance.engines.base import Report
from appliance.errors import Exit, UsageError
from appliance.keys import adopted
from appliance.keys.folder import Folder
from appliance.observed import HostFacts, Manifest, Observed, ObservedService
from appliance.render.bundle import NetworkBundle, Port, Runtime

RUNTIME = Runtime("appliance/x:1", ("x",), "mail.example.org", memory=256 << 20, ports=(Port("smtp", "127.0.0.1", 2525, 25),))
SPEC = """version: 1
name: t
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: alice@example.org
domains: {example.org: {}}
mailboxes: {alice@example.org: {password: "{SHA512-CRYPT}$6$saltsalt$HASH"}}
""".replace("HASH", "x" * 86)


def seen(name: str, state: str = "running", health: str = "healthy", loaded: str | None = "1") -> ObservedService:
    return ObservedService(name, state, health, RUNTIME, "1", loaded, started="2026-07-01T12:00:00.123Z")


class Fake:
    """An engine that remembers what it was asked to do."""

    def __init__(self, *services: ObservedService) -> None:
        self.services, self.asked = services, []  # type: ignore[var-annotated]
        self.owner: str | None = None  # the key ring that the labels name

    def observe(self, instance: str, *, ports: Sequence[tuple[str, int]] = (), manifests: bool = True) -> Observed:
        network = NetworkBundle(instance, "198.18.1.0/24", "", "") if self.services else None
        volumes = dict.fromkeys(("t-mail", "t-queue"), self.owner) if self.services else {}
        return Observed(
            instance, {s.name: s for s in self.services}, (), volumes, network, host=HostFacts("27", "1.47", (4,), 0, 0, 0, ())
        )

    def manifests(self, observed: Observed, wanted: Mapping[str, str]) -> Observed:
        services = {n: replace(s, manifest=record("b", 2, n, "1")) for n, s in observed.services.items()}
        return replace(observed, services=services)

    def memory(self, instance: str) -> Mapping[str, int]:
        return {s.name: 64 << 20 for s in self.services}

    def logs(
        self, instance: str, services: Sequence[str], *, follow: bool, tail: int | None, since: int | None
    ) -> Iterator[tuple[str, bytes]]:
        self.asked.append((tuple(services), follow, tail, since))
        yield from (("postfix", b"connect"), ("dovecot", b"login \xff"))

    def interact(self, instance: str, service: str, argv: Sequence[str], *, user: str = "", tty: bool = False) -> int:
        self.asked.append((service, tuple(argv), user, tty))
        return 7

    def down(self, instance: str, report: Report, *, volumes: bool, break_lock: bool) -> None:
        self.asked.append((instance, volumes, break_lock))

    def history(self, instance: str) -> tuple[Manifest, ...]:
        return (
            record("b", 2, "postfix", "2"),
            record("b", 2, "dovecot", "1"),
            record("a", 1, "postfix", "1"),
            record("a", 1, "dovecot", "1"),
        )


def record(release: str, time: float, service: str, live: str) -> Manifest:
    return Manifest(service, live, "f", release, time, "me@here", "0.1", RUNTIME, {})


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    engine = Fake(seen("dovecot"), seen("postfix"))
    (tmp_path / "mail.yml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: engine)
    return engine


def test_ps_lists_state_and_exits_by_it(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ps"]) == Exit.DONE
    assert capsys.readouterr().out.splitlines() == [
        "SERVICE  STATE              SINCE",
        "dovecot  running (healthy)  2026-07-01 12:00:00",
        "postfix  running (healthy)  2026-07-01 12:00:00",
    ]
    fake.services = (seen("postfix", "exited", "none", None),)
    assert run(["ps", "-a"]) == Exit.FAILED
    assert "exited, not loaded" in capsys.readouterr().out
    assert run(["--json", "ps"]) == Exit.FAILED
    found = json.loads(capsys.readouterr().out)
    assert (found["schema_version"], found["services"][0]["memory"], found["services"][0]["ports"]) == (
        1,
        64 << 20,
        ["smtp 127.0.0.1:2525"],
    )
    fake.services = ()
    assert run(["ps"]) == Exit.FAILED
    assert "`appliance up` starts it" in capsys.readouterr().err


def test_logs_are_told_apart_by_service(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["logs", "-f", "-n", "5"]) == Exit.DONE
    assert capsys.readouterr().out.splitlines() == ["postfix          connect", "dovecot          login �"]
    assert run(["logs", "postfix", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == {"service": "postfix", "line": "connect"}
    assert fake.asked == [((), True, 5, None), (("postfix",), False, None, None)]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 400), ("2 hours", -6200), ("1970-01-01T00:10:00+00:00", 600), ("1970-01-01T01:00:00+01:00", 0)]
)
def test_since_is_a_duration_or_a_time(text: str, seconds: int) -> None:
    assert moment(text, 1000.0) == seconds


def test_since_that_is_neither() -> None:
    with pytest.raises(UsageError, match="neither a duration nor a time"):
        moment("yesterday-ish", 0)


def test_exec_hands_over_the_words_and_the_exit_code(fake: Fake) -> None:
    assert run(["exec", "-u", "901", "postfix", "postconf", "-n", "--json", "-f"]) == 7
    assert fake.asked == [("postfix", ("postconf", "-n", "--json", "-f"), "901", False)]


def test_down_keeps_data_unless_the_host_name_is_said(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["down"]) == Exit.DONE
    assert fake.asked == [("t", False, False)]
    for said, code in (("", Exit.USAGE), ("mail.example.com\n", Exit.USAGE), ("mail.example.org\n", Exit.DONE)):
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        assert run(["down", "--volumes", "-y"]) == code
    assert fake.asked[1:] == [("t", True, False)]
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == [
        "this removes for ever, from 2 volumes:",
        "  t-mail: the messages, folders, subscriptions and Sieve scripts of every mailbox",
        "  t-queue: mail that was accepted and is not delivered yet",
    ]
    assert "  hint: echo mail.example.org | appliance -f mail.yml down --volumes" in lines
    fake.services = ()
    assert run(["down"]) == Exit.DONE
    assert len(fake.asked) == 2


@pytest.mark.parametrize(("keys", "here"), [(False, "there is no ring here"), (True, "the ring here is ")])
def test_down_leaves_what_another_ring_deployed(
    fake: Fake, keys: bool, here: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if keys:
        assert run(["keys", "create", "--json"]) == Exit.DONE
    fake.owner = "0123456789abcdef"
    monkeypatch.setattr("sys.stdin", io.StringIO("mail.example.org\n"))
    for words in (["down"], ["down", "-y"], ["down", "--volumes"]):
        assert run(words) == Exit.FAILED
        said = capsys.readouterr().err
        assert f"t belongs to the key ring 0123456789abcdef (deployed by me@here), and {here}" in said
        assert "--adopt" in said
    assert fake.asked == []
    assert run(["down", "--volumes", "--adopt"]) == Exit.DONE
    assert fake.asked == [("t", True, False)]


def test_down_of_what_this_ring_deployed_or_has_taken_over(fake: Fake, tmp_path: Path) -> None:
    assert run(["keys", "create", "--json"]) == Exit.DONE
    fake.owner = json.loads((tmp_path / "keys/t/ring.json").read_text())["id"]
    assert run(["down"]) == Exit.DONE
    fake.owner = "0123456789abcdef"
    adopted.remember(Folder(tmp_path / "keys/t"), ["0123456789abcdef"])
    assert run(["down"]) == Exit.DONE
    assert len(fake.asked) == 2


def test_history_says_what_differs(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["history"]) == Exit.DONE
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("* b  1970-01-01")
    assert first.endswith("me@here  postfix")
    assert second.endswith("first of those kept")
    assert [(r["release"], r["changed"]) for r in releases(fake.history("t"))] == [("b", ["postfix"]), ("a", [])]


@pytest.mark.parametrize("verb", ["ps", "logs", "exec", "down", "history"])
def test_each_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == Exit.DONE
    assert click.unstyle(capsys.readouterr().out).count("\n") > 4
