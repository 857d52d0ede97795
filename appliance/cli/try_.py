"""`appliance try`: the example spec, started on this machine, proven, and left running."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit
from appliance.plan.words import some

if TYPE_CHECKING:
    from appliance.cli.planning import Planned
    from appliance.keys.ring import KeyRing
    from appliance.observed import Observed
    from appliance.spec.model import Spec


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
    from appliance.cli import planning, up

    new = lay_out(output)
    report = app.report()
    try:
        planned = planning.make(app)
        if planned.plan.refusals:
            why = refused(app, planned, output)
            if new:
                shutil.rmtree(output)  # nothing of the example is ours: `make down` here must not find a reason to end it
            raise why
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


def lay_out(output: Path) -> bool:
    """Writes the example where it is not yet; a spec that the user changed stays. True where the folder is new."""
    from appliance.spec.example import files

    new = not output.exists()
    for name, data in files().items():
        path = output / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return new


def refused(app: App, planned: Planned, output: Path) -> ApplianceError:
    """Why the example cannot start: another checkout's runs, named as far as it tells, or what the plan refuses."""
    from appliance.plan.rings import belongs, others

    ring = app.ring()
    strange = others(planned.observed, ring.ring_id, ring.adopted)
    for refusal in planned.plan.refusals if not strange else ():
        app.say(f"refused: {refusal}")
    if not strange:
        hint = "stop what holds the ports, or remove the other example with `make down` there"
        return ApplianceError("the example cannot start here", hint=hint)
    ports = sorted({str(p.host_port) for s in planned.observed.services.values() for p in s.runtime.ports})
    held = f"; it holds the ports {some(ports, 8)}" if ports else ""
    return ApplianceError(
        f"an example is here already, and it is not that of {output}: {belongs(planned.observed, strange, ring.ring_id)}{held}",
        hint=elsewhere(ring, output),
    )


def elsewhere(ring: KeyRing, output: Path) -> str:
    """How another checkout's example ends. ``ring``: the one in ``output``."""
    first = f"remove {output}, then " if ring.exists else ""
    return f"`make down` in that checkout removes it; where it is gone, {first}`make down` here asks for the host name"


def remove(app: App, output: Path) -> int:
    """Containers, network, volumes, and the folder; images stay.

    The folder's key ring says whose example it is. Without one it is removed after its host name was confirmed, and another
    ring's is not touched: raises ApplianceError.
    """
    from appliance.keys.ring import KeyRing
    from appliance.plan.rings import belongs, others

    spec = app.spec() if app.file.exists() else example_spec(app)
    ring = KeyRing(output / "keys" / spec.name)
    observed = app.engine().observe(spec.name, manifests=False)
    there = bool(observed.services or observed.previous or observed.volumes)
    if not there and not app.file.exists():
        app.say(f"there is no example in {output}, and none on the engine")
        return Exit.DONE
    strange = others(observed, ring.ring_id, ring.adopted)
    if strange and ring.exists:
        observed = app.engine().manifests(observed, {})
        raise ApplianceError(f"{belongs(observed, strange, ring.ring_id)}: nothing was touched", hint=elsewhere(ring, output))
    if there and not ring.exists:
        confirm(app, app.engine().manifests(observed, {}), output, spec.hostname)
    report = app.report()
    try:
        app.engine().down(spec.name, report, volumes=True, break_lock=False)
    finally:
        report.close()
    if app.file.exists():
        shutil.rmtree(output)
        app.say(f"{spec.name} and {output} are gone")
    else:
        app.say(f"{spec.name} is gone")
    return Exit.DONE


def confirm(app: App, observed: Observed, output: Path, hostname: str) -> None:
    """Says what is there that the folder knows nothing of, and has its host name confirmed. Raises UsageError."""
    from appliance.cli.down import confirm_host, losses
    from appliance.plan.rings import deployer

    runs = sorted({s.runtime.hostname for s in observed.services.values()}) or [hostname]
    by = deployer(observed)
    app.say(
        f"{output} has no key ring, so this may be another checkout's: {observed.instance} ({some(runs)}), "
        f"key ring {some(sorted(observed.rings)) or 'unknown'}, {f'deployed by {by}' if by else 'by whom it does not tell'}; "
        f"services: {len(observed.services)}, volumes: {len(observed.volumes)}"
    )
    for line in losses(app, observed):
        app.say(line)
    confirm_host(app, runs[0], "make down (or appliance try --down)")


def example_spec(app: App) -> Spec:
    """The spec of the example as it comes."""
    from appliance.spec import example
    from appliance.spec.load import load

    return load(example.text(), str(app.file), app.catalog(), example.Reader()).spec


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
