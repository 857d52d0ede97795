"""`appliance verify`: send mail through the running instance and print the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit

if TYPE_CHECKING:
    from appliance.verify.proof import Proof, Step
    from appliance.verify.target import Target


@click.command()
@click.option("--suite", type=click.Choice(["smoke", "full"]), default="full", show_default=True, help="smoke takes seconds")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="write the proof as JUnit XML too")
@click.option("--from", "origin", metavar="HOST", default="", help="try relaying from this host too, over ssh")
@click.option("--outwards", metavar="HOST", default="", help="try port 25 of this domain or mail host from here")
@click.option("--only", metavar="STEP", multiple=True, help="only this step; may be said more than once")
@pass_app
def command(app: App, suite: str, junit: Path | None, origin: str, outwards: str, only: tuple[str, ...]) -> int:
    """Prove that mail goes through: end-to-end sends and the roles' own checks.

    Works on a running instance: everything goes through the appliance's own mailbox, nobody else's is touched. Each check
    prints what was sent, what came back and how long it took (-v: the whole conversation). Exit 3 when a check fails.
    """
    try:
        return prove(app, suite=suite, junit=junit, origin=origin, outwards=named(outwards), only=only)
    finally:
        app.report().close()


def named(word: str) -> str:
    """A domain, host name or address as it is looked up. Raises UsageError for what is none."""
    from appliance.errors import UsageError
    from appliance.spec.names import Fault
    from appliance.spec.types import domain, ip

    try:
        return "" if not word else ip(word) if ":" in word or word.replace(".", "").isdigit() else domain(word)
    except Fault as why:
        raise UsageError(f"--outwards: {why.message}", hint=why.hint or "a domain that gets mail, or a mail host") from None


def prove(
    app: App, *, suite: str, junit: Path | None = None, origin: str = "", outwards: str = "", only: tuple[str, ...] = ()
) -> int:
    """Verifies the instance of the app's spec and shows the proof; returns the exit code (`try` and `rollback` end with this)."""
    proof = shown(app, suite=suite, junit=junit, origin=origin, outwards=outwards, only=only)
    return Exit.DONE if proof.proven else Exit.UNPROVEN


def shown(
    app: App, *, suite: str, junit: Path | None = None, origin: str = "", outwards: str = "", only: tuple[str, ...] = ()
) -> Proof:
    """Verifies the instance of the app's spec, shows the proof and returns it."""
    from appliance.verify.run import verify

    def ended(step: Step) -> None:
        if app.json:
            app.report().event("step", **step.document())

    proof = verify(
        target(app),
        suite,  # type: ignore[arg-type]  # click lets no other word through
        app.report(),
        origin=origin,
        outwards=outwards,
        on_step=ended,
        only=frozenset(only),
    )
    show(app, proof)
    if junit:
        write_junit(proof, junit)
    return proof


def target(app: App) -> Target:
    """The running instance as the spec describes it. Raises ApplianceError when it does not run."""
    from appliance.verify.target import Target, engine_host

    observed = app.observe()
    if not observed.services:
        raise ApplianceError(f"{app.spec().name} does not run here", hint="`appliance up` starts it")
    bundle = app.bundle(observed.host.families)
    return Target(app.engine(), app.topology(), bundle, app.people(), app.keys(), engine_host(), observed.host.families)


def show(app: App, proof: Proof) -> None:
    """The proof on stdout: lines for people, or the last JSON line."""
    from appliance.verify.show import render_lines

    if app.json:
        app.report().event("proof", **proof.summary())
        return
    for line in render_lines(proof, verbose=app.verbose):
        app.print(line)


def write_junit(proof: Proof, path: Path) -> None:
    """Writes the JUnit file; raises ApplianceError when that is not possible."""
    from appliance.verify.junit import junit

    try:
        path.write_bytes(junit(proof))
    except OSError as why:
        raise ApplianceError(f"{path} cannot be written: {why.strerror}") from None
