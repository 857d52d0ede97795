"""Every golden file that a daemon can parse is parsed by it: each service's own check, then the service itself on these files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.images.build import build
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.keys.ring import KeyRing
from appliance.render.bundle import File, ServiceBundle
from tests.golden import golden
from tests.instances import LABEL
from tests.reports import Recorder

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

CASES = [(name, service.name) for name in golden.SPECS for service in golden.bundle(name).services]
#: waits for a file, then becomes the service
GATE = ["sh", "-c", 'until [ -e /tmp/go ]; do sleep 0.1; done; exec "$@"', "gate"]


def files(service: ServiceBundle, name: str, ring: KeyRing) -> bytes:
    """/config as the service would see it, keys from a ring made for the test."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:

        def put(path: str, data: bytes, mode: int, owner: tuple[int, int]) -> None:
            member = tarfile.TarInfo(path)
            member.size, member.mode, (member.uid, member.gid) = len(data), mode, owner
            tar.addfile(member, io.BytesIO(data))

        for file in service.files:
            data = file.data if isinstance(file, File) else ring.read(file.ref, golden.spec(name))
            put(f"config/gen/g/{file.path}", data, file.mode, file.owner)
            if file.on_change in ("none", "map"):
                put(f"config/live/{file.path}", data, file.mode, file.owner)
        link = tarfile.TarInfo("config/current")
        link.type, link.linkname = tarfile.SYMTYPE, "gen/g"
        tar.addfile(link)
    return archive.getvalue()


@pytest.fixture(scope="module")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, KeyRing]:
    """Golden spec → a ring of its own."""
    made: dict[str, KeyRing] = {}
    for name in golden.SPECS:
        of = golden.spec(name)
        made[name] = KeyRing(tmp_path_factory.mktemp("keys") / of.name)
        made[name].create(of, Recorder())
    return made


@pytest.fixture
def container(
    engine: docker.DockerClient, instance: str, request: pytest.FixtureRequest, rings: Mapping[str, KeyRing]
) -> Iterator[Container]:
    """The service's container before it becomes the service: no network, its files in place, its tables built."""
    name, of = request.param
    service = golden.bundle(name).service(of)
    image = service.runtime.image.partition("/")[2].partition(":")[0]
    build(engine, [image], Lock(), Recorder())
    made: Container = engine.containers.create(
        tags(Lock())[image],
        [*GATE, *service.runtime.command],
        hostname=service.runtime.hostname,
        labels={LABEL: instance},
        network_mode="none",
        cap_drop=["ALL"],
        cap_add=list(service.runtime.capabilities),
        security_opt=["no-new-privileges"],
        extra_hosts=dict(service.runtime.hosts),
        environment=dict(service.runtime.env),
        user=service.runtime.user,
    )
    made.put_archive("/", files(service, name, rings[name]))
    made.start()
    try:
        for file in service.files:
            for folder in ("/config/live", "/config/current") if file.build else ():
                argv = [word.replace("{path}", f"{folder}/{file.path}") for word in file.build]
                assert made.exec_run(argv, user="0").exit_code == 0, argv
        yield made
    finally:
        made.remove(force=True, v=True)


@pytest.mark.parametrize(("container", "case"), [(c, c) for c in CASES], indirect=["container"], ids=["-".join(c) for c in CASES])
def test_a_daemon_parses_its_golden_files(container: Container, case: tuple[str, str]) -> None:
    name, of = case
    validate = golden.bundle(name).service(of).validate
    assert validate.commands or validate.trial, f"{of} says no way to check its files"
    for argv in validate.commands:
        code, (_, stderr) = container.exec_run(list(argv), demux=True)
        assert (code, stderr or b"") == (0, b""), argv
    if validate.trial:
        container.exec_run(["touch", "/tmp/go"])  # noqa: S108 - in the container
        code, said = container.exec_run(["timeout", str(validate.timeout), *validate.trial])
        assert code == 0, f"{said!r}\n{container.logs(tail=20).decode()}"


def test_every_golden_folder_belongs_to_a_service_that_is_checked() -> None:
    services = {path.name for role in golden.catalog().values() for path in Path(role.folder / "golden").glob("*/*")}
    assert services == {service for _, service in CASES}
