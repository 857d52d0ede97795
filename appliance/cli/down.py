"""`appliance down`: containers and network go; data stays unless it is named."""

from __future__ import annotations

import sys

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit, UsageError


@click.command()
@click.option("--volumes", is_flag=True, help="remove the data too: mail, queue, keys' traces, history")
@click.option("--break-lock", is_flag=True, help="end an apply of somebody else that holds the lock")
@pass_app
def command(app: App, volumes: bool, break_lock: bool) -> int:
    """Stop and remove the instance. Its data and the images stay; `appliance up` brings it back.

    With --volumes its data goes too: the host name must be typed, or come on stdin, even with -y.
    """
    from appliance.plan.words import some

    engine, spec = app.engine(), app.spec()
    observed = engine.observe(spec.name, manifests=False)
    if not observed.services and not observed.previous and observed.network is None and not (volumes and observed.volumes):
        app.say(f"nothing of {spec.name} is there")
        return Exit.DONE
    if volumes:
        app.say(f"this removes {len(observed.volumes)} volumes with all that is in them: {some(sorted(observed.volumes), 12)}")
        confirm_host(app, spec.hostname)
    elif not app.yes and app.interactive and not click.confirm(f"Stop and remove {len(observed.services)} services?", err=True):
        raise ApplianceError("nothing was changed")
    report = app.report()
    try:
        engine.down(spec.name, report, volumes=volumes, break_lock=break_lock)
    finally:
        report.close()
    return Exit.DONE


def confirm_host(app: App, hostname: str) -> None:
    """The host name, typed or on stdin. Raises UsageError for another word."""
    if app.interactive:
        typed = click.prompt(f"Type the host name {hostname} to go on", err=True, default="", show_default=False)
    else:
        typed = sys.stdin.readline()
    if typed.strip() != hostname:
        raise UsageError(
            "the host name was not confirmed, and nothing was changed", hint=f"echo {hostname} | appliance down --volumes"
        )
