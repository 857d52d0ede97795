"""`init` on a laptop, for a server that DOCKER_HOST names: nothing of the laptop gets into the server's spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli import init
from appliance.cli.main import run
from appliance.errors import Exit, Unavailable
from appliance.observed import HostFacts, Observed

LAPTOP = ("9.9.9.9", "2620:fe::fe")


class Fake:
    """An engine of which only the memory counts."""

    def __init__(self, memory: int) -> None:
        self.memory = memory

    def observe(self, instance: str, *, manifests: bool = True) -> Observed:
        return Observed(instance, host=HostFacts("28", "1.51", (4,), self.memory, 0, 0, ()))


@pytest.fixture(autouse=True)
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "addresses", lambda: LAPTOP)
    monkeypatch.setattr(init, "memory", lambda: 2**30)  # too little for the scanner


@pytest.mark.parametrize("host", ["ssh://me@server.example", "ssh://server.example:2222", "tcp://server.example:2376"])
@pytest.mark.parametrize(("memory", "scanner"), [(4 * 2**30, True), (2**30, False)])
def test_the_server_s_memory_counts_and_nobody_s_addresses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, memory: int, scanner: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: Fake(memory))
    assert run(["init", "example.org"]) == Exit.DONE
    text, said = Path("mail.yml").read_text(), capsys.readouterr().err
    assert not [a for a in LAPTOP if a in text]
    assert "# The engine is on server.example" in text
    assert "\naddresses: []\n" in text
    assert "write the addresses of server.example into it" in said
    assert ("server.example has 1.1 GB of memory" in text) is not scanner
    # validate says what to do about it
    assert run(["validate"]) == Exit.DONE
    end = capsys.readouterr()
    assert "mail.yml" in end.err
    assert "addresses: [203.0.113.7] with the address that the world sees" in end.err


def test_an_engine_that_does_not_answer_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody() -> None:
        raise Unavailable("ssh to server.example failed", hint="try it")

    monkeypatch.setenv("DOCKER_HOST", "ssh://server.example")
    monkeypatch.setattr("appliance.engines.docker.engine.connect", nobody)
    assert run(["init", "example.org"]) == Exit.DONE
    assert "the memory of server.example is not known: ssh to server.example failed" in capsys.readouterr().err
    assert "clamav: off\n" not in [line.lstrip() for line in Path("mail.yml").read_text().splitlines(keepends=True)]


@pytest.mark.parametrize("host", ["", "unix:///var/run/docker.sock"])
def test_an_engine_here_is_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert run(["init", "example.org"]) == Exit.DONE
    text = Path("mail.yml").read_text()
    assert 'addresses: [9.9.9.9, "2620:fe::fe"]' in text
    assert "This machine has 1.1 GB of memory" in text
