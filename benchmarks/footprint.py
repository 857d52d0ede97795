"""What the appliance weighs: images, memory and CPU at rest, and the time until it is proven."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.images.context import BASE
from benchmarks import cgroup, people
from benchmarks.arms import FULL, Arm
from benchmarks.processes import appliance, run
from benchmarks.table import Control, Row
from tests.instances import LABEL, Instances
from tests.integration.running import free_subnet

if TYPE_CHECKING:
    import docker

ROOM = "footprint"
MB = 1e6
REST = 60.0  # seconds of rest that are measured


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    folder = Path(tempfile.mkdtemp(prefix="t-bench-"))
    try:
        arm = Arm(client, instances, folder, "rest", FULL, "--no-verify")
        try:
            yield images(client, arm)
            yield from rest(client, arm)
        finally:
            instances.remove(arm.name)
        yield proven(client, instances, folder)
    finally:
        shutil.rmtree(folder)


def images(client: docker.DockerClient, arm: Arm) -> Row:
    """Unique bytes of all images of the spec: the base once, and what each adds to it."""
    tags = arm.where.app.tags()
    sizes = {name: int(client.images.get(tag).attrs["Size"]) for name, tag in tags.items()}
    base = client.images.get(tags[BASE]).attrs["RootFS"]["Layers"]
    for name, tag in tags.items():
        layers = client.images.get(tag).attrs["RootFS"]["Layers"]
        if layers[: len(base)] != base:
            raise RuntimeError(f"{name} does not stand on the base: its bytes are not shared")
    unique = sizes[BASE] + sum(size - sizes[BASE] for size in sizes.values())
    control = Control("each on a base of its own", sum(sizes.values()) / MB)
    raw = {name: size / MB for name, size in sizes.items()}
    return Row(ROOM, "all images together, unique bytes", "MB", unique / MB, 700, 450, control=control, raw=raw)


def rest(client: docker.DockerClient, arm: Arm) -> Iterator[Row]:
    """Memory of everything but clamd, and CPU with the health checks, when nobody does anything."""
    arm.delivered(arm.submission)  # every daemon has worked once
    time.sleep(20)
    before, start = cgroup.uses(client, arm.name), time.monotonic()
    time.sleep(REST)
    after, seconds = cgroup.uses(client, arm.name), time.monotonic() - start
    small = {n: u for n, u in after.items() if n != "clamd"}
    share = 100 * sum(after[n].cpu - before[n].cpu for n in after) / seconds
    with hungry(client, arm) as name:
        time.sleep(2)
        first, start = cgroup.uses(client, name), time.monotonic()
        time.sleep(10)
        second, seconds = cgroup.uses(client, name), time.monotonic() - start
    eaten = cgroup.memory(second.values()) / MB
    burnt = 100 * sum(second[n].cpu - first[n].cpu for n in second) / seconds
    raw = {n: u.memory / MB for n, u in after.items()}
    yield Row(
        ROOM,
        "memory at rest of everything but clamd",
        "MB",
        cgroup.memory(small.values()) / MB,
        150,
        60,
        control=Control("a program that holds 200 MB", eaten),
        raw=raw,
    )
    control = Control("a program that is busy every tenth of a second", burnt)
    raw = {n: 100 * (after[n].cpu - before[n].cpu) / REST for n in after}
    yield Row(ROOM, "CPU at rest, health checks included", "% of a core", share, 2, None, control=control, raw=raw)
    yield Row(ROOM, "memory at rest of clamd with the example's signatures", "MB", after["clamd"].memory / MB)


@contextlib.contextmanager
def hungry(client: docker.DockerClient, arm: Arm) -> Iterator[str]:
    """A container that eats what must not be eaten; the instance's name that it goes by."""
    program = "import time\nb = bytearray(b'x') * 200_000_000\nwhile True:\n  t = time.time()\n"
    program += "  while time.time() < t + 0.01: pass\n  time.sleep(0.09)"
    image = client.containers.get(f"{arm.name}-policy").attrs["Config"]["Image"]
    name = f"{arm.name}-control"
    container = client.containers.run(
        image, ["python3", "-c", program], entrypoint=[], detach=True, labels={LABEL: name}, network_mode="none"
    )
    try:
        yield name
    finally:
        container.remove(force=True)


def proven(client: docker.DockerClient, instances: Instances, folder: Path) -> Row:
    """`up` of a new instance from built images until it is proven, whole process."""
    took = []
    for number in range(3):
        arm = Arm(client, instances, folder, f"proven{number}", FULL)
        took.append(arm.up.seconds)
        instances.remove(arm.name)
    name = instances.new("large")
    spec = people.write(folder / "large", 300_000, name, free_subnet(client))
    large = run(appliance(spec, "-y", "up"), cwd=spec.parent, codes=(0, 1, 3)).seconds
    instances.remove(name)
    took.sort()
    control = Control("300,000 mailboxes", large)
    return Row(ROOM, "up, from built images to proven", "s", took[1], 30, 8, control=control, spread=(took[0], took[-1]))
