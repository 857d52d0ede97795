"""The two arms: everything on, and the same Postfix and Dovecot images bare; and what is in their mailboxes."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.bench.load import Load, Outcome, run
from appliance.spec import example
from appliance.spec.model import Ports
from benchmarks import cgroup
from benchmarks.processes import appliance
from benchmarks.processes import run as process
from tests.instances import Instances, free_ports
from tests.integration.running import Appliance, free_subnet, hashed

if TYPE_CHECKING:
    import docker

ROOM_FOR_ALL = "postfix: {connections_per_client: 200, processes: 200}"
FULL = f"{{clamav: {{signatures: signatures}}, policy: {{recipients_per_hour: 1000000}}, {ROOM_FOR_ALL}}}"
BARE = f"{{clamav: off, policy: off, opendkim: off, resolver: off, {ROOM_FOR_ALL}}}"
PASSWORD = "a password of the bench"
USERS = 20
LARGEST = "25 MiB"

SPEC = """\
version: 1
name: {name}
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: user0@example.org
message_size: {largest}
listen: {{address: 127.0.0.1, ports: {ports}}}
network: {{subnet: {subnet}}}
domains: {{example.org: {{}}}}
mailboxes: {mailboxes}
roles: {roles}
"""


def user(number: int) -> str:
    """A mailbox's address."""
    return f"user{number}@example.org"


EVERYBODY = [user(i) for i in range(USERS)]


class Arm:
    """An instance under load. Loads run one after the other; each waits until all of it is stored. ``more``: words for `up`.

    ``hashes``: of PASSWORD, for the first users instead of a cheap one.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        instances: Instances,
        folder: Path,
        what: str,
        roles: str,
        *more: str,
        hashes: Sequence[str] = (),
    ) -> None:
        self.name, self.client, self.what, self.folder = instances.new(what), client, what, folder / what
        self.folder.mkdir(parents=True)
        ports = dict(zip(Ports.model_fields, free_ports(len(Ports.model_fields)), strict=True))
        mailboxes = {a: {"password": hashed(PASSWORD)} for a in EVERYBODY}
        mailboxes |= {user(i): {"password": text} for i, text in enumerate(hashes)}
        (self.folder / "signatures").mkdir()
        for path, data in example.files().items():
            if path.startswith("example-signatures/"):
                (self.folder / "signatures" / Path(path).name).write_bytes(data)
        self.spec = self.folder / "mail.yml"
        text = SPEC.format(
            name=self.name,
            ports=json.dumps(ports),
            subnet=free_subnet(client),
            mailboxes=json.dumps(mailboxes),
            roles=roles,
            largest=LARGEST,
        )
        self.spec.write_text(text)
        self.where = Appliance(self.name, self.spec, ports, client)
        self.up = process(appliance(self.spec, "-y", "up", *more), cwd=self.folder)
        shutil.rmtree(self.folder / "out", ignore_errors=True)

    @cached_property
    def submission(self) -> Load:
        """One user who submits to everybody."""
        return Load("127.0.0.1", self.where.ports["submission"], EVERYBODY, 1, user(0), user(0), PASSWORD)

    @cached_property
    def incoming(self) -> Load:
        """A stranger who sends to everybody."""
        return Load("127.0.0.1", self.where.ports["smtp"], EVERYBODY, 1)

    def delivered(self, load: Load, patience: float = 300) -> Delivery:
        """Sends, and waits until everything that was answered 250 is in a mailbox. Raises RuntimeError when it is not."""
        self.clear()
        before = cgroup.cpu(self.client, self.name)
        outcome = run(load)
        if len(outcome.accepted) < load.messages / 2:
            refused = outcome.refused.most_common(3)
            raise RuntimeError(f"{self.what}: {len(outcome.accepted)} of {load.messages} accepted: {refused}")
        deadline = time.monotonic() + patience
        stored: Sequence[float] = ()
        while len(stored) < len(outcome.accepted):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.what}: {len(outcome.accepted) - len(stored)} of {len(outcome.accepted)} not stored")
            time.sleep(0.3)
            stored = self.stored()
        return Delivery(outcome, tuple(stored), cgroup.cpu(self.client, self.name) - before)

    def rate(self, load: Load, **changes: object) -> float:
        """Messages a second that are in a mailbox."""
        return self.delivered(replace(load, **changes)).rate  # type: ignore[arg-type]

    def stored(self) -> Sequence[float]:
        """When each message of the mailboxes was put there, by the names of Maildir, in order."""
        names = self._store(r"find /srv/mail -path '*/Maildir/*/*.M*P*' -printf '%f\n'").splitlines()
        return sorted(float(n.partition(".")[0]) + int(n.partition(".M")[2].partition("P")[0]) / 1e6 for n in names)

    def clear(self) -> None:
        """Empties the mailboxes."""
        self._store("rm -rf /srv/mail/*/*/Maildir")

    def _store(self, script: str) -> str:
        """A script of whoever owns the mail."""
        done = self.where.engine.exec(self.name, "dovecot", ("sh", "-euc", script), user="905:905")
        if done.code:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return done.stdout.decode()


@dataclass(frozen=True)
class Delivery:
    """A load and what became of it. ``cpu`` seconds of all containers."""

    outcome: Outcome
    stored: tuple[float, ...]
    cpu: float

    @property
    def rate(self) -> float:
        """Messages a second, from the first connection to the last delivery."""
        return len(self.stored) / (self.stored[-1] - self.outcome.began)

    @property
    def milliseconds(self) -> float:
        """CPU of one message."""
        return self.cpu * 1000 / len(self.stored)
