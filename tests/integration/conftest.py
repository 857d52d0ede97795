"""The appliance that integration tests share: put up once a session, proven, removed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.instances import Instances
from tests.integration.running import Appliance, free_subnet, write_spec

if TYPE_CHECKING:
    import docker


@pytest.fixture(scope="session")
def appliance_up(
    engine: docker.DockerClient, instances: Instances, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Appliance]:
    """The running appliance: ``.spec_path .ports .engine .app .name .cli() .exec() .target()``; see running.py for its people.

    A test that changes it puts it back. Images are built when they are missing.
    """
    name = instances.new("main")
    folder = tmp_path_factory.mktemp("main")
    path, ports = write_spec(folder, name, free_subnet(engine))
    made = Appliance(name, path, ports, engine)
    try:
        made.cli("-y", "up", "--no-verify")
        yield made
    finally:
        instances.remove(name)
