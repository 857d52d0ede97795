"""What a role is: the typed form of ``role.yml``. Nouns and commands only; thought stands in the role's ``filters.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from appliance.render.bundle import Health, OnChange, Validate

#: Postfix services that a milter may join
MILTER_SERVICES = ("mx", "submission", "reinjected", "bounces")
#: a milter's stage decides the order without a role naming another
STAGES = ("verdict", "change", "sign")


@dataclass(frozen=True)
class Option:
    """One typed option of a role; the spec's model, the schema and ``explain`` are made from it.

    ``type`` is a name of ``spec/types.py``: string, boolean, integer, size, duration, address, domain, choice, path,
    folder, list.
    """

    name: str
    type: str
    default: Any
    description: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    or_folder: bool = False  # choice: a folder relative to the spec is allowed too


@dataclass(frozen=True)
class FileDef:
    """A file of a service. ``template`` is below the role's ``templates/``; ``ref`` names a secret of the ring."""

    path: str
    template: str = ""
    ref: str = ""
    mode: int = 0o444
    owner: tuple[int, int] = (0, 0)
    on_change: OnChange = "reload"
    secret: bool = False
    people: bool = False
    build: tuple[str, ...] = ()


@dataclass(frozen=True)
class Offer:
    """What a service offers to others.

    ``socket``: file name in the service's socket folder; ``port``: TCP port instead (the service gets a fixed address).
    A milter also says its ``stage``, the Postfix services it ``joins`` and its content ``timeout`` in seconds.
    """

    name: str
    socket: str = ""
    port: int = 0
    stage: Literal["verdict", "change", "sign", ""] = ""
    joins: tuple[str, ...] = ()
    timeout: int = 30


@dataclass(frozen=True)
class Use:
    """What a service needs of others. ``later``: optional, and it does not decide the start order (breaks a circle)."""

    name: str
    kind: Literal["required", "optional", "later"]


@dataclass(frozen=True)
class VolumeDef:
    """A state volume that a service mounts. ``holds`` (in one place of the role) says what would be lost with it."""

    name: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class ServiceDef:
    """One process in one container."""

    name: str
    image: str
    command: tuple[str, ...]
    files: tuple[FileDef, ...]
    user: str = ""
    capabilities: tuple[str, ...] = ()
    memory: int = 0
    pids: int = 100
    nofile: int = 4096
    volumes: tuple[VolumeDef, ...] = ()
    tmpfs: tuple[tuple[str, str], ...] = ()
    ports: Mapping[str, int] = field(default_factory=dict)  # listener name of spec.listen.ports → port in the container
    address: int = 0  # host number in the subnet, 0 = any
    offers: tuple[Offer, ...] = ()
    uses: tuple[Use, ...] = ()
    takes_milters: tuple[str, ...] = ()  # the MILTER_SERVICES it runs
    reload: tuple[str, ...] = ()
    health: Health | None = None
    status: tuple[str, ...] = ()  # argv whose lines `appliance status` shows; another end than 0 is not well
    forget: tuple[str, ...] = ()  # argv that ends what is kept of people who left: reads their addresses, one a line
    validate: Validate = field(default_factory=Validate)
    env: tuple[tuple[str, str], ...] = ()
    stop_timeout: int = 30


@dataclass(frozen=True)
class Role:
    """A room: everything that a role is, read from its folder."""

    name: str
    summary: str
    folder: Path
    services: tuple[ServiceDef, ...]
    options: tuple[Option, ...] = ()
    enabled: bool = True  # without a word in the spec
    without: str = ""  # what is lost when it is off, as a sentence; the plan says it
    state: Mapping[str, str] = field(default_factory=dict)  # volume → what it holds, in words
    dns: tuple[str, ...] = ()  # names of the record sets in dns/wanted.py that it needs
    hooks: Mapping[str, Callable[..., Any]] = field(default_factory=dict)  # from filters.py


#: hooks that a role's filters.py may define; each is pure and gets a topology.View
#:   context(view) -> Mapping[str, object]        more variables for the templates
#:   files(view) -> Iterable[FileDef | File]      more files of view.service (DKIM keys of each domain, signatures …)
#:   services(spec, options) -> Iterable[str]     which of the role's services run (default: all)
#:   memory(view) -> int                          bytes, instead of role.yml's figure
#:   filters: a dict FILTERS name → function      for the templates
HOOKS = ("context", "files", "services", "memory")
