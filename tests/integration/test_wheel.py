"""A wheel in an empty environment is the whole product: it finds the checkout's images, and starts and proves the example."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.images.build import build
from appliance.images.context import BASE
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.spec import example
from appliance.spec.model import Ports
from tests.instances import Instances, free_ports
from tests.integration.running import free_subnet
from tests.reports import Recorder

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`appliance` of a wheel that was installed with all its dependencies, far from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build_ = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build_, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    found = folder / "venv" / "bin" / "appliance"
    pip = [str(found.with_name("python")), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--use-pep517"]
    subprocess.run([*pip, *folder.glob("*.whl")], check=True)
    return found


@pytest.fixture
def example_of_ours(engine: docker.DockerClient, instances: Instances, tmp_path: Path) -> Iterator[str]:
    """The example under a name and on ports of our own, where `try` looks for it; its name."""
    name, spec = instances.new("wheel"), example.text()
    ports = dict(zip(Ports.model_fields, free_ports(len(Ports.model_fields)), strict=True))
    lines = spec.splitlines(keepends=True)
    spec = "".join(f"  ports: {ports}\n".replace("'", "") if line.startswith("  ports: {") else line for line in lines)
    spec = spec.replace("name: example\n", f"name: {name}\nnetwork: {{subnet: {free_subnet(engine)}}}\n", 1)
    for path, data in example.files().items():
        (tmp_path / ".try" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ".try" / path).write_bytes(data)
    (tmp_path / ".try/mail.yml").write_text(spec)
    yield name
    instances.remove(name)


def run(program: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs it as a user would, in a folder of the user's."""
    return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=600)


def test_it_builds_nothing_that_the_checkout_has_built(engine: docker.DockerClient, program: Path, tmp_path: Path) -> None:
    build(engine, [BASE], Lock(), Recorder())
    result = run(program, tmp_path, "build", BASE)
    assert (result.returncode, result.stdout) == (0, f"{tags(Lock())[BASE]}  was there\n"), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_try(engine: docker.DockerClient, program: Path, example_of_ours: str, tmp_path: Path) -> None:
    first = run(program, tmp_path, "try")
    assert first.returncode == 0, first.stderr
    assert f"proven: {example_of_ours} (mail.example.org), suite smoke" in first.stdout + first.stderr
    assert "user alice@example.org   password alice-example" in first.stdout
    made = containers(engine, example_of_ours)
    assert {f"{example_of_ours}-postfix", f"{example_of_ours}-dovecot"} <= made.keys()

    second = run(program, tmp_path, "try")
    assert second.returncode == 0, second.stderr
    assert f"{example_of_ours} is up already, nothing to change" in second.stderr
    assert containers(engine, example_of_ours) == made, "the same containers"

    down = run(program, tmp_path, "try", "--down")
    assert down.returncode == 0, down.stderr
    assert containers(engine, example_of_ours) == {}
    left = [v.name for v in engine.volumes.list() if v.name.startswith(f"{example_of_ours}-")]
    left += [n.name for n in engine.networks.list() if n.name == example_of_ours]
    assert left + list(tmp_path.iterdir()) == []


def containers(engine: docker.DockerClient, name: str) -> dict[str, str]:
    """Container → id of the instance, stopped ones too."""
    found = ((str(c.name), str(c.id)) for c in engine.containers.list(all=True))
    return {made: number for made, number in found if made.startswith(f"{name}-")}
