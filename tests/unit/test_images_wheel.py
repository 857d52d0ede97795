"""A wheel is as good as a checkout: it finds roles and images, and its image tags are the same."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.resources import folder

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.resources import folder
print(json.dumps({"roles": str(folder("roles")), "images": str(folder("images")), "tags": dict(tags(Lock()))}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without a download and outside of it."""
    out = tmp_path_factory.mktemp("dist")
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty virtual environment that has the wheel and nothing else."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    return python


@pytest.fixture(scope="module")
def answer(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, object]:
    """What the installed program says of itself, run far from the checkout."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    result = subprocess.run([installed, "-I", "-c", PROGRAM], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: Mapping[str, object] = json.loads(result.stdout)
    return found


def test_roles_and_images_are_found_inside_the_installation(installed: Path, answer: Mapping[str, object]) -> None:
    for name, file in (("roles", "role.yml"), ("images", "Dockerfile")):
        where = Path(str(answer[name]))
        assert where.is_relative_to(installed.parent.parent)
        found, ours = ({path.parent.name for path in root.glob(f"*/{file}")} for root in (where, folder(name)))
        assert found == ours != set()


def test_the_tags_are_those_of_the_checkout(answer: Mapping[str, object]) -> None:
    assert answer["tags"] == dict(tags(Lock()))


def test_every_file_of_roles_and_images_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "roles", "images"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = {f"appliance/_data/{name}" for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    assert wanted - held == set()


def test_no_litter_is_in_the_wheel(wheel: Path) -> None:
    assert [name for name in zipfile.ZipFile(wheel).namelist() if "__pycache__" in name or name.endswith(".pyc")] == []
