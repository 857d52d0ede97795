"""`appliance status`: is it well — services, memory, pending changes, keys, certificate, updates."""

from __future__ import annotations

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit

#: days before the end of a certificate from which status is not well
EXPIRY_DAYS = 14


@click.command()
@pass_app
def command(app: App) -> int:
    """Say whether it is well: services and their health, memory, pending changes, what keys and certificate need."""
    from appliance.cli import planning
    from appliance.plan.words import human_size

    planned = planning.make(app)
    services = []
    for service in planned.plan.bundle.services:
        seen = planned.observed.services.get(service.name)
        well = seen is not None and seen.state == "running" and seen.health in ("healthy", "none")
        state = "not there" if seen is None else seen.state if seen.health == "none" else f"{seen.state}, {seen.health}"
        services.append(
            {
                "service": service.name,
                "well": well,
                "state": state,
                "memory_used": seen.memory_used if seen else 0,
                "memory_limit": service.runtime.memory,
            }
        )
    expiry = [{"key": ref, "days": days, "well": days > EXPIRY_DAYS} for ref, days in app.ring().expiry(app.spec()).items()]
    well = all(s["well"] for s in services) and all(e["well"] for e in expiry) and planned.plan.empty
    if app.json:
        app.print_json(
            {"instance": app.spec().name, "well": well, "services": services, "expiry": expiry, "pending": not planned.plan.empty}
        )
        return Exit.DONE if well else Exit.FAILED
    for s in services:
        used = (
            f"  {human_size(int(str(s['memory_used'])))} of {human_size(int(str(s['memory_limit'])))}" if s["memory_used"] else ""
        )
        app.print(f"{_sign(bool(s['well']))} {s['service']}: {s['state']}{used}")
    for e in expiry:
        app.print(f"{_sign(bool(e['well']))} {e['key']}: ends in {e['days']} days")
    app.print(f"{_sign(planned.plan.empty)} {'no changes pending' if planned.plan.empty else planning.summary(planned.plan)}")
    for warning in planned.plan.warnings:
        app.print(f"  {warning}")
    return Exit.DONE if well else Exit.FAILED


def _sign(well: bool) -> str:
    return click.style("✓", fg="green") if well else click.style("✗", fg="red")
