"""Every end-to-end step against a mail system that lies: each lie turns its own step red, and no other.

The table is the document: what is wrong → which steps say so. Honest, everything is green.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from appliance.verify import context, probe
from appliance.verify.proof import Proof
from appliance.verify.registry import steps
from appliance.verify.run import verify
from tests.reports import Recorder
from tests.unit.verify_world import Running

#: the lie(s) → the steps that must turn red
LIES: list[tuple[str, set[str]]] = [
    ("submissions loses mail", {"submissions"}),
    ("smtp delivers twice", {"inbound"}),
    ("POP3 is empty", {"pop3", "pop3s"}),
    ("mangles bodies", {"attachment"}),
    ("tells the submitter", {"received"}),
    ("no Received", {"received"}),
    ("no s1-rsa signature", {"dkim"}),
    ("no s1-ed25519 signature", {"dkim"}),
    ("broken signature", {"dkim"}),
    ("signs strangers", {"dkim-inbound"}),
    ("mx takes EICAR", {"eicar-inbound"}),
    ("mx defers EICAR", {"eicar-inbound"}),
    ("submission takes EICAR", {"eicar-submission"}),
    ("submission defers EICAR", {"eicar-submission"}),
    ("open relay", {"relay"}),
    ("bang paths", {"relay"}),
    ("percent", {"relay"}),
    ("submission without login", {"relay-submission"}),
    ("IMAP in the clear", {"plaintext-imap"}),
    ("POP3 in the clear", {"plaintext-pop3"}),
    ("AUTH everywhere", {"no-auth-mx", "plaintext-submission"}),
    ("any password", {"wrong-password"}),
    ("any envelope", {"forged-envelope"}),
    ("any Sender", {"forged-from"}),
    ("any From", {"forged-from", "null-sender"}),
    ("null sender is free", {"null-sender"}),
    ("probe at large", {"probe-confined"}),
    ("everybody exists", {"unknown-recipient", "relay"}),  # x@<host name> is one of the forms
    ("unknown is deferred", {"unknown-recipient", "relay"}),
    ("no abuse", {"postmaster"}),
    ("empty table", {"postmaster-table"}),
    ("no SIZE", {"oversize"}),
    ("no SIZE check", {"oversize"}),
    ("any size", {"oversize-sent"}),
    ("smtp splits", {"smuggling"}),
    ("submission splits", {"smuggling-submission"}),
    ("unannounced chunks", {"smuggling-bdat"}),
    ("chunks,chunks are split", {"smuggling-bdat"}),
    ("other name", {"certificate"}),
    ("other key", {"certificate"}),
    ("expired", {"certificate"}),
    ("old TLS", {"old-tls"}),
    ("SMTP injection", {"starttls-injection"}),
    ("IMAP injection", {"starttls-injection"}),
    ("POP3 injection", {"starttls-injection"}),
    ("something fatal", {"logs"}),
    ("warns of a message", {"logs"}),
    ("says nothing", {"logs"}),
    ("keeps what is removed", {"clean"}),
]
#: what cannot turn red against this fake, and which test shows it instead
ELSEWHERE = {
    "relay-outside-ipv4": "test_verify_outside.py",
    "relay-outside-ipv6": "test_verify_outside.py",
    "trusted": "test_verify_certificate.py",
    "outwards-ipv4": "test_verify_outwards.py",
    "outwards-ipv6": "test_verify_outwards.py",
}
#: in every round beside those expected to fail: a lie must not spoil the plainest steps
ALWAYS = frozenset({"submission", "inbound", "logs", "no-auth-mx"})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost mail is lost after half a second here; and nobody makes network namespaces in a unit test."""
    monkeypatch.setattr(context, "ARRIVAL", 0.5)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(probe, "settle", lambda: None)


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Proof]]:
    """``run(lies, only)``: a verification of one world after the other."""
    world = Running()
    with world as target:

        def verified(lies: str, only: frozenset[str] = frozenset()) -> Proof:
            world.tell(lies.split(",") if lies else ())
            return verify(target, "full", Recorder(), only=only)

        yield verified


def red(proof: Proof) -> set[str]:
    return {s.name for s in proof.failed}


def told(proof: Proof) -> str:
    return "\n".join(f"{s.name}: {s.reason}" for s in proof.failed)


def test_an_honest_system_is_proven(run: Callable[..., Proof]) -> None:
    proof = run("")
    assert not red(proof), told(proof)
    assert proof.proven
    assert {s.name for s in proof.steps if s.status == "not-run"} == set(ELSEWHERE)


@pytest.mark.parametrize(("lies", "expected"), LIES, ids=[lie for lie, _ in LIES])
def test_a_lie_turns_its_step_red(run: Callable[..., Proof], lies: str, expected: set[str]) -> None:
    proof = run(lies, only=frozenset(expected) | ALWAYS)
    assert red(proof) == expected, told(proof)
    assert all(s.reason and s.remedy for s in proof.failed)


@pytest.mark.slow
@pytest.mark.parametrize(("lies", "expected"), LIES, ids=[lie for lie, _ in LIES])
def test_a_lie_turns_no_other_step_red(run: Callable[..., Proof], lies: str, expected: set[str]) -> None:
    proof = run(lies)
    assert red(proof) == expected, told(proof)


@pytest.mark.parametrize("lies", ["smtp loses mail", "submission loses mail", "loses the mark", "probe.sh fails"])
def test_what_breaks_much_is_told_where_it_is_seen(run: Callable[..., Proof], lies: str) -> None:
    """Lost inbound mail takes everything with it that arrives on 25, and so on: documented here, step by step."""
    expected = {
        "smtp loses mail": {"inbound", "pop3", "pop3s", "dkim-inbound", "smuggling"},
        "submission loses mail": {"submission", "attachment", "received", "dkim", "smuggling-submission"},
        "loses the mark": {"submission", "submissions", "inbound", "pop3", "pop3s", "attachment", "received"},
        "probe.sh fails": {"probe", "clean"},
    }[lies]
    proof = run(lies)
    assert red(proof) == expected, told(proof)


def test_every_step_has_a_lie() -> None:
    seen = {name for _, names in LIES for name in names} | set(ELSEWHERE) | {"submission"}
    assert {s.name for s in steps("full")} <= seen


def test_without_a_login_what_needs_it_is_not_run(run: Callable[..., Proof]) -> None:
    proof = run("probe.sh fails")
    reasons = {s.name: s.reason for s in proof.steps if s.status == "not-run"}
    assert reasons["submission"] == "the probe could not log in"
    assert not proof.proven
    assert {s.status for s in proof.steps if s.name == "relay"} == {"ok"}
