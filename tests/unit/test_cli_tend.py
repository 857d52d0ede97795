"""`appliance tend` where there is nothing to tend, and the timer that runs it."""

from __future__ import annotations

import configparser
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.cli import timer
from appliance.cli.main import run
from appliance.engines.base import ExecResult
from appliance.errors import Exit
from appliance.keys import removed
from appliance.keys.folder import Folder
from appliance.observed import HostFacts, Observed
from tests.unit.test_engine_verbs import SPEC, Fake, seen

TIMER, SERVICE = "appliance-tend-t.timer", "appliance-tend-t.service"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec in a folder of a difficult name, and the user's own folder for units."""
    folder = tmp_path / "my $mail 100%"
    folder.mkdir()
    (folder / "mail.yml").write_text(SPEC)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in timer.KEPT:
        monkeypatch.delenv(name, raising=False)
    return folder / "mail.yml"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "config/systemd/user"


# -- the timer ---------------------------------------------------------------------------------------------------------------
def test_install_writes_says_and_enables_nothing(spec: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tend", "--install"]) == Exit.DONE
    out, err = capsys.readouterr()
    assert out.split("\n")[:2] == [str(place / SERVICE), str(place / TIMER)]
    assert f"systemctl --user daemon-reload && systemctl --user enable --now {TIMER}" in err
    assert "loginctl enable-linger" in err
    assert run(["tend", "--install"]) == Exit.DONE, "the same text again is no overwriting"


def test_the_units(spec: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@host")
    monkeypatch.setenv("SSL_CERT_FILE", '/etc/my "ca".pem')
    run(["tend", "--install"])
    service, clock = (parsed(place / name) for name in (SERVICE, TIMER))
    where = str(spec).replace("%", "%%").replace("$", "$$")
    assert service["Service"]["ExecStart"] == f'"{sys.executable}" "-m" "appliance" "-f" "{where}" "tend"'
    assert service["Service"]["WorkingDirectory"] == str(spec.parent).replace("%", "%%")
    text = (place / SERVICE).read_text()
    assert 'Environment="DOCKER_HOST=ssh://me@host"\n' in text
    assert 'Environment="SSL_CERT_FILE=/etc/my \\"ca\\".pem"\n' in text
    assert clock["Timer"]["RandomizedDelaySec"] == "6h"
    assert clock["Timer"]["Persistent"] == "true"


def parsed(path: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(path)
    return found


def test_another_file_is_overwritten_only_when_told(spec: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place.mkdir(parents=True)
    (place / TIMER).write_text("[Timer]\nOnCalendar=weekly\n")
    assert run(["tend", "--install"]) == Exit.FAILED
    assert "is there already and different" in capsys.readouterr().err
    assert not (place / SERVICE).exists()
    assert run(["tend", "--install", "-y"]) == Exit.DONE
    assert "weekly" not in (place / TIMER).read_text()


def test_uninstall_removes_its_own_alone(spec: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tend", "--uninstall"]) == Exit.DONE
    assert "there is no timer of t in" in capsys.readouterr().err
    run(["tend", "--install"])
    (place / SERVICE).write_text("[Service]\n")
    assert run(["tend", "--uninstall"]) == Exit.FAILED
    assert "was not written by" in capsys.readouterr().err
    assert (place / TIMER).exists()
    assert run(["tend", "--uninstall", "-y"]) == Exit.DONE
    assert list(place.iterdir()) == []
    assert f"systemctl --user disable --now {TIMER}" in capsys.readouterr().err


def test_root_has_units_of_the_system() -> None:
    assert timer.folder(root=True) == Path("/etc/systemd/system")


def test_one_of_both(spec: Path) -> None:
    assert run(["tend", "--install", "--uninstall"]) == Exit.USAGE


# -- nothing to tend ---------------------------------------------------------------------------------------------------------
class Running(Fake):
    """An instance with this ring."""

    ring: str | None = "feedfacecafebeef"

    def observe(self, instance: str, **_how: object) -> Observed:
        services = {s.name: s for s in self.services}
        return Observed(instance, services, ring_id=self.ring, host=HostFacts("27", "1.47", (4,), 0, 0, 0, ()))


@pytest.mark.parametrize(
    ("engine", "words", "hint"),
    [
        (Running(), "t does not run here", "appliance up"),
        (Running(seen("postfix")), "runs with the key ring feedfacecafebeef, and there is no ring here", "keys pull"),
    ],
)
def test_refused(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], engine: Running, words: str, hint: str
) -> None:
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: engine)
    assert run(["tend"]) == Exit.FAILED
    said = capsys.readouterr().err
    assert words in said
    assert hint in said
    assert not (spec.parent / "keys").exists()


def test_a_mode_that_is_new_in_the_spec_waits_for_up(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Running(seen("postfix"))
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: engine)
    engine.ring = None
    run(["--json", "keys", "create"])
    document = json.loads((spec.parent / "keys/t/ring.json").read_text())
    engine.ring = document["id"]
    assert run(["tend"]) == Exit.DONE
    spec.write_text(SPEC + "tls: {mode: acme}\n")
    capsys.readouterr()
    assert run(["tend"]) == Exit.FAILED
    assert "tls.mode acme is new, and the ring has no acme/account.pem: nothing is renewed before" in capsys.readouterr().err
    assert not (spec.parent / "keys/t/acme").exists()


# -- the mail of those who left ------------------------------------------------------------------------------------------------
class Keeper(Running):
    """Its Dovecot removes mail, or says why not."""

    code, words = 0, b"the mail of bob@example.org is removed (4.0K)\n"

    def exec(self, instance: str, service: str, argv: Sequence[str], *, stdin: bytes = b"", **_how: object) -> ExecResult:
        self.asked.append((service, argv[-1], stdin))
        return ExecResult(self.code, b"" if self.code else self.words, self.words if self.code else b"")


@pytest.mark.parametrize(("days", "code"), [(29, 0), (31, 0), (31, 1)])
def test_mail_of_a_removed_mailbox_ends_after_30_days(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], days: int, code: int
) -> None:
    run(["--json", "keys", "create"])
    engine, files = Keeper(seen("dovecot"), seen("postfix")), Folder(spec.parent / "keys/t")
    engine.ring, engine.code = json.loads(files.read("ring.json"))["id"], code
    monkeypatch.setattr("appliance.engines.docker.engine.connect", lambda: engine)
    removed.remember(files, ("bob@example.org",), (), datetime.now(UTC) - timedelta(days=days))
    capsys.readouterr()
    assert run(["tend"]) == (Exit.FAILED if code else Exit.DONE)
    out = capsys.readouterr().err
    due = days > 30
    assert engine.asked == ([("dovecot", "/config/current/forget.sh", b"bob@example.org\n")] if due else [])
    assert ("the mail of bob@example.org is removed" in out) == due
    assert removed.read(files)[0].ended == (due and not code), "what failed is tried again"
