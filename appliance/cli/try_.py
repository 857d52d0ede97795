"""`appliance try`: the example spec, started on this machine, proven, and left running."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit


@click.command()
@click.option(
    "-o", "--output", default=".try", show_default=True, type=click.Path(path_type=Path), help="where the example lives"
)
@click.option("--down", is_flag=True, help="remove the example with its data")
@click.option("--suite", type=click.Choice(["smoke", "full"]), default="smoke", show_default=True)
@pass_app
def command(app: App, output: Path, down: bool, suite: str) -> int:
    """Start the example on loopback ports, send mail through it, print the proof, and leave it running.

    A second run is quick and changes nothing. `appliance try --down` removes it with its data.
    """
    app.file = output / "mail.yml"
    if down:
        return remove(app, output)
    lay_out(output)
    from appliance.cli import planning, up

    report = app.report()
    try:
        planned = planning.make(app)
        if planned.plan.refusals:
            for refusal in planned.plan.refusals:
                app.say(f"refused: {refusal}")
            raise ApplianceError(
                "the example cannot start here",
                hint="stop what holds the ports, or remove the other example with `make down` there",
            )
        if not planned.plan.empty:
            app.say("\n".join(planning.lines(planned, diffs=False)))
            app.yes = True  # nobody's mail is in the example
            up.apply(app, up.prepare(app, planned), why="try", wait=180, break_lock=False)
        else:
            app.say(f"{app.spec().name} is up already, nothing to change")
        code = up.prove(app, suite)
    finally:
        report.close()
    if not app.json:
        app.print(how_to_read(app))
    return code


def lay_out(output: Path) -> None:
    """Writes the example where it is not yet; a spec that the user changed stays."""
    from appliance.spec.example import files

    for name, data in files().items():
        path = output / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def remove(app: App, output: Path) -> int:
    """Containers, network, volumes, and the folder; images stay."""
    if not app.file.exists():
        app.say(f"there is no example in {output}")
        return Exit.DONE
    report = app.report()
    try:
        app.engine().down(app.spec().name, report, volumes=True, break_lock=False)
    finally:
        report.close()
    shutil.rmtree(output)
    app.say(f"{app.spec().name} and {output} are gone")
    return Exit.DONE


def how_to_read(app: App) -> str:
    """What to type to look into the mailbox with a real client."""
    from appliance.spec.example import PASSWORDS

    spec = app.spec()
    ports, host = spec.listen.ports, (spec.listen.address or ("127.0.0.1",))[0]
    address, password = next(iter(PASSWORDS.items()))
    certificate = app.ring().folder / "tls" / "cert.pem"
    return f"""
It is running. Look into it with any client:
  IMAP  {host}:{ports.imaps} (TLS)   SMTP  {host}:{ports.submissions} (TLS)   user {address}   password {password}
  send  swaks --server {host}:{ports.submissions} --tlsc --auth-user {address} --auth-password {password} \\
          --from {address} --to bob@{address.rpartition("@")[2]}
  read  curl --cacert {certificate} --connect-to {spec.hostname}:{ports.imaps}:{host}:{ports.imaps} \\
          -u {address}:{password} 'imaps://{spec.hostname}:{ports.imaps}/INBOX;MAILINDEX=*'
  look  {_command(app)} ps | logs | plan | verify
  end   make down, or appliance try --down"""


def _command(app: App) -> str:
    return f"appliance -f {app.file}"
