"""What is verified, and where it can be reached from here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from appliance.engines.base import Engine
from appliance.keys.view import KeyView
from appliance.people import People
from appliance.render.bundle import Bundle, digest_of
from appliance.spec.model import Spec
from appliance.topology import Topology

#: what a wildcard bind means for somebody on the same host
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def engine_host(docker_host: str | None = None) -> str:
    """The host on which the engine runs, as DOCKER_HOST names it; empty when it is this machine."""
    url = urlsplit(os.environ.get("DOCKER_HOST", "") if docker_host is None else docker_host)
    return (url.hostname or "") if url.scheme in ("ssh", "tcp", "http", "https") else ""


@dataclass(frozen=True)
class Endpoint:
    """Where a listener is reached from here. ``bound``: the address it is published on."""

    host: str
    port: int
    bound: str

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.bound else 4


@dataclass(frozen=True)
class Target:
    """A running instance. ``host``: where the engine's published ports are, empty for this machine.

    ``families``: the address families that are served, and in which mail leaves.
    """

    engine: Engine
    topology: Topology
    bundle: Bundle
    people: People
    keys: KeyView
    host: str = ""
    families: tuple[int, ...] = (4,)

    @property
    def spec(self) -> Spec:
        """The spec that it was made from."""
        return self.topology.spec

    @property
    def instance(self) -> str:
        """The instance's name."""
        return self.bundle.instance

    @cached_property
    def spec_digest(self) -> str:
        """A digest of the spec; password hashes count in it and do not show."""
        return digest_of(self.spec.model_dump(mode="json", fallback=lambda value: getattr(value, "__dict__", str(value))))

    @cached_property
    def roles(self) -> frozenset[str]:
        """Roles of which a service runs."""
        return frozenset(s.role for s in self.bundle.services)

    def endpoints(self, listener: str) -> tuple[Endpoint, ...]:
        """Every place where a listener of ``spec.listen.ports`` is published, IPv4 first."""
        ports = [p for s in self.bundle.services for p in s.runtime.ports if p.name == listener]
        found = [Endpoint(self._host(p.address), p.host_port, p.address) for p in ports]
        return tuple(sorted(found, key=lambda e: (e.family, e.host)))

    def endpoint(self, listener: str) -> Endpoint | None:
        """The first of them; None when the spec closes the listener."""
        return next(iter(self.endpoints(listener)), None)

    def _host(self, bound: str) -> str:
        if self.host:
            return self.host if bound in LOOPBACK else bound
        return LOOPBACK.get(bound, bound)

    def listening(self, listener: str) -> str | None:
        """The service that runs a listener, e.g. the one behind port 25; None when nothing does."""
        return next((n.name for n in self.topology.nodes if listener in n.service.ports), None)

    def offering(self, offer: str) -> str | None:
        """The service that offers something (``sasl``, ``lmtp`` …); None when nothing does."""
        return next((n.name for n in self.topology.nodes if any(o.name == offer for o in n.service.offers)), None)
