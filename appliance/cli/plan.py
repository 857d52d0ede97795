"""`appliance plan`: what would change, what it interrupts and why; nothing is touched."""

from __future__ import annotations

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit


@click.command()
@click.option("--detailed-exitcode", is_flag=True, help="exit 2 when changes are pending")
@click.option("--allow-remove", metavar="VOLUME", multiple=True, help="a volume whose content may be lost")
@click.option("--adopt", is_flag=True, help="take over an instance that another key ring deployed")
@pass_app
def command(app: App, detailed_exitcode: bool, allow_remove: tuple[str, ...], adopt: bool) -> int:
    """Say exactly what will change, what it interrupts and why. Touches nothing and makes no key."""
    from appliance.cli import planning

    planned = planning.make(app, allow_remove=allow_remove, adopt=adopt)
    if app.json:
        app.print_json(planning.document(planned))
    else:
        app.print("\n".join(planning.lines(planned)))
    if planned.plan.refusals:
        return Exit.FAILED
    return Exit.PENDING if detailed_exitcode and not planned.plan.empty else Exit.DONE
