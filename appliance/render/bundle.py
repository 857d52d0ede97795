"""The Bundle: everything that will stand on the host, as immutable data with digests.

Times are part of no digest. Secrets are present only as fingerprints (``SecretFile``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

OnChange = Literal["none", "map", "reload", "restart"]
#: mildest first; a service's action is the strongest that one of its changed files asks for
ON_CHANGE_ORDER: tuple[OnChange, ...] = ("none", "map", "reload", "restart")
NEW_AT_UP = "(new at up)"

CONFIG = "/config"  # the service's configuration volume, read-only inside it
CURRENT = "/config/current"  # link to gen/<live digest>: files that the daemon reads at start or reload
LIVE = "/config/live"  # files that the daemon re-reads by itself (on_change none or map), put there by rename
WAITING = 75
SOCK = "/sock"  # /sock/<service>/: the socket folder a service offers


def sha256(data: bytes) -> str:
    """Lower-case hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a value's canonical JSON."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode())[:16]


@dataclass(frozen=True)
class File:
    """A rendered file. ``path`` is relative to the generation; ``owner`` is numeric (uid, gid)."""

    path: str
    data: bytes = field(repr=False)
    mode: int
    owner: tuple[int, int]
    on_change: OnChange
    source: str  # the template it came from, for messages
    secret: bool = False  # holds password hashes: never shown, counted in the digest
    people: bool = False  # mailboxes, passwords, aliases: never rolled back
    build: tuple[str, ...] = ()  # argv of the role's own program that makes the table; "{path}" is replaced

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the bytes."""
        return sha256(self.data)


@dataclass(frozen=True)
class SecretFile:
    """A file whose bytes stay in the key ring until the engine's hand writes them. ``ref`` names it in the ring."""

    path: str
    ref: str
    fingerprint: str | None  # HMAC with a key of the ring; None: made by `up`
    mode: int
    owner: tuple[int, int]
    on_change: OnChange
    source: str
    people: bool = True
    secret: bool = True
    build: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The fingerprint, or ``(new at up)``."""
        return self.fingerprint or NEW_AT_UP


AnyFile = File | SecretFile


@dataclass(frozen=True)
class Mount:
    """A named volume inside a container. ``nocopy``: the engine must not seed it (its owner and mode) from this image."""

    volume: str
    path: str
    read_only: bool = False
    nocopy: bool = False


@dataclass(frozen=True)
class Port:
    """A published port. ``address`` is the host address ("0.0.0.0", "::", "127.0.0.1" …)."""

    name: str
    address: str
    host_port: int
    container_port: int


@dataclass(frozen=True)
class Health:
    """A container health check; times in seconds.

    A command that ends with WAITING (EX_TEMPFAIL of sysexits.h) says: nothing is broken, something outside is still on its way.
    """

    command: tuple[str, ...]
    interval: int = 30
    timeout: int = 10
    start_period: int = 60
    retries: int = 3


@dataclass(frozen=True)
class Runtime:
    """All that only a new container can change. Its digest is the *frozen* digest."""

    image: str
    command: tuple[str, ...]
    hostname: str
    user: str = ""
    capabilities: tuple[str, ...] = ()
    memory: int = 0  # bytes
    pids: int = 0
    nofile: int = 0
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[tuple[str, str], ...] = ()  # (path, options)
    ports: tuple[Port, ...] = ()
    network: str = ""
    address: str = ""  # fixed IPv4 address in the instance's network, or ""
    dns: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()  # (name, address) lines of /etc/hosts
    env: tuple[tuple[str, str], ...] = ()
    stop_timeout: int = 30  # seconds
    health: Health | None = None
    log_keep: int = 14 * 86400  # seconds
    deviations: tuple[str, ...] = ()  # what of the common frame was changed by hand, in words; nobody wants any

    @cached_property
    def digest(self) -> str:
        """The frozen digest."""
        return digest_of(asdict(self))


@dataclass(frozen=True)
class Validate:
    """How new files are tried in a throwaway container.

    ``commands`` must end with 0 and an empty stderr, then ``trial`` (if any) runs beside the started daemon and must end with 0
    within ``timeout`` seconds.
    """

    commands: tuple[tuple[str, ...], ...] = ()
    trial: tuple[str, ...] = ()
    timeout: int = 30


@dataclass(frozen=True)
class ServiceBundle:
    """One container with its files."""

    name: str  # the service, e.g. "postfix"; the container is <instance>-<name>
    role: str
    runtime: Runtime
    files: tuple[AnyFile, ...]  # sorted by path
    reload: tuple[str, ...] = ()  # argv run inside the container; empty: the service cannot reload
    validate: Validate = Validate()
    after: tuple[str, ...] = ()  # services that must be up before this one

    @cached_property
    def live(self) -> str:
        """The live digest: what can change under a running container. Names the generation's folder."""
        return digest_of([(f.path, f.digest, f.mode, f.owner, f.on_change, f.build) for f in self.files])

    @property
    def frozen(self) -> str:
        """The frozen digest: what needs a new container."""
        return self.runtime.digest

    def file(self, path: str) -> AnyFile | None:
        """The file at a path of the generation."""
        return next((f for f in self.files if f.path == path), None)


@dataclass(frozen=True)
class NetworkBundle:
    """The instance's network. ``dynamic``: the range from which the engine gives addresses to services without a fixed one."""

    name: str
    subnet: str
    gateway: str
    dynamic: str
    subnet6: str = ""


@dataclass(frozen=True)
class VolumeBundle:
    """A volume. ``state``: it holds what cannot be made again (mail, queue …); ``holds`` says what in words."""

    name: str
    state: bool
    holds: str = ""


@dataclass(frozen=True)
class Bundle:
    """The whole instance, services in start order (store before edge).

    ``adopted``: ids of further rings whose volumes are this instance's; part of no digest.
    """

    instance: str
    network: NetworkBundle
    volumes: tuple[VolumeBundle, ...]
    services: tuple[ServiceBundle, ...]
    ring_id: str | None
    adopted: frozenset[str] = frozenset()

    @cached_property
    def release(self) -> str:
        """The release id: a digest over all services."""
        return digest_of([(s.name, s.frozen, s.live) for s in self.services])

    def service(self, name: str) -> ServiceBundle:
        """The service of that name; KeyError when there is none."""
        for s in self.services:
            if s.name == name:
                return s
        raise KeyError(name)

    def container(self, service: str) -> str:
        """The container's name."""
        return f"{self.instance}-{service}"

    def config_volume(self, service: str) -> str:
        """The configuration volume's name."""
        return f"{self.instance}-{service}-config"
