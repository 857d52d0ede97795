"""Ways in which a part of a running appliance is broken for a while. Each is a context: broken inside, whole again after it.

Nothing is ever paused by `docker pause`: with the freezer of cgroup v1 an exec that runs meanwhile makes the engine's inspect of
that container hang until somebody thaws it by hand.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.world import until
from tests.instances import LABEL
from tests.integration.running import Appliance

if TYPE_CHECKING:
    from docker.models.containers import Container

STAND_IN = Path(__file__).with_name("stand_in.py")


def pids(where: Appliance, service: str, process: str = "") -> list[int]:
    """The host's pids of a service's processes; ``process``: only Dovecot's of that name, and the master who would make more."""
    said = where.client.containers.get(f"{where.name}-{service}").top(ps_args="-eo pid,args")["Processes"] or ()
    names = (f"dovecot/{process}", "dovecot -F") if process else ("",)
    return [int(pid) for pid, args in said if any(n in args for n in names)]


@contextmanager
def held(where: Appliance, service: str, process: str = "") -> Iterator[None]:
    """SIGSTOP for every process of a service that is there now."""
    found = pids(where, service, process)
    try:
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def closed(where: Appliance, service: str, process: str) -> Iterator[None]:
    """One of Dovecot's services is not there, the others are."""
    where.exec(service, "doveadm", "service", "stop", process)
    try:
        yield
    finally:
        where.exec(service, "doveadm", "reload")


@dataclass(frozen=True)
class Taken:
    """Somebody else stands where a service's socket is; see stand_in.py for ``how``."""

    service: str
    socket: str
    how: str

    @contextmanager
    def on(self, where: Appliance) -> Iterator[None]:
        """The stand-in runs in a container of the policy's image, which has Python."""
        volume = {f"{where.name}-{self.service}-sock": {"bind": "/s", "mode": "rw"}}
        with stand_in(where, self.how, f"/s/{self.socket}", network_mode="none", volumes=volume):
            yield


@dataclass(frozen=True)
class OtherResolver:
    """Another program has the resolver's address."""

    how: str

    @contextmanager
    def on(self, where: Appliance) -> Iterator[None]:
        """The resolver is stopped meanwhile."""
        resolver = where.client.containers.get(f"{where.name}-resolver")
        network: Mapping[str, str] = resolver.attrs["NetworkSettings"]["Networks"][where.name]["IPAMConfig"]
        endpoint = where.client.api.create_endpoint_config(ipv4_address=network["IPv4Address"])
        resolver.stop(timeout=10)
        try:
            with stand_in(where, self.how, "dns", network=where.name, networking_config={where.name: endpoint}):
                yield
        finally:
            resolver.start()
            where.wait("resolver")


@contextmanager
def stand_in(where: Appliance, how: str, place: str, **more: object) -> Iterator[Container]:
    """The program in its container, from the moment when it is ready."""
    made: Container = where.client.containers.run(  # type: ignore[call-overload]
        where.app.bundle().service("policy").runtime.image,
        ["python3", "-I", "-c", STAND_IN.read_text(encoding="utf-8"), how, place],
        entrypoint=[],
        detach=True,
        labels={LABEL: where.name},
        user="0:0",
        **more,
    )
    try:
        until(lambda: b"ready" in made.logs() or None, f"the stand-in of {place} is ready", 20)
        yield made
    finally:
        made.stop(timeout=10)
        made.remove(force=True)
