"""`appliance status`: is it well — services, what they say of themselves, memory, keys, pending changes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit

if TYPE_CHECKING:
    from appliance.catalog.role import ServiceDef
    from appliance.cli.planning import Planned
    from appliance.observed import Observed

#: seconds that a service may take to say how it is
PATIENCE = 15


@dataclass(frozen=True)
class Line:
    """One finding."""

    subject: str
    well: bool
    text: str


@click.command()
@pass_app
def command(app: App) -> int:
    """Say whether it is well: services, queue, signatures, memory, certificates, updates, pending changes. Exit 1 when not."""
    from appliance.cli import planning

    planned = planning.make(app)
    lines = [*services(app, planned), *certificates(app), *updates(planned.observed)]
    pending = planned.plan
    lines.append(
        Line("plan", pending.empty, "no changes pending" if pending.empty else planning.summary(pending).removeprefix("plan: "))
    )
    well = all(line.well for line in lines)
    if app.json:
        warnings = list(pending.warnings)
        app.print_json({"instance": app.spec().name, "well": well, "lines": [asdict(x) for x in lines], "warnings": warnings})
    else:
        for line in lines:
            sign = click.style("✓", fg="green") if line.well else click.style("✗", fg="red")
            app.print(f"{sign} {line.subject}: {line.text}")
        for warning in pending.warnings:
            app.print(f"{click.style('!', fg='yellow')} {warning}")
    return Exit.DONE if well else Exit.FAILED


def services(app: App, planned: Planned) -> Iterator[Line]:
    """Each service: its state, its memory, and what it says of itself."""
    from appliance.plan.words import human_size

    defined = {s.name: s for role in app.catalog().values() for s in role.services}
    used = app.engine().memory(app.spec().name)
    wanted = [s.name for s in planned.plan.bundle.services]
    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(wanted, pool.map(lambda name: words(app, planned, defined[name]), wanted), strict=True))
    for service in planned.plan.bundle.services:
        seen = planned.observed.services.get(service.name)
        if seen is None:
            yield Line(service.name, False, "not there")
            continue
        well = seen.state == "running" and seen.health in ("healthy", "none")
        state = seen.state if seen.health == "none" else f"{seen.state}, {seen.health}"
        memory = f"{human_size(used[service.name])} of {human_size(service.runtime.memory)}" if used.get(service.name) else ""
        own_well, own = said[service.name]
        yield Line(service.name, well and own_well, ", ".join(x for x in (state, memory, own) if x))


def words(app: App, planned: Planned, service: ServiceDef) -> tuple[bool, str]:
    """What a running service says of itself; nothing for one that says nothing."""
    seen = planned.observed.services.get(service.name)
    if not service.status or seen is None or seen.state != "running":
        return True, ""
    try:
        done = app.engine().exec(app.spec().name, service.name, service.status, timeout=PATIENCE)
    except ApplianceError as why:
        return False, why.message
    text = " ".join((done.stdout or done.stderr).decode(errors="replace").split())
    return done.code == 0, text


def updates(observed: Observed) -> Iterator[Line]:
    """Security updates of Debian that the images in use do not have yet; well in any case, for nothing is broken by them."""
    from appliance.images.base import ARCHITECTURES
    from appliance.images.mirror import mirrors
    from appliance.images.tags import SUITE
    from appliance.images.updates import pending
    from appliance.plan.words import some

    held = {s.image_packages for s in observed.services.values() if s.image_packages}
    if not held:
        return
    machine = observed.host.architecture
    try:
        found = pending(held, mirrors(), SUITE, ARCHITECTURES.get(machine, machine))
    except ApplianceError as why:
        yield Line("security updates", True, f"not known: {why.message}")
        return
    words = f"{len(found)} pending ({some(found, 3)}): `appliance build --refresh`, then `appliance up`"
    yield Line("security updates", True, words if found else "none pending")


def certificates(app: App) -> Iterator[Line]:
    """Who issued each certificate of the ring, how long it still holds, and why there is none from the authority."""
    from appliance.keys.fetched import authority, due, state
    from appliance.keys.leaf import ITSELF, ends_soon
    from appliance.keys.view import TLS_CERT

    spec, ring = app.spec(), app.ring()
    now = ring.now()
    for entry in ring.entries(spec):
        if entry.expires is None or entry.issued is None:
            continue
        days, well = (entry.expires - now).days, not ends_soon(entry.issued, entry.expires, now)
        text = f"issued by {entry.issuer}, " + (f"{days} days left" if days >= 0 else f"ended {-days} days ago")
        if entry.need.ref == TLS_CERT and due(spec, ring):
            well = well and entry.issuer != ITSELF
            text += f"; `appliance tend` asks {authority(spec)}"
            text += f" (the last try: {last})" if (last := state(ring).words) else ""
        yield Line(entry.need.ref, well, text)
