"""Joins what roles offer (milter, sasl, lmtp, resolver …) to what they use; start order follows from the joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.catalog.role import Role, ServiceDef
from appliance.keys.view import KeyView
from appliance.people import People
from appliance.spec.model import Spec


@dataclass(frozen=True)
class Join:
    """One offer as its user sees it: a ``socket`` path, or ``host`` (a name in /etc/hosts), ``address`` and ``port``."""

    offer: str
    provider: str
    socket: str = ""
    host: str = ""
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class MilterJoin:
    """A milter as Postfix sees it, in order; ``timeout`` is its content time limit in seconds."""

    name: str
    socket: str
    stage: str
    timeout: int


@dataclass(frozen=True)
class Network:
    """The instance's network, as strings ready for a configuration file."""

    name: str
    subnet: str
    gateway: str
    dynamic: str
    addresses: Mapping[str, str]  # service → fixed address
    subnet6: str = ""


@dataclass(frozen=True)
class Node:
    """A service that runs, with everything it is joined to. ``milters``: Postfix service → milters in order."""

    role: Role
    service: ServiceDef
    joins: Mapping[str, Join]
    milters: Mapping[str, tuple[MilterJoin, ...]]
    after: tuple[str, ...]

    @property
    def name(self) -> str:
        """The service's name."""
        return self.service.name


@dataclass(frozen=True)
class Topology:
    """All services of the instance in start order."""

    spec: Spec
    network: Network
    nodes: tuple[Node, ...]

    def node(self, name: str) -> Node | None:
        """The node of a service, None when it does not run."""
        return next((n for n in self.nodes if n.name == name), None)


@dataclass(frozen=True)
class View:
    """What templates and a role's filters.py see. In a template each field is a variable of that name.

    ``options``: the role's options, defaults filled in. ``config``, ``live``: the folders inside the container.
    """

    spec: Spec
    options: Mapping[str, Any]
    service: ServiceDef
    joins: Mapping[str, Join]
    milters: Mapping[str, tuple[MilterJoin, ...]]
    network: Network
    people: People
    keys: KeyView
    running: tuple[str, ...]  # names of all services that run
    families: tuple[int, ...] = (4,)  # address families that are published and used outwards
    config: str = "/config/current"
    live: str = "/config/live"
