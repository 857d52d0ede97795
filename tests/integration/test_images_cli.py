"""`appliance build` as a user runs it, from a checkout and from a wheel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.images.build import packages
from appliance.images.context import BASE
from appliance.images.lock import read
from appliance.images.tags import tags

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).resolve().parents[2]


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the program as a user would, with a spec's folder that need not have a spec."""
    argv = [sys.executable, "-m", "appliance", "-f", str(folder / "mail.yml"), "build", *words]
    return subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.slow
def test_a_refresh_dates_the_lock_and_builds_anew(engine: docker.DockerClient, tmp_path: Path) -> None:
    first = run(tmp_path, "--refresh", BASE)
    assert first.returncode == 0, first.stderr
    lock = read(tmp_path)
    tag = tags(lock)[BASE]
    try:
        assert lock.refreshed == datetime.now(UTC).date()
        assert first.stdout == f"{tag}  built\n"
        assert engine.images.get(tag).labels["appliance.refreshed"] == lock.stamp
        again = run(tmp_path, BASE)
        assert (again.returncode, again.stdout) == (0, f"{tag}  was there\n")
        document = json.loads(run(tmp_path, "--json", BASE).stdout)
        assert document["refreshed"] == lock.stamp
        assert document["images"][BASE]["tag"] == tag
        assert document["images"][BASE]["built"] is False
        assert document["images"][BASE]["packages"] == dict(packages(engine, tag))
    finally:
        engine.images.remove(tag, force=True)


@pytest.mark.slow
def test_a_refresh_that_fails_leaves_the_lock(tmp_path: Path) -> None:
    failed = run(tmp_path, "--refresh", BASE, APPLIANCE_MIRROR="http://mirror.invalid/debian")
    assert failed.returncode == 1
    assert "mirror.invalid" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["bas"], 64, "did you mean base?"),
        (["--mirror", "ftp://x/debian", "--refresh", BASE], 64, "no mirror that containers can reach"),
    ],
)
def test_mistakes(engine: docker.DockerClient, tmp_path: Path, words: list[str], code: int, says: str) -> None:
    result = run(tmp_path, *words)
    assert (result.returncode, result.stdout) == (code, "")
    assert says in result.stderr
