"""Relaying as others ask for it: the forms, the judgement of the answers, and the places from which they are asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.verify import dialogues, outside, probe, relaying
from appliance.verify.registry import NotRun, StepFailed
from appliance.verify.run import verify
from appliance.verify.steps import relay
from tests.reports import Recorder
from tests.unit.verify_world import Running

ASKED = [["EHLO x", "MAIL FROM:<>", "RCPT TO:<a@elsewhere.invalid>", "RCPT TO:<b@elsewhere.invalid>", "RSET"]]
GOOD = ["220 hello", "250 hello", "250 ok", "554 no", "550 no", "250 ok"]


def judged(replies: list[str], error: str = "") -> relaying.Verdict:
    return relaying.judge(ASKED, {"sessions": [{"replies": replies, "error": error}]})


def test_refusals_are_counted_and_kept() -> None:
    verdict = judged(GOOD)
    assert (verdict.asked, verdict.open) == (2, [])
    assert verdict.sent == ASKED[0][2:4]
    assert verdict.received == ["554 no", "550 no"]


@pytest.mark.parametrize(
    ("at", "answer", "open_"),
    [
        (3, "250 welcome", ["RCPT TO:<a@elsewhere.invalid> was answered 250 welcome"]),
        (4, "451 later", ["RCPT TO:<b@elsewhere.invalid> was answered 451 later"]),
        (4, "", ["RCPT TO:<b@elsewhere.invalid> was answered by hanging up"]),
        (3, "354 what", ["RCPT TO:<a@elsewhere.invalid> was answered 354 what"]),
    ],
)
def test_everything_but_a_final_refusal_is_open(at: int, answer: str, open_: list[str]) -> None:
    replies = [*GOOD]
    replies[at] = answer
    assert judged(replies).open == open_


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([], "no greeting"),
        (["554 go away"], "no greeting"),
        (["220 hello", "502 what", "250 ok", "554 no"], "EHLO was answered"),
        (["220 hello", "250 hello", "250 ok"], "ended before RCPT"),
        (["220 hello", "250 hello", "550 not you"], "no envelope sender was accepted"),
    ],
)
def test_silence_and_side_steps_prove_nothing(replies: list[str], why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        judged(replies, "timed out")


def test_the_forms_cover_what_servers_have_fallen_for() -> None:
    found = relaying.forms("probe", "example.org", "mail.example.org", "203.0.113.7")
    assert len(set(found)) == len(found)
    for sign in ("%", "!", '"', "@example.org:", "[203.0.113.7]", "localhost", "x@elsewhere.invalid"):
        assert any(sign in form for form in found), sign
    # nothing here can be delivered to anybody
    assert not any("postmaster" in form for form in found)


def test_no_session_shows_more_errors_than_servers_bear() -> None:
    asked = relaying.sessions([f"<{n}@x>" for n in range(10)], "<>", "x")
    assert [sum(line.startswith("RCPT") for line in session) for session in asked] == [4, 4, 2]
    assert not any("DATA" in line for session in asked for line in session)


def test_the_script_stands_alone(tmp_path: Path) -> None:
    """As ssh runs it: from stdin, isolated, with nothing but the standard library."""
    world = Running()
    with world as target:
        where = target.endpoint("smtp")
        assert where is not None
        request = {"host": where.host, "port": where.port, "timeout": 5, "sessions": [["EHLO x", "RSET"], ["QUIT"]]}
        argv = [sys.executable, "-I", "-S", "-", json.dumps(request)]
        end = subprocess.run(argv, input=outside.SCRIPT.read_bytes(), capture_output=True, check=True, cwd=tmp_path)
    answer = json.loads(end.stdout)
    assert answer["from"] == "127.0.0.1"
    assert [s["replies"][0][:3] for s in answer["sessions"]] == ["220", "220"]
    assert answer["sessions"][0]["replies"][1].startswith("250-mail.example.org / 8BITMIME")


def test_nobody_there_ends_at_once() -> None:
    answer = dialogues.carry_out({"host": "127.0.0.1", "port": 1, "timeout": 5, "sessions": [["EHLO x"], ["EHLO x"]]})
    assert len(answer["sessions"]) == 1
    assert "refused" in answer["sessions"][0]["error"]


class Elsewhere:
    """A place that is really here."""

    words, gateway = "the machine elsewhere", {4: "127.0.0.1"}

    def talk(self, request: dict[str, Any]) -> dict[str, Any]:
        return dialogues.carry_out(request)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(probe, "settle", lambda: None)
    monkeypatch.setattr(relay, "place", lambda target, origin: nullcontext(Elsewhere()))
    monkeypatch.setattr(relay, "way", lambda ctx, there, family: ctx.endpoint("smtp"))


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("lies", "status"), [((), "ok"), (("open relay",), "failed"), (("percent",), "failed")])
def test_a_relay_is_seen_from_elsewhere(lies: tuple[str, ...], status: str) -> None:
    names = frozenset({"relay-outside-ipv4", "relay-outside-ipv6"})
    with Running(lies) as target:
        proof = verify(target, "full", Recorder(), only=names, origin="elsewhere")
    found = {s.name: s for s in proof.steps}
    assert {found[n].status for n in names} == {status}
    if status == "ok":
        assert proof.seen_from == "seen from this host; relaying also from the machine elsewhere"
    else:
        assert "were not refused" in found["relay-outside-ipv4"].reason


def test_without_root_and_without_containers_it_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with Running() as target, pytest.raises(NotRun, match="needs root"), outside.place(target, ""):
        pass


def test_a_named_machine_is_asked_over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own ssh, no questions, the script on stdin and the request as one quoted word."""
    seen: list[Any] = []

    def run(argv: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
        seen.append((argv, more["input"]))
        return subprocess.CompletedProcess(argv, 0, b'{"from": "198.51.100.1", "sessions": []}', b"")

    monkeypatch.setattr(outside, "_run", run)
    with Running() as target, outside.place(target, "far away") as there:
        assert there.words == "the machine far away"
        assert there.gateway == {4: "mail.example.org"}
        assert there.talk({"host": "it's", "sessions": []})["from"] == "198.51.100.1"
    argv, script = seen[0]
    assert argv[0] == "ssh"
    assert argv[-2] == "far away"
    assert "'\"'\"'" in argv[-1]
    assert script == outside.SCRIPT.read_bytes()


def test_a_machine_that_cannot_be_reached_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "settle", lambda: None)
    gone = subprocess.CompletedProcess([], 255, b"", b"ssh: Could not resolve hostname far: Name or service not known\n")
    monkeypatch.setattr(outside, "_run", lambda argv, **more: gone)
    monkeypatch.setattr(relay, "way", lambda ctx, there, family: ctx.endpoint("smtp"))
    with Running() as target:
        proof = verify(target, "full", Recorder(), only=frozenset({"relay-outside-ipv4"}), origin="far")
    [failed] = proof.failed
    assert "Could not resolve hostname" in failed.reason
