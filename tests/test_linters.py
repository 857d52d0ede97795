"""The linters are ordinary tests: a finding is a failure that names the file and the line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
#: the reason why each rule of hadolint is off
HADOLINT = (
    *("--ignore", "DL3008"),  # versions of packages are those of the day in images.lock, none is pinned
    *("--ignore", "DL3066"),  # users by name: each has a fixed number in the image's own /etc/passwd
    "--no-color",
)
YAMLLINT = """{extends: default, rules: {
  line-length: {max: 130}, document-start: disable, comments: {min-spaces-from-content: 1}, braces: {max-spaces-inside: 1},
  truthy: {check-keys: false}, comments-indentation: disable}}"""


@cache
def files() -> tuple[Path, ...]:
    """Every file that git knows, or would know after `git add`; those deleted in the work tree left out."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout
    return tuple(path for name in sorted(set(listed.split("\0"))) if name and (path := ROOT / name).is_file())


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of the virtual environment, or of the machine, in the checkout."""
    program = str(command[0])
    own = BIN / program
    argv = [str(own) if own.exists() else program, *map(str, command[1:])]
    assert shutil.which(argv[0]), f"{program} is missing; `make test` installs it"
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def clean(result: subprocess.CompletedProcess[str]) -> None:
    """No finding: exit 0. What the linter printed is the failure's text."""
    assert result.returncode == 0, f"{Path(result.args[0]).name} found:\n{result.stdout}{result.stderr}"


def shell_scripts() -> list[Path]:
    """Files named *.sh (golden ones are rendered scripts) and those that begin with a shell's name."""
    heads = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"#!/usr/bin/env sh")
    scripts = [path for path in files() if path.suffix != ".j2"]  # a template is checked as its golden file
    return [path for path in scripts if path.suffix == ".sh" or path.read_bytes()[:32].startswith(heads)]


def test_ruff() -> None:
    clean(run("ruff", "check", "--no-fix", "."))


def test_mypy_strict() -> None:
    clean(run("mypy", "--no-color-output"))


def test_hadolint() -> None:
    found = [path for path in files() if path.name == "Dockerfile"]
    assert found
    clean(run("hadolint", *HADOLINT, *found))


def test_shellcheck() -> None:
    found = shell_scripts()
    assert ROOT / ".ci" / "run" in found
    clean(run("shellcheck", "--external-sources", *found))


def test_yamllint() -> None:
    # specs of tests are inputs, some of them ugly on purpose
    found = [path for path in files() if path.suffix in (".yml", ".yaml") and not {"badspecs", "golden"} & {*path.parts}]
    assert found
    clean(run("yamllint", "--strict", "-d", YAMLLINT, *found))


def test_ansible_lint() -> None:
    found = [path for path in files() if path.match("roles/*/tasks/*.yml")]
    if not found:
        pytest.skip("not run: there are no tasks")
    clean(run("ansible-lint", "--offline", "--nocolor", "-q", *found))


def test_every_program_is_there() -> None:
    """A linter that is not installed must not pass as one that found nothing."""
    for program in ("ruff", "mypy", "hadolint", "shellcheck", "yamllint", "ansible-lint"):
        assert (BIN / program).exists() or shutil.which(program), program


def test_no_mirror_of_packages_stands_in_a_file() -> None:
    """Where packages come from is the machine's business: apt's configuration, or what the user names."""
    hosts = tuple(b".".join(words) for words in ((b"deb", b"debian", b"org"), (b"pypi", b"org"), (b"pythonhosted", b"org")))
    named = [path for path in files() if any(host in path.read_bytes() for host in hosts)]
    assert named == []
