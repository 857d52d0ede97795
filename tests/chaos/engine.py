"""The engine itself is stopped, killed and started again, under load: one of our own in a container, never the machine's."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docker.errors import DockerException

from appliance.engines.docker.engine import connect
from benchmarks.table import Control, Row
from tests.chaos.kills import answering, forgetful
from tests.chaos.ledger import Ledger
from tests.chaos.world import FULL, began, drained, services, until
from tests.instances import Instances
from tests.integration.nested import Host, nested
from tests.integration.running import Appliance, write_spec

if TYPE_CHECKING:
    import docker

ROOM = "engine"
#: orderly ends
STOPS = 4
SUBNET = "198.19.77.0/24"
#: seconds of patience with what never comes back
NEVER = 40


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="t-chaos-") as folder,
        nested(client, instances.new("engine"), Path(folder), patch) as host,
    ):
        patch.setenv("DOCKER_HOST", host.docker_host)
        where = put_up(host, Path(folder))
        yield from struck(where, host)


def put_up(host: Host, folder: Path) -> Appliance:
    """An appliance on the nested host, without a scanner, for the host is small."""
    spec, ports = write_spec(folder, "chaos", SUBNET)
    text = spec.read_text(encoding="utf-8").replace("address: 127.0.0.1", "address: 0.0.0.0")
    spec.write_text(text.replace("clamav: {signatures: signatures}", "clamav: off") + FULL, encoding="utf-8")
    where = Appliance("chaos", spec, ports, connect(host.docker_host).client)
    host.take(sorted({s.runtime.image for s in where.app.bundle().services}))
    where.cli("-y", "up", "--no-verify")
    return where


def struck(where: Appliance, host: Host) -> Iterator[Row]:
    """Ends of dockerd under load; the control: what `docker kill` ended, no restart policy brings back."""
    address = host.docker_host.partition("@")[2]
    with tempfile.TemporaryDirectory(prefix="t-chaos-") as folder:
        with Ledger(where, Path(folder) / "ledger", senders=1, host=address) as ledger:
            answering(ledger, time.time())
            seconds = [stopped(where, host, ledger) for _ in range(STOPS)]
            where.client.api.kill(f"{where.name}-postfix")
            gone = time.time()
            until(lambda: time.time() > gone + NEVER or ledger.answered("smtp", gone + 1), "time passes", NEVER + 10)
            never, dead = time.time() - gone, len(down(where))
            where.cli("-y", "up", "--no-verify")
            left = killed(where, host)
            where.cli("-y", "up", "--no-verify")
            answering(ledger, time.time())
        idents = ledger.idents
        lost = idents - set(drained(where, idents))
        forgotten = forgetful(where, address)
    yield Row(
        ROOM,
        f"acknowledged mails lost or refused for good, of {len(idents):,}, the engine stopped {STOPS} times and killed once",
        "mails",
        len(lost) + sum(ledger.hard.values()),
        floor=0,
        goal=0,
        control=Control("of 100, a server that keeps nothing (smtp-sink)", forgotten),
        raw={"lost": sorted(lost), "refused": ledger.hard},
    )
    yield Row(
        ROOM,
        "both listeners acknowledge again after a stopped engine's restart of the last container",
        "s",
        max(seconds),
        floor=10,
        goal=3,
        spread=(min(seconds), max(seconds)),
        control=Control("a container that `docker kill` ended", never),
    )
    yield Row(
        ROOM,
        "containers that an engine leaves down after it was killed, until `appliance up`",
        "containers",
        len(left),
        floor=0,
        goal=0,
        control=Control("a container that `docker kill` ended", dead),
        note="dockerd stops what outlived it as if a user had, and `unless-stopped` heeds that" if left else "",
        raw={"down": left},
    )


def stopped(where: Appliance, host: Host, ledger: Ledger) -> float:
    """Ends dockerd in order; seconds from the start of the last container until mail is acknowledged."""
    since = time.time()
    end(host, "TERM")

    def look() -> float | None:
        try:
            starts = [began(where, name) for name in services(where)]
        except (OSError, DockerException):
            return None  # dockerd is not back yet
        return max(starts) if min(starts) > since else None

    seconds = answering(ledger, until(look, "dockerd and all containers are back", 120))
    print(f"    stopped: {seconds:.1f} s", file=sys.stderr, flush=True)
    return seconds


def killed(where: Appliance, host: Host) -> list[str]:
    """SIGKILL for dockerd alone: containerd and the containers outlive it. Who is still down some time later."""
    old, since = host.sh("cat /run/docker.pid").strip(), time.time()
    end(host, "KILL")
    until(lambda: (host.answers() and host.sh("cat /run/docker.pid").strip() != old) or None, "dockerd is back", 60)

    def look() -> list[str] | None:
        try:
            found = down(where)
        except (OSError, DockerException):
            return None
        return found if time.time() > since + NEVER or (not found and time.time() > since + NEVER / 2) else None

    return until(look, "dockerd answers", NEVER + 60)


def down(where: Appliance) -> list[str]:
    """Services that do not run."""
    return [name for name in services(where) if not began(where, name)]


def end(host: Host, signal: str) -> None:
    """A signal for dockerd, which its host starts again at once."""
    host.sh(f"kill -{signal} $(cat /run/docker.pid)")
