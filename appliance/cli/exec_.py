"""`appliance exec`: a command inside a service."""

from __future__ import annotations

import sys

import click

from appliance.cli.app import App, pass_app


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-u", "--user", default="", help="as this user of the container")
@click.argument("service")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENT]...")
@pass_app
def command(app: App, user: str, service: str, argv: tuple[str, ...]) -> int:
    """Run a command inside a service; its exit code is this one's. On a terminal it gets one (`appliance exec postfix sh`)."""
    return app.engine().interact(app.spec().name, service, argv, user=user, tty=sys.stdin.isatty() and sys.stdout.isatty())
