"""The places outside are real, say who they are, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess

import pytest

from appliance.verify import outside
from appliance.verify.run import verify
from tests.integration.running import Appliance
from tests.reports import Recorder


def machine() -> tuple[str, str]:
    """Namespaces and links of this machine as they are now, those of this program."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    return "\n".join(n for n in names.splitlines() if n.startswith("av-")), "\n".join(
        x for x in links.splitlines() if " av-" in x
    )


@pytest.mark.root
def test_a_stranger_in_a_namespace_is_seen_with_his_own_address(appliance_up: Appliance) -> None:
    before = machine()
    proof = verify(appliance_up.target(), "smoke", Recorder(), only=frozenset({"relay-outside-ipv4"}))
    found = next(s for s in proof.steps if s.name == "relay-outside-ipv4")
    assert found.status == "ok", found.reason
    assert found.evidence["seen_from"] == "a network namespace on this host"
    assert proof.seen_from.endswith("relaying also from a network namespace on this host")
    client = found.sent[0].partition("(")[2].partition(")")[0]
    assert client.startswith("192.0.2.")
    assert f"[{client}]" in appliance_up.cli("logs", "postfix").stdout
    assert machine() == before


@pytest.mark.root
def test_a_namespace_is_gone_after_a_failure() -> None:
    before = machine()

    def broken() -> None:
        with outside.namespace() as made:
            assert made.name in machine()[0]
            raise LookupError

    with pytest.raises(LookupError):
        broken()
    assert machine() == before


def test_a_container_is_gone_whatever_becomes_of_it(appliance_up: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with outside.place(appliance_up.target(), "") as there:
        assert there.words == "a container on another network of the engine"
        answer = there.talk({"host": there.gateway[4], "port": 1, "timeout": 5, "sessions": [["EHLO x"]]})
    assert "refused" in answer["sessions"][0]["error"] or "timed out" in answer["sessions"][0]["error"]
    left = appliance_up.client.containers.list(all=True, filters={"label": "appliance.throwaway=verify"})
    assert left == []
