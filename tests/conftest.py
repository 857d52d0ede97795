"""What all tests share: the engine, instances that are always removed, and who may run what."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.instances import Instances, free_ports

if TYPE_CHECKING:
    import docker

NO_ROOT = "not run: needs root"
collect_ignore = ["fixtures", "molecule"]  # what tests work on; a role's checks run only inside `verify`


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that needs root says so in the summary. One that needs an engine fails without it: `make check` leaves it out."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.docker)
        if item.get_closest_marker("root") and os.geteuid() != 0:
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
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own is closed to them, and is closed again by every run beside this one."""
    folder = Path(tempfile.mkdtemp(prefix="t-appliance-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def ports() -> Callable[[int], tuple[int, ...]]:
    """``ports(3)``: that many free loopback ports, each handed out once a session."""
    return free_ports
