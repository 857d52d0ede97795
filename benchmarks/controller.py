"""What the controller takes: validate, plan, and one mailbox more, other or less at 100,000."""

from __future__ import annotations

import imaplib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.spec import example
from benchmarks import people
from benchmarks.processes import Took, appliance, middle, run
from benchmarks.table import Control, Row
from tests.instances import LABEL, Instances
from tests.integration.mail import trusting
from tests.integration.running import Appliance, free_subnet

if TYPE_CHECKING:
    import docker

ROOM = "controller"
MANY = 100_000
MIB = 2**20
EAGER = "import docker, dns.resolver, cryptography, jinja2, pytest, acme.client; from appliance.cli.main import main; main()"


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    folder = Path(tempfile.mkdtemp(prefix="t-bench-"))
    try:
        yield validate(folder / "example")
        yield from growth(folder / "growth")
        few = small(client, instances, folder / "small")
        many = Many(client, instances, folder / "many")
        try:
            yield from many.plan(few)
            yield from many.changes()
        finally:
            instances.remove(many.name)
    finally:
        shutil.rmtree(folder)


def validate(folder: Path) -> Row:
    """The example, whole process. The control loads at once what `validate` never loads."""
    for path, data in example.files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    spec = folder / "mail.yml"
    took = middle(lambda: run(appliance(spec, "validate"), cwd=folder), 7)
    eager = middle(lambda: run([sys.executable, "-c", EAGER, "-f", str(spec), "validate"], cwd=folder), 3)
    control = Control("every library loaded first", eager.seconds)
    return Row(ROOM, "validate the example, whole process", "s", took.seconds, floor=0.3, goal=None, control=control)


def growth(folder: Path) -> Iterator[Row]:
    """`render` (all that `plan` does before it looks at the host) at 1,000 to 300,000: what one more mailbox costs."""
    took = {}
    for count in (1_000, 10_000, MANY, 300_000):
        took[count] = rendered(people.write(folder / str(count), count))
    for what, unit, of in (
        ("CPU", "µs/mailbox", lambda t: t.cpu * 1e6),
        ("memory", "bytes/mailbox", lambda t: float(t.peak)),
    ):
        slope, early, late = slopes({n: of(t) for n, t in took.items()})
        square = slopes({n: float(n) ** 2 for n in took})
        yield Row(
            ROOM,
            f"{what} of one mailbox more: 100,000–300,000 ÷ 10,000–100,000",
            "",
            late / early,
            floor=1.3,
            control=Control("what grows as the square", square[2] / square[1]),
            raw={"figures": {str(n): of(t) for n, t in took.items()}},
        )
        yield Row(ROOM, f"{what} of one mailbox, 1,000 to 100,000", unit, slope)


def rendered(spec: Path) -> Took:
    """`render` of a spec, median of three."""
    return middle(lambda: run(appliance(spec, "-y", "render", "-o", str(spec.parent / "out")), cwd=spec.parent), 3)


def slopes(figures: dict[int, float]) -> tuple[float, float, float]:
    """What one more costs from 1,000 to 100,000, from 10,000 to 100,000, and from there to 300,000."""

    def between(a: int, b: int) -> float:
        return (figures[b] - figures[a]) / (b - a)

    return between(1_000, MANY), between(10_000, MANY), between(MANY, 300_000)


def small(client: docker.DockerClient, instances: Instances, folder: Path) -> Took:
    """`plan` with nothing to do at 100 mailboxes."""
    name = instances.new("few")
    spec = people.write(folder, 100, name, free_subnet(client))
    try:
        run(appliance(spec, "-y", "up", "--no-verify"), cwd=folder)
        return middle(lambda: run(appliance(spec, "plan", "--detailed-exitcode"), cwd=folder), 7)
    finally:
        instances.remove(name)


class Many:
    """An instance of 100,000 mailboxes."""

    def __init__(self, client: docker.DockerClient, instances: Instances, folder: Path) -> None:
        self.name, self.folder, self.client = instances.new("many"), folder, client
        self.spec = people.write(folder, MANY, self.name, free_subnet(client))
        self.first = run(appliance(self.spec, "-y", "up", "--no-verify"), cwd=folder)

    @property
    def where(self) -> Appliance:
        """It, as the tests' tools see it."""
        from appliance.cli.app import App

        ports = {k: v for k, v in App(file=self.spec).spec().listen.ports.model_dump().items() if v}
        return Appliance(self.name, self.spec, ports, self.client)

    def up(self) -> Took:
        """`up --no-verify`, not asked."""
        return run(appliance(self.spec, "up", "--no-verify"), cwd=self.folder)

    def plan(self, few: Took) -> Iterator[Row]:
        """`plan` with nothing to do, small and large."""
        took = middle(lambda: run(appliance(self.spec, "plan", "--detailed-exitcode"), cwd=self.folder), 5)
        control = Control("100,000 mailboxes", took.seconds)
        yield Row(ROOM, "plan, nothing to do, 100 mailboxes", "s", few.seconds, 0.8, 0.5, control=control)
        three = people.write(self.folder / "three", 3 * MANY)
        large = run(appliance(three, "plan"), cwd=three.parent)
        control = Control("300,000 mailboxes", large.seconds)
        yield Row(ROOM, "plan, nothing to do, 100,000 mailboxes", "s", took.seconds, 2.5, 1.5, control=control)
        memory = Control("300,000 mailboxes", large.peak / MIB)
        yield Row(ROOM, "memory of that plan", "MiB", took.peak / MIB, 400, 250, control=memory)

    def changes(self) -> Iterator[Row]:
        """One mailbox added, changed, removed; what runs goes on, and a session stays open."""
        lines = (self.folder / "mailboxes.csv").read_text().splitlines(keepends=True)[1:]
        steps = {
            "added": [*lines, people.row(MANY)],
            "changed": [*lines, people.row(MANY, "another")],
            "removed": lines,
        }
        took = {}
        for what, after in steps.items():
            before = self.running()
            with self.session() as session:
                people.rows(self.folder, after)
                took[what] = self.up()
                session.noop()
            if self.running() != before:
                raise RuntimeError(f"a mailbox {what}: something was restarted or reloaded")
        control = Control("everything put up anew", self.first.seconds)
        for what, seconds in took.items():
            yield Row(ROOM, f"one mailbox {what} at 100,000: up --no-verify", "s", seconds.seconds, 5, 2.5, control=control)

    def session(self) -> imaplib.IMAP4_SSL:
        """A user who is logged in."""
        client = imaplib.IMAP4_SSL("127.0.0.1", self.where.ports["imaps"], ssl_context=trusting(), timeout=60)
        client.login(people.address(1), people.PASSWORD)
        client.select()
        return client

    def running(self) -> dict[str, tuple[str, int]]:
        """Container → when it started, and how often its daemon said that it was reloaded."""
        found = {}
        for container in self.client.containers.list(filters={"label": f"{LABEL}={self.name}"}):
            words = container.logs().lower()
            found[str(container.name)] = (str(container.attrs["State"]["StartedAt"]), words.count(b"reload"))
        return found
