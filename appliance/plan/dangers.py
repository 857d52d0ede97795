"""What the plan refuses, each with a number and a remedy, and what it warns of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from appliance.observed import Observed
from appliance.plan import rings
from appliance.plan.words import human_size
from appliance.render.bundle import Bundle, NetworkBundle

#: seconds between the controller's clock and the engine's from which signatures and logs mislead
CLOCK_SKEW = 5.0
DISK_LEFT = 2 * 2**30


def refusals(bundle: Bundle, observed: Observed, *, adopt: bool, missing_keys: tuple[str, ...]) -> Iterator[str]:
    """Sentences; apply does nothing while there is one."""
    yield from rings.refusals(bundle, observed, adopt=adopt, missing_keys=missing_keys)
    yield from _ports(bundle, observed)
    yield from _network(bundle.network, observed, len(bundle.services))


def _ports(bundle: Bundle, observed: Observed) -> Iterator[str]:
    """One sentence for a listener and who holds its port, in whichever family."""
    told = set()
    for port in (p for service in bundle.services for p in service.runtime.ports):
        held = (h for h in observed.ports if h.port == port.host_port and _meet(h.address, port.address))
        who = next((h.who for h in held), None)
        if who and (port.name, who) not in told:
            told.add((port.name, who))
            place = f"[{port.address}]" if ":" in port.address else port.address
            remedy = f"stop it, or set listen.ports.{port.name}"
            yield f"port {place}:{port.host_port} ({port.name}) is held by {who}; {remedy}"


def _network(wanted: NetworkBundle, observed: Observed, services: int) -> Iterator[str]:
    """A subnet that others use, or that cannot change now. One that the network has and nobody needs may stay."""
    there = observed.network
    for field in ("subnet", "subnet6"):
        new, old = getattr(wanted, field), getattr(there, field) if there else ""
        if not there:
            for other in _met(new, observed.host.routes):
                yield f"the subnet {new} meets {other}, which the engine's host already uses; set network.{field} to a free one"
        elif new and new != old:
            yield (
                f"the network's subnet cannot change under {services} running services"
                f" ({old or 'none'} → {new}); `appliance down` (data stays), then `appliance up`"
            )


def _met(subnet: str, routes: Iterable[str]) -> Iterator[str]:
    """Those of the routes that a subnet overlaps; a default route overlaps everything and counts for nothing."""
    wanted = ipaddress.ip_network(subnet) if subnet else None
    for route in routes:
        other = ipaddress.ip_network(route, strict=False)
        if wanted and other.version == wanted.version and other.prefixlen > 0 and wanted.overlaps(other):
            yield str(other)


def _meet(one: str, other: str) -> bool:
    everywhere = ("0.0.0.0", "::", "*", "")  # noqa: S104
    return one == other or one in everywhere or other in everywhere


def warnings(bundle: Bundle, observed: Observed, *, allow_remove: frozenset[str], adopt: bool) -> Iterator[str]:
    """Sentences that stop nothing."""
    host = observed.host
    if adopt:
        yield from rings.warnings(bundle, observed)
    yield from host.warnings
    budget = sum(s.runtime.memory for s in bundle.services)
    if host.memory and budget > host.memory:
        yield f"the services may take {human_size(budget)} together, and the machine has {human_size(host.memory)}"
    if host.disk_free and host.disk_free < DISK_LEFT:
        yield f"only {human_size(host.disk_free)} are free where the volumes lie"
    if abs(host.clock_skew) > CLOCK_SKEW:
        yield f"this machine's clock and the engine's differ by {host.clock_skew:.0f} s; set both by NTP"
    wanted = {v.name for v in bundle.volumes}
    for name in sorted(set(observed.volumes) - wanted):
        short = name.removeprefix(f"{bundle.instance}-")
        if not name.endswith(("-config", "-sock")) and short not in allow_remove:
            yield f"the volume {name} is no longer used and stays; --allow-remove {short} removes it with its content"
