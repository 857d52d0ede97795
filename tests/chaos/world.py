"""An appliance that chaos may break, and what lies in its mailboxes."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from appliance.engines.docker.labels import labels
from appliance.errors import ApplianceError
from tests.instances import Instances
from tests.integration.running import Appliance, free_subnet, write_spec

if TYPE_CHECKING:
    import docker

MAILS = "find /srv/mail -type f -path '*/Maildir/*/*.M*P*'"
T = TypeVar("T")
FULL = "  policy: {recipients_per_hour: 1000000}\n"
#: Postfix and Dovecot alone: enough where a control is to lose
BARE = "  policy: off\n  opendkim: off\n  resolver: off\n"


@contextmanager
def started(
    client: docker.DockerClient,
    instances: Instances,
    what: str,
    roles: str = FULL,
    volumes: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Appliance]:
    """An instance of its own. ``volumes``: name → options of the local driver, made before `up`, which takes what is there."""
    name, folder = instances.new(what), Path(tempfile.mkdtemp(prefix="t-chaos-"))
    try:
        spec, ports = write_spec(folder, name, free_subnet(client))
        text = spec.read_text(encoding="utf-8")
        if roles == BARE:
            text = text.replace("  clamav: {signatures: signatures}\n", "  clamav: off\n")
        spec.write_text(text + roles, encoding="utf-8")
        for volume, options in (volumes or {}).items():
            client.volumes.create(f"{name}-{volume}", driver="local", driver_opts=dict(options), labels=labels(name))
        where = Appliance(name, spec, ports, client)
        where.cli("-y", "up", "--no-verify")
        yield where
    finally:
        instances.remove(name)
        shutil.rmtree(folder)


def services(where: Appliance) -> list[str]:
    """Names of all of them."""
    return [s.name for s in where.app.bundle().services]


def until(found: Callable[[], T | None], what: str, seconds: float) -> T:
    """Asks until there is an answer. Raises RuntimeError after the deadline."""
    deadline = time.monotonic() + seconds
    while (answer := found()) is None or answer is False:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return answer


def began(where: Appliance, service: str) -> float:
    """When the container was started last, in seconds since the epoch; 0 while it does not run."""
    state = where.client.containers.get(f"{where.name}-{service}").attrs["State"]
    if not state["Running"] or state["Restarting"] or not state["Pid"]:
        return 0.0
    whole, _, rest = state["StartedAt"].partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{rest.rstrip('Z')}")


def stored(where: Appliance) -> Counter[str]:
    """Message-ID → how many mailboxes and folders hold it."""
    return Counter(_idents(where, f"{MAILS} -exec grep -him1 '^message-id:' {{}} + || true"))


def unsigned(where: Appliance) -> set[str]:
    """Message-IDs of mails without any signature."""
    return set(_idents(where, f"{MAILS} -exec grep -Li '^dkim-signature:' {{}} + | xargs -r grep -him1 '^message-id:' || true"))


def _idents(where: Appliance, script: str) -> list[str]:
    """What a script of whoever owns the mail finds."""
    done = where.engine.exec(where.name, "dovecot", ("sh", "-euc", script), user="905:905", timeout=120)
    if done.code:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return [line.partition(b"<")[2].partition(b">")[0].decode() for line in done.stdout.splitlines()]


def drained(where: Appliance, idents: Iterable[str], seconds: float = 120) -> Counter[str]:
    """The mailboxes as soon as all of them are there, or after the deadline as they are. The queue is asked to try at once."""
    wanted, deadline = set(idents), time.monotonic() + seconds
    found: Counter[str] = Counter()
    while True:
        try:
            where.engine.exec(where.name, "postfix", ("postqueue", "-f"), timeout=15)
            found = stored(where)
        except (ApplianceError, RuntimeError):
            pass  # one of the two is just coming back
        if wanted <= set(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.5)
