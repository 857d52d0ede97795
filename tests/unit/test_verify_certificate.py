"""Certificates: name, time, key; and whether a public one is trusted."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from appliance.render.bundle import NEW_AT_UP
from appliance.spec.model import Tls
from appliance.verify import certificate as judge
from appliance.verify import probe
from appliance.verify.run import verify
from tests.reports import Recorder
from tests.unit.verify_world import HOSTNAME, Running, certificate

DER = certificate(HOSTNAME, 30)[1]
NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("hostname", "expected", "when", "said"),
    [
        (HOSTNAME, judge.fingerprint(DER), NOW, ""),
        (HOSTNAME, NEW_AT_UP, NOW, ""),
        ("MAIL.Example.ORG", NEW_AT_UP, NOW, ""),
        ("imap.example.org", NEW_AT_UP, NOW, "it names mail.example.org, not imap.example.org"),
        (HOSTNAME, "AA:BB", NOW, "is not the ring's AA:BB"),
        (HOSTNAME, NEW_AT_UP, NOW + timedelta(days=31), "it ended on"),
        (HOSTNAME, NEW_AT_UP, NOW - timedelta(days=61), "it is valid only from"),
    ],
    ids=["ours", "new at up", "upper case", "another name", "another key", "ended", "not yet valid"],
)
def test_what_is_wrong_with_it(hostname: str, expected: str, when: datetime, said: str) -> None:
    found = judge.problem(DER, hostname, expected, when)
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("name", "hostname", "fits"),
    [
        ("mail.example.org", "mail.example.org", True),
        ("*.example.org", "mail.example.org", True),
        ("*.example.org", "a.mail.example.org", False),
        ("*.example.org", "example.org", False),
        ("mail.example.org", "xmail.example.org", False),
    ],
)
def test_a_star_stands_for_one_label(name: str, hostname: str, fits: bool) -> None:
    assert judge.matches(name, hostname) is fits


@pytest.mark.parametrize(("trusts", "status"), [(False, "failed"), (True, "ok")])
def test_a_public_certificate_must_be_trusted(monkeypatch: pytest.MonkeyPatch, trusts: bool, status: str) -> None:
    """tls.mode acme without a directory of its own; the listener shows a certificate that no store of this machine has."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(probe, "settle", lambda: None)
    if trusts:
        pem = certificate(HOSTNAME, 30)[0].partition(b"-----BEGIN PRIVATE")[0].decode()
        ours = ssl.create_default_context(cadata=pem)
        ours.verify_flags &= ~ssl.VERIFY_X509_STRICT
        monkeypatch.setattr(ssl, "create_default_context", lambda: ours)
    with Running() as target:
        acme = target.spec.model_copy(update={"tls": Tls(mode="acme", email="alice@example.org")})
        object.__setattr__(target.topology, "spec", acme)
        proof = verify(target, "full", Recorder(), only=frozenset({"trusted"}))
    found = next(s for s in proof.steps if s.name == "trusted")
    assert found.status == status, found.reason
    if status == "failed":
        assert "certificate verify failed" in found.reason
