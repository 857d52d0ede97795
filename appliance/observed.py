"""What was found on a host: plain data between the engines, which look, and the plan, which thinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.render.bundle import NetworkBundle, Runtime, digest_of


@dataclass(frozen=True)
class FileMark:
    """One file of a generation as its manifest says it."""

    digest: str
    mode: int
    owner: tuple[int, int]
    on_change: str
    secret: bool = False
    people: bool = False
    ref: str = ""  # SecretFile: its name in the ring
    build: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """``manifest.json`` of a generation: enough to roll back to it. ``time``: seconds since the epoch.

    ``who``: user@host:folder of the spec, of whoever applied it.
    """

    service: str
    live: str
    frozen: str
    release: str
    time: float
    who: str
    controller: str
    runtime: Runtime
    files: Mapping[str, FileMark]
    reload: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObservedService:
    """A service as it is on the host. ``current``/``loaded``: live digests that the links name, None when there is no link."""

    name: str
    state: str  # the engine's word: running, exited, created, restarting, paused, dead …
    health: str  # healthy, unhealthy, starting, none
    runtime: Runtime  # read back from inspect
    current: str | None
    loaded: str | None
    manifest: Manifest | None = None  # of current; None also where it was not read (base.Engine.observe)
    loaded_manifest: Manifest | None = None  # of loaded, or of unsettled
    ring_id: str | None = None
    unsettled: str | None = None  # an apply was cut off: the digest that was loaded before it; ``loaded`` is None then
    started: str = ""
    container_id: str = ""
    image_id: str = ""
    image_packages: str = ""  # label of the image: what is installed


def basis_of(services: Mapping[str, ObservedService]) -> str:
    """A digest of what a plan rests on: by it an apply notices that somebody else applied in between. Health is no part of it."""
    return digest_of(
        [(n, s.container_id, s.runtime.digest, s.current, s.loaded, s.unsettled) for n, s in sorted(services.items())]
    )


@dataclass(frozen=True)
class PortHolder:
    """Who holds a host port: another container, or a process."""

    address: str
    port: int
    who: str


@dataclass(frozen=True)
class HostFacts:
    """What the engine says of its host. ``families``: those in which a published port sees the true client address.

    ``without_ipv6``: a sentence that says why 6 is not among them, and what brings it; "" when it is.
    """

    engine: str  # version
    api: str
    families: tuple[int, ...]
    memory: int  # bytes, whole machine
    memory_free: int
    disk_free: int  # bytes where volumes lie, 0 = not known
    routes: tuple[str, ...]  # subnets of the engine's networks (and host routes, where they can be read), other than ours
    clock_skew: float = 0.0  # seconds, controller minus engine
    warnings: tuple[str, ...] = ()
    architecture: str = ""  # the kernel's word: x86_64, aarch64 …
    without_ipv6: str = ""


@dataclass(frozen=True)
class Observed:
    """The instance as it is. Empty mappings for an instance that does not exist."""

    instance: str
    services: Mapping[str, ObservedService] = field(default_factory=dict)
    previous: tuple[str, ...] = ()  # services that have a <service>-previous container left
    volumes: Mapping[str, str | None] = field(default_factory=dict)  # volume name → ring id label
    network: NetworkBundle | None = None
    images: frozenset[str] = frozenset()  # tags present
    packages: Mapping[str, str] = field(default_factory=dict)  # tag → its label: ``name=version`` words
    ports: tuple[PortHolder, ...] = ()  # holders that are not this instance
    ring_id: str | None = None
    host: HostFacts = HostFacts("", "", (4,), 0, 0, 0, ())

    @property
    def rings(self) -> frozenset[str]:
        """Ids of the key rings that it belongs to: its containers' or, where there is none, its volumes'."""
        services = frozenset(s.ring_id for s in self.services.values() if s.ring_id)
        return services or frozenset(r for r in (*self.volumes.values(), self.ring_id) if r)
