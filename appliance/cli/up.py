"""`appliance up`: plan, ask, make keys and images, apply, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit

if TYPE_CHECKING:
    from appliance.cli.planning import Planned


@click.command()
@click.option("--wait-timeout", default=180, show_default=True, help="seconds until every service must be able to do its work")
@click.option("--no-verify", is_flag=True, help="do not send mail through it at the end")
@click.option("--suite", type=click.Choice(["smoke", "full"]), default="smoke", show_default=True)
@click.option("--keep-unproven", is_flag=True, help="leave what was applied in place when verify fails")
@click.option("--allow-remove", metavar="VOLUME", multiple=True, help="a volume whose content may be lost")
@click.option("--adopt", is_flag=True, help="take over an instance that another key ring deployed")
@click.option("--break-lock", is_flag=True, help="end an apply of somebody else that holds the lock")
@pass_app
def command(
    app: App,
    wait_timeout: int,
    no_verify: bool,
    suite: str,
    keep_unproven: bool,
    allow_remove: tuple[str, ...],
    adopt: bool,
    break_lock: bool,
) -> int:
    """Plan, apply, verify. Safe to repeat: a second run changes nothing.

    Asks on a terminal when the plan interrupts or removes something; without a terminal and without -y it is not applied. When
    verify fails, the release that ran before is put back, with today's people and keys: exit 3.
    """
    from appliance.cli import planning, putback, waiting
    from appliance.cli.verify import shown

    report = app.report()
    try:
        planned = planning.make(app, allow_remove=allow_remove, adopt=adopt)
        show(app, planned)
        if planned.plan.refusals:
            raise ApplianceError(f"the plan is refused: {planned.plan.refusals[0]}")
        change = None
        if not planned.plan.empty:
            ask(app, planned)
            change = putback.before(app, planned)
            planned = prepare(app, planned, allow_remove, adopt)
            apply(app, planned, why="up", wait=wait_timeout, break_lock=break_lock)
        if adopt:
            take_over(app, planned)
        waiting.wait(app, planned)
        code = fetch(app, wait=wait_timeout, break_lock=break_lock)
        if no_verify or (proof := shown(app, suite=suite)).proven:
            return code
        if change:
            putback.after(app, change, proof, keep=keep_unproven, wait=wait_timeout, break_lock=break_lock)
        return Exit.UNPROVEN
    finally:
        report.close()


def show(app: App, planned: Planned) -> None:
    """The plan, before anything is done."""
    from appliance.cli import planning

    if app.json:
        app.report().event("plan", **planning.document(planned))
    else:
        for line in planning.lines(planned):
            app.say(line)


def ask(app: App, planned: Planned) -> None:
    """Asks where the plan interrupts or removes; raises ApplianceError when nobody can answer, click.Abort for a no."""
    from appliance.cli.planning import summary

    risky = [c for c in planned.plan.changes if c.interrupts or c.action == "remove"]
    risky_resources = [r for r in planned.plan.resources if r.action == "remove" and r.danger]
    if app.yes or not (risky or risky_resources):
        return
    if not app.interactive:
        raise ApplianceError(
            f"the plan interrupts or removes something, and nobody can be asked ({summary(planned.plan)})",
            hint="say -y to apply it; `appliance plan` shows it",
        )
    if not click.confirm("Apply this plan?", err=True):
        raise ApplianceError("nothing was changed")


def prepare(app: App, planned: Planned, allow_remove: tuple[str, ...] = (), adopt: bool = False) -> Planned:
    """Makes the images and the keys that are missing, then plans again with them."""
    from appliance.cli import planning

    order, report = planned.plan, app.report()
    keys = [r.ref for r in order.resources if r.kind == "key"]
    images = [r.ref for r in order.resources if r.kind == "image"]
    if images:
        build_images(app, images)
    if keys:
        app.ring().create(app.spec(), report)
    return planning.make(app, allow_remove=allow_remove, adopt=adopt) if keys or images else planned


def build_images(app: App, tags: list[str]) -> None:
    """Builds those images of the lock whose tags are missing."""
    from appliance.images.build import build
    from appliance.images.lock import read

    names = [name for name, tag in app.tags().items() if tag in tags]
    build(app.engine().client, names, read(app.folder), app.report())  # type: ignore[attr-defined]


def apply(app: App, planned: Planned, *, why: str, wait: int, break_lock: bool) -> None:
    """Hands the plan to the engine."""
    from appliance.keys import removed
    from appliance.plan.build import without_keys

    ring, spec = app.ring(), app.spec()
    # before anything is done: whoever is cut off here has somebody too many in the list, and nobody too few
    removed.remember(ring.files, planned.left, planned.came, ring.now())
    app.engine().apply(
        without_keys(planned.plan),
        lambda ref: ring.read(ref, spec),
        app.report(),
        who=app.who,
        why=why,
        wait=wait,
        break_lock=break_lock,
    )


def take_over(app: App, planned: Planned) -> None:
    """Notes in the ring whose volumes are its own from now on: their labels stay what they are. Only after it was done."""
    from appliance.keys import adopted

    ring, labels = app.ring(), planned.observed.volumes.values()
    adopted.remember(ring.files, [label for label in labels if label and label != ring.ring_id])


def fetch(app: App, *, wait: int, break_lock: bool) -> int:
    """In mode acme: a certificate from the authority when one is due, then a reload; exit 3 when there is none to be had.

    It comes after the services: they begin with one that is made here, and an authority that is down holds nothing up.
    """
    from appliance.cli import certificate

    became = certificate.fetch(app)
    if became == "new":
        certificate.put(app, wait=wait, break_lock=break_lock, why="up: certificate")
    return Exit.UNPROVEN if became == "failed" else Exit.DONE


def prove(app: App, suite: str) -> int:
    """Runs verify and shows its proof; exit 3 when a check failed."""
    from appliance.cli.verify import prove as run

    return run(app, suite=suite)
