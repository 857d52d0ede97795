"""`appliance logs`: what the services say, merged by time."""

from __future__ import annotations

import json
import re
import time

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit, UsageError

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red")


@click.command()
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@click.option("-f", "--follow", is_flag=True, help="go on as they come")
@click.option("-n", "--tail", type=click.IntRange(min=0), help="only the last lines of each service")
@click.option("--since", metavar="TIME", help="10m, 2 hours, or 2026-07-01T12:00")
@pass_app
def command(app: App, services: tuple[str, ...], follow: bool, tail: int | None, since: str | None) -> int:
    """Show what all services, or the named ones, have said; containers that were replaced meanwhile included."""
    begin = moment(since, time.time()) if since else None
    lines = app.engine().logs(app.spec().name, services, follow=follow, tail=tail, since=begin)
    colours: dict[str, str] = {}
    for service, line in lines:
        text = line.decode(errors="replace")
        if app.json:
            click.echo(json.dumps({"service": service, "line": text}, ensure_ascii=False))
        elif len(services) == 1:
            app.print(text)
        else:
            colour = colours.setdefault(service, COLOURS[len(colours) % len(COLOURS)])
            app.print(f"{click.style(f'{service:<16}', fg=colour)} {text}")
    return Exit.DONE


def moment(text: str, now: float) -> int:
    """Seconds since the epoch of a duration before ``now``, or of a date (local time where it names no zone)."""
    from datetime import datetime

    from appliance.spec.types import duration

    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        pass
    try:
        # 10m is what everybody types after `journalctl` and `docker logs`
        return int(now - duration(re.sub(r"(?<=\d)m$", " min", text)))
    except ValueError:
        raise UsageError(
            f"--since {text} is neither a duration nor a time", hint="--since 10m, --since 2026-07-01T12:00"
        ) from None
