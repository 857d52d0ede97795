"""`appliance down`: containers and network go; data stays unless it is named."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit, UsageError

if TYPE_CHECKING:
    from appliance.observed import Observed


@click.command()
@click.option("--volumes", is_flag=True, help="remove the data too: mail, queue, keys' traces, history")
@click.option("--adopt", is_flag=True, help="also where another key ring deployed it, or the ring is lost")
@click.option("--break-lock", is_flag=True, help="end an apply of somebody else that holds the lock")
@pass_app
def command(app: App, volumes: bool, adopt: bool, break_lock: bool) -> int:
    """Stop and remove the instance. Its data and the images stay; `appliance up` brings it back.

    With --volumes its data goes too: the host name must be typed, or come on stdin, even with -y. What another key ring
    deployed (a second folder with the same `name`) is not touched without --adopt.
    """
    engine, spec = app.engine(), app.spec()
    observed = engine.observe(spec.name, manifests=False)
    if not observed.services and not observed.previous and observed.network is None and not (volumes and observed.volumes):
        app.say(f"nothing of {spec.name} is there")
        return Exit.DONE
    if not adopt:
        refuse_others(app, observed)
    if volumes:
        for line in losses(app, observed):
            app.say(line)
        flags = "down --volumes --adopt" if adopt else "down --volumes"
        confirm_host(app, spec.hostname, f"appliance -f {shlex.quote(str(app.file))} {flags}")
    elif not app.yes and app.interactive and not click.confirm(f"Stop and remove {len(observed.services)} services?", err=True):
        raise ApplianceError("nothing was changed")
    report = app.report()
    try:
        engine.down(spec.name, report, volumes=volumes, break_lock=break_lock)
    finally:
        report.close()
    return Exit.DONE


def refuse_others(app: App, observed: Observed) -> None:
    """Raises ApplianceError, with both rings named, where the instance is not that of the ring beside the spec."""
    from appliance.plan.rings import belongs, others

    ring = app.ring()
    if strange := others(observed, ring.ring_id, ring.adopted):
        observed = app.engine().manifests(observed, {})  # they tell who deployed it
        hint = "choose another name in the spec, or say --adopt if it is yours all the same"
        raise ApplianceError(f"{belongs(observed, strange, ring.ring_id)}: nothing was touched", hint=hint)


def losses(app: App, observed: Observed) -> Iterator[str]:
    """What goes with the volumes: first those that cannot be made again, with what they hold."""
    from appliance.plan.words import some

    held = {f"{observed.instance}-{name}": words for role in app.catalog().values() for name, words in role.state.items()}
    state = [v for v in sorted(observed.volumes) if v in held]
    rest = [v for v in sorted(observed.volumes) if v not in held]
    if state:
        yield f"this removes for ever, from {len(state)} volume{'s' if len(state) > 1 else ''}:"
        yield from (f"  {volume}: {held[volume]}" for volume in state)
    if rest:
        many = f"{len(rest)} volume{'s' if len(rest) > 1 else ''}"
        yield f"{'and' if state else 'this removes'} {many} that `up` makes again: {some(rest, 12)}"


def confirm_host(app: App, hostname: str, verb: str) -> None:
    """The host name, typed or on stdin. Raises UsageError for another word; ``verb``: what to type then."""
    if app.interactive:
        typed = click.prompt(f"Type the host name {hostname} to go on", err=True, default="", show_default=False)
    else:
        typed = sys.stdin.readline()
    if typed.strip() != hostname:
        raise UsageError(
            "the host name was not confirmed, and nothing was changed",
            hint=f"echo {hostname} | {verb}",
        )
