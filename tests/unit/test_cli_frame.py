"""The command line's frame: global options on either side of the verb, errors as words, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli.main import VERBS, hoist, module_of
from appliance.cli.main import run as here


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("up -y", "-y up"),
        ("-f a.yml plan --json", "-f a.yml --json plan"),
        ("plan -f a.yml --detailed-exitcode", "-f a.yml plan --detailed-exitcode"),
        ("plan --file=a.yml", "--file=a.yml plan"),
        ("logs -f postfix", "logs -f postfix"),
        ("logs --json postfix", "--json logs postfix"),
        ("exec postfix postqueue -j -f x", "exec postfix postqueue -j -f x"),
        ("exec -v postfix ls -v", "-v exec postfix ls -v"),
        ("keys hash -- -y", "keys hash -- -y"),
        ("--help", "--help"),
        ("plan -f", "-f plan"),
    ],
)
def test_global_options_may_stand_behind_the_verb(typed: str, taken: str) -> None:
    assert " ".join(hoist(typed.split())) == taken


def run(*words: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance", *words]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 64, "Usage"),
        (("pla",), 64, "did you mean plan?"),
        (("plan", "--nonsense"), 64, "No such option"),
        (("validate",), 64, "there is no spec mail.yml"),
        (("-f", ".", "validate"), 64, "is a folder"),
        (("-f", "bytes.yml", "validate"), 65, "not UTF-8"),
        (("-f", "bad.yml", "plan"), 65, "bad.yml:1:1"),
        (("-f", "bad.yml", "render"), 65, "error"),
        (("explain", "message_sise"), 64, "message_size"),
        (("render", "-o", "full"), 64, "there is no spec"),
    ],
)
def test_a_users_mistake_ends_in_words_and_its_exit_code(tmp_path: Path, words: tuple[str, ...], code: int, said: str) -> None:
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "bad.yml").write_text("nonsense: 1\n")
    done = run(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_of_its_own(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert here([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: appliance {verb}")
    assert (Path(__file__).parents[2] / "appliance" / "cli" / f"{module_of(verb)}.py").exists()


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "appliance", "schema"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.read(10)
        running.stdout.close()
        assert running.stderr.read() == b""


def test_without_a_reachable_engine_the_exit_code_is_69(tmp_path: Path) -> None:
    (tmp_path / "mail.yml").write_text(
        "{version: 1, name: t, hostname: mail.example.org, addresses: [203.0.113.1], postmaster: a@example.org,"
        " domains: {example.org: {}}, mailboxes: {a@example.org: {enabled: true, password: null}}}\n"
    )
    command = [sys.executable, "-m", "appliance", "plan"]
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/nothing.sock", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (69, False), done.stderr
