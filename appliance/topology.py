"""Joins what roles offer (milter, sasl, lmtp, resolver …) to what they use; start order follows from the joins."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from appliance.catalog.role import STAGES, Offer, Role, ServiceDef
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView
from appliance.people import People
from appliance.render.bundle import SOCK
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
    """The instance's network, as strings ready for a configuration file. ``subnet6``: in a view "" where IPv6 is not served."""

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


def resolve(spec: Spec, catalog: Mapping[str, Role]) -> Topology:
    """Joins the services of the enabled roles and puts them in start order.

    Raises ApplianceError where a required offer is missing or the joins make a circle.
    """
    running = {service.name: (role, service) for role, service in _running(spec, catalog)}
    offers = _offers(running)
    order = _order({name: _after(service, offers) for name, (_, service) in running.items()})
    network = _network(spec, [service for _, service in running.values()])
    nodes = tuple(
        Node(
            role=running[name][0],
            service=running[name][1],
            joins=_joins(*running[name], offers, catalog, network),
            milters=_milters(running[name][1], running),
            after=tuple(sorted(_after(running[name][1], offers))),
        )
        for name in order
    )
    return Topology(spec, network, nodes)


def _running(spec: Spec, catalog: Mapping[str, Role]) -> Iterator[tuple[Role, ServiceDef]]:
    for role in catalog.values():
        settings = spec.roles.get(role.name)
        if not (settings.enabled if settings else role.enabled):
            continue
        names = {s.name for s in role.services}
        if "services" in role.hooks:
            names = set(role.hooks["services"](spec, settings.options if settings else {}))
        yield from ((role, service) for service in role.services if service.name in names)


def _offers(running: Mapping[str, tuple[Role, ServiceDef]]) -> Mapping[str, tuple[str, Offer]]:
    """Offer name → (provider, offer); milters, of which there may be many, are joined by stage instead."""
    found: dict[str, tuple[str, Offer]] = {}
    for name, (role, service) in running.items():
        for offer in service.offers:
            if offer.name == "milter":
                continue
            if offer.name in found:
                raise ApplianceError(
                    f"{found[offer.name][0]} and {name} both offer {offer.name}",
                    hint=f"switch one off, e.g. roles: {{{role.name}: off}}",
                )
            found[offer.name] = (name, offer)
    return found


def _after(service: ServiceDef, offers: Mapping[str, tuple[str, Offer]]) -> set[str]:
    return {offers[use.name][0] for use in service.uses if use.kind != "later" and use.name in offers} - {service.name}


def _order(after: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Providers before users, and alphabetical where the joins leave it open, so that the order is always the same."""
    sorter = TopologicalSorter({name: sorted(before) for name, before in sorted(after.items())})
    try:
        sorter.prepare()
    except CycleError as circle:
        raise ApplianceError(
            f"these services wait for each other: {' → '.join(circle.args[1])}", hint="a use of kind later breaks a circle"
        ) from None
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _joins(
    role: Role, service: ServiceDef, offers: Mapping[str, tuple[str, Offer]], catalog: Mapping[str, Role], network: Network
) -> Mapping[str, Join]:
    joins: dict[str, Join] = {}
    for use in service.uses:
        if use.name in offers:
            provider, offer = offers[use.name]
            joins[use.name] = _join(provider, offer, network)
        elif use.kind == "required":
            able = [r.name for r in catalog.values() for s in r.services for o in s.offers if o.name == use.name]
            hint = f"switch on roles.{able[0]}, or switch roles.{role.name} off" if able else f"no role offers {use.name}"
            raise ApplianceError(f"{service.name} needs {use.name}, and nothing that runs offers it", hint=hint)
    if "resolver" in offers and offers["resolver"][0] != service.name:
        joins["resolver"] = _join(*offers["resolver"], network)
    return joins


def _join(provider: str, offer: Offer, network: Network) -> Join:
    if offer.socket:
        return Join(offer.name, provider, socket=f"{SOCK}/{provider}/{offer.socket}")
    return Join(offer.name, provider, host=f"{offer.name}.internal", address=network.addresses[provider], port=offer.port)


def _milters(service: ServiceDef, running: Mapping[str, tuple[Role, ServiceDef]]) -> Mapping[str, tuple[MilterJoin, ...]]:
    """Postfix service → milters: verdicts before changes before signatures, by name within a stage."""
    found = (
        sorted(
            (STAGES.index(offer.stage), name, offer)
            for name, (_, provider) in running.items()
            for offer in provider.offers
            if offer.name == "milter" and offer.stage
        )
        if service.takes_milters
        else []
    )
    return {
        where: tuple(MilterJoin(n, f"{SOCK}/{n}/{o.socket}", o.stage, o.timeout) for _, n, o in found if where in o.joins)
        for where in service.takes_milters
    }


def _network(spec: Spec, services: list[ServiceDef]) -> Network:
    subnet = ipaddress.IPv4Network(spec.network.subnet) if spec.network.subnet else derived_subnet(spec.name)
    if subnet.prefixlen > 26:
        raise ApplianceError(f"the subnet {subnet} is too small", hint="give a /26 or larger, e.g. 198.18.25.0/24")
    # fixed addresses in the lower half, what the engine gives out by itself in the upper half: they cannot meet
    dynamic = list(subnet.subnets(prefixlen_diff=1))[1]
    addresses = {s.name: str(subnet.network_address + s.address) for s in services if s.address}
    # an offer by TCP needs a fixed address
    for service in services:
        if service.name not in addresses and any(o.port for o in service.offers):
            raise ApplianceError(
                f"the role of {service.name} offers a port and says no address", hint="add address: N to its role.yml"
            )
    subnet6 = spec.network.subnet6 or str(derived_subnet6(spec.name))
    return Network(spec.name, str(subnet), str(subnet.network_address + 1), str(dynamic), addresses, subnet6)


def derived_subnet(name: str) -> ipaddress.IPv4Network:
    """A /24 of 198.18.0.0/15 (RFC 2544: no real host has such an address) that follows from the instance's name."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:2]) % 512
    return ipaddress.IPv4Network((int(ipaddress.IPv4Address("198.18.0.0")) + number * 256, 24))


def derived_subnet6(name: str) -> ipaddress.IPv6Network:
    """A /64 of fd00::/8 (RFC 4193: nobody else's, routed nowhere) that follows from the instance's name."""
    number = int.from_bytes(b"\xfd" + hashlib.sha256(name.encode()).digest()[:7])
    return ipaddress.IPv6Network((number << 64, 64))
