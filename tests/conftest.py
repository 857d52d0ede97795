"""What all tests share: the engine, instances that are always removed, golden files, and who may run what."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.instances import Instances, free_ports

if TYPE_CHECKING:
    import docker

NO_ROOT = "not run: needs root"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing with them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs root says so in the summary. One that needs an engine fails without it: `make check` leaves it out."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason=NO_ROOT))


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The SDK's client for the engine that DOCKER_HOST names, the local one without it."""
    import docker

    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as why:
        pytest.fail(f"these tests need a Docker engine, and none answers ({why}); `make check` runs those that do not")
    yield client
    client.close()


@pytest.fixture(scope="session", autouse=True)
def instances(request: pytest.FixtureRequest) -> Iterator[Instances]:
    """Names of instances for tests: ``instances.new("dovecot")``. All that carries their label is removed at the end.

    ``instances.remove(name)`` does so earlier. Names are also removed after a failure and an interrupt.
    """
    known = Instances(lambda: request.getfixturevalue("engine"))
    yield known
    known.remove_all()


@pytest.fixture
def instance(request: pytest.FixtureRequest, instances: Instances) -> Iterator[str]:
    """A name for this test's own instance; everything with its label is removed after the test."""
    room = Path(str(request.node.path)).stem.removeprefix("test_").split("_")[0]
    name = instances.new(room)
    yield name
    instances.remove(name)


@pytest.fixture
def ports() -> Callable[[int], tuple[int, ...]]:
    """``ports(3)``: that many free loopback ports, each handed out once a session."""
    return free_ports


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, Mapping[str, bytes]], None]:
    """``golden(folder, files)``: the files (path → bytes) must be those in the folder. With --update-golden they are written."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(folder: Path, files: Mapping[str, bytes]) -> None:
        old = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        changes = "".join(_change(folder / path, old.get(path), files.get(path)) for path in sorted({*old, *files}))
        if not update:
            assert not changes, f"golden files differ; `make golden` rewrites them\n{changes}"
            return
        for path in {*old} - {*files}:
            (folder / path).unlink()
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        if changes:
            print(changes)

    return compare


def _change(path: Path, old: bytes | None, new: bytes | None) -> str:
    if old == new:
        return ""
    before, after = ((data or b"").decode("utf-8", "replace").splitlines(keepends=True) for data in (old, new))
    lines = list(difflib.unified_diff(before, after, f"{path} (golden)", f"{path} (rendered)"))
    return "".join(lines) or f"{path} is {'new' if old is None else 'gone'}, and empty\n"
