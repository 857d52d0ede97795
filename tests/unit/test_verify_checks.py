"""The roles' checks in their child pytest: what they get, what they tell, and that nobody's folder can disturb them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.verify import checks
from appliance.verify.proof import Step
from tests.unit.verify_world import SECRET, Running

GOOD = f"""
import os, pytest

def test_facts_hold_no_hash(facts):
    assert {SECRET!r} not in str(facts)

def test_the_way_out_left_the_environment():
    assert {checks.CHANNEL!r} not in os.environ
"""
GOOD += '''

def test_says_its_name(hosts):
    """The daemon says its name."""
    assert "postmap" not in hosts["postfix"].run("say %s", "hello world").stdout
    assert hosts["postfix"].check_output("say it").startswith("postfix: /bin/sh -c say it")

def test_facts(facts, hosts):
    assert facts["instance"] == "t-verify-fake"
    assert facts["hostname"] == "mail.example.org"
    assert set(facts["services"]) == set(hosts)
    assert facts["spec"]["domains"]["example.org"]["dkim"]["selector"] == "s1"
    assert "password" not in facts["spec"]["mailboxes"]["alice@example.org"]

def test_fails(hosts):
    assert hosts["postfix"].run("true").stdout == "something else"

def test_breaks():
    raise OSError("no such thing")

@pytest.fixture
def missing():
    raise LookupError("cannot be set up")

def test_cannot_be_set_up(missing):
    pass

def test_skips():
    pytest.skip("there is no such listener")
'''


def role(folder: Path, name: str, text: str) -> None:
    (folder / name / "checks").mkdir(parents=True)
    (folder / name / "checks" / "test_it.py").write_text(textwrap.dedent(text))


def run(folder: Path, only: frozenset[str] = frozenset()) -> dict[str, Step]:
    found: list[Step] = []
    with Running(folder=folder) as target:
        checks.carry_out(target, found.append, only)
    assert len({s.name for s in found}) == len(found)
    return {s.name: s for s in found}


def test_outcomes_are_steps_with_evidence(tmp_path: Path) -> None:
    role(tmp_path, "postfix", GOOD)
    found = run(tmp_path)
    assert {name: s.status for name, s in found.items()} == {
        "postfix/test_says_its_name": "ok",
        "postfix/test_facts_hold_no_hash": "ok",
        "postfix/test_the_way_out_left_the_environment": "ok",
        "postfix/test_facts": "ok",
        "postfix/test_fails": "failed",
        "postfix/test_breaks": "failed",
        "postfix/test_cannot_be_set_up": "failed",
        "postfix/test_skips": "not-run",
    }
    named = found["postfix/test_says_its_name"]
    assert (named.title, named.group) == ("postfix: The daemon says its name", "roles")
    assert named.sent == ("postfix: say 'hello world'", "postfix: say it")
    assert named.received[1] == "0: postfix: /bin/sh -c say it"
    assert found["postfix/test_facts"].title == "postfix: facts"
    assert "something else" in found["postfix/test_fails"].reason
    assert found["postfix/test_fails"].sent == ("postfix: true",)
    assert found["postfix/test_fails"].remedy
    assert "no such thing" in found["postfix/test_breaks"].reason
    assert "cannot be set up" in found["postfix/test_cannot_be_set_up"].reason
    assert found["postfix/test_skips"].reason == "there is no such listener"


def test_only_roles_that_run_are_asked_and_they_may_use_the_same_names(tmp_path: Path) -> None:
    role(tmp_path, "postfix", "def test_same():\n    pass\n")
    role(tmp_path, "dovecot", "def test_same():\n    assert False, 'here'\n")
    role(tmp_path, "greylist", "def test_two():\n    assert False\n")
    found = run(tmp_path)
    assert {name: s.status for name, s in found.items()} == {"postfix/test_same": "ok", "dovecot/test_same": "failed"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["checks"] * 3 + ["dovecot", "greylist", "postfix"] + ["test_it.py"] * 3


def test_one_check_alone(tmp_path: Path) -> None:
    role(tmp_path, "postfix", "def test_one():\n    pass\ndef test_two():\n    pass\n")
    assert list(run(tmp_path, frozenset({"postfix/test_two"}))) == ["postfix/test_two"]
    assert run(tmp_path, frozenset({"submission"})) == {}


@pytest.mark.parametrize("text", ["import nothing_of_this_name\n", "def test_x(:\n"])
def test_a_check_that_cannot_be_loaded_is_a_failure(tmp_path: Path, text: str) -> None:
    role(tmp_path, "postfix", text)
    found = run(tmp_path)
    assert found["checks"].status == "failed"
    assert any("test_it.py" in line for line in found["checks"].received)


def test_a_command_that_cannot_be_run_fails_its_check_only(tmp_path: Path) -> None:
    role(
        tmp_path,
        "postfix",
        """
        def test_absent(hosts):
            hosts["postfix"].run("cannot")

        def test_next(hosts):
            assert hosts["postfix"].run("can").rc == 0
        """,
    )
    found: list[Step] = []
    with Running(["no engine"], folder=tmp_path) as target:
        checks.carry_out(target, found.append, frozenset())
    assert {s.name: s.status for s in found} == {"postfix/test_absent": "failed", "postfix/test_next": "ok"}
    assert "postfix does not run" in found[0].reason


BAD = "raise SystemExit('your folder spoke')\n"
#: what a user's folder and environment may hold → how it is put there
HOSTILE: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "conftest.py": lambda here, _: (here / "conftest.py").write_text(BAD),
    "pytest.ini": lambda here, _: (here / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n"),
    "pyproject.toml": lambda here, _: (here / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--nope'\n"),
    "tox.ini": lambda here, _: (here / "tox.ini").write_text("[pytest]\npython_files = nothing\n"),
    "testinfra.py": lambda here, _: (here / "testinfra.py").write_text(BAD),
    "appliance.py": lambda here, _: (here / "appliance.py").write_text(BAD),
    "sitecustomize.py": lambda here, _: (here / "sitecustomize.py").write_text(BAD),
    "test_it.py": lambda here, _: (here / "test_it.py").write_text(BAD),
    "PYTEST_ADDOPTS": lambda _, env: env.setenv("PYTEST_ADDOPTS", "--no-such-option"),
    "PYTEST_PLUGINS": lambda _, env: env.setenv("PYTEST_PLUGINS", "no_such_plugin"),
    "PYTHONPATH": lambda here, env: env.setenv("PYTHONPATH", str(here)),
    "PYTHONSTARTUP": lambda here, env: env.setenv("PYTHONSTARTUP", str(here / "conftest.py")),
    "PYTHONHOME": lambda here, env: env.setenv("PYTHONHOME", str(here)),
    "PYTHONWARNINGS": lambda _, env: env.setenv("PYTHONWARNINGS", "error"),
}


def test_a_hostile_folder_disturbs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it at once: the present folder, its configuration, its modules, and the environment."""
    roles, here = tmp_path / "roles", tmp_path / "here"
    here.mkdir()
    role(roles, "postfix", "def test_undisturbed(hosts):\n    assert hosts['postfix'].run('x').rc == 0\n")
    (roles / "conftest.py").write_text(BAD)
    (tmp_path / "conftest.py").write_text(BAD)
    for put in HOSTILE.values():
        put(here, monkeypatch)
    monkeypatch.chdir(here)
    assert {name: s.status for name, s in run(roles).items()} == {"postfix/test_undisturbed": "ok"}


def test_a_check_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 1.5)
    role(tmp_path, "postfix", "import time\ndef test_hangs():\n    time.sleep(600)\n")
    assert "longer than" in run(tmp_path)["checks"].reason
