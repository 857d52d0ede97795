"""`appliance ps`: the services and their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit

if TYPE_CHECKING:
    from appliance.observed import ObservedService


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="with image, memory and what is published")
@pass_app
def command(app: App, everything: bool) -> int:
    """List the services: state, health, since when. Exits 1 when one of them does not run."""
    engine, name = app.engine(), app.spec().name
    observed = engine.observe(name, manifests=False)
    memory = engine.memory(name) if everything or app.json else {}
    rows = [row(s, memory.get(s.name, 0)) for s in observed.services.values()]
    if app.json:
        app.print_json({"instance": name, "services": rows, "previous": list(observed.previous)})
    elif not rows:
        app.say(f"nothing of {name} is on this engine; `appliance up` starts it")
    else:
        app.print("\n".join(table(rows, everything)))
    return Exit.DONE if rows and all(r["state"] == "running" for r in rows) else Exit.FAILED


def row(seen: ObservedService, memory: int) -> dict[str, Any]:
    """One service as data. ``loaded`` False: its daemon has not loaded its present configuration."""
    return {
        "service": seen.name,
        "state": seen.state,
        "health": seen.health,
        "started": seen.started,
        "image": seen.runtime.image,
        "memory": memory,
        "memory_limit": seen.runtime.memory,
        "ports": [f"{p.name} {p.address}:{p.host_port}" for p in seen.runtime.ports],
        "generation": seen.current,
        "loaded": seen.loaded == seen.current,
    }


def table(rows: list[dict[str, Any]], everything: bool) -> list[str]:
    """The rows as aligned lines below their headings."""
    head = ["SERVICE", "STATE", "SINCE", *(["IMAGE", "MEMORY", "PORTS"] if everything else [])]
    lines = [head, *([*_short(r), *(_long(r) if everything else [])] for r in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _short(row: dict[str, Any]) -> list[str]:
    health = "" if row["health"] == "none" else f" ({row['health']})"
    unsettled = "" if row["loaded"] else ", not loaded"
    return [row["service"], f"{row['state']}{health}{unsettled}", row["started"][:19].replace("T", " ")]


def _long(row: dict[str, Any]) -> list[str]:
    from appliance.plan.words import human_size

    limit = f" of {human_size(row['memory_limit'])}" if row["memory_limit"] else ""
    return [row["image"], f"{human_size(row['memory'])}{limit}" if row["memory"] else "", ", ".join(row["ports"])]
