"""`appliance rollback`: plan an older release, with today's people and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit, UsageError

if TYPE_CHECKING:
    from appliance.observed import Manifest
    from appliance.render.bundle import Bundle


@click.command()
@click.argument("release", required=False)
@click.option("--wait-timeout", default=180, show_default=True)
@click.option("--no-verify", is_flag=True)
@click.option("--break-lock", is_flag=True)
@pass_app
def command(app: App, release: str | None, wait_timeout: int, no_verify: bool, break_lock: bool) -> int:
    """Go back to RELEASE (see `appliance history`), or to the one before the present.

    Settings, templates and images go back; mailboxes, passwords and keys stay as they are today.
    """
    from appliance.cli import planning, up

    report = app.report()
    try:
        observed = app.observe()
        today = app.bundle(observed.host.families)
        chosen, manifests = choose(app.engine().history(app.spec().name), release)
        planned = planning.make(app, bundle=compose(app, today, chosen, manifests))
        up.show(app, planned)
        if planned.plan.refusals:
            return Exit.FAILED
        if planned.plan.empty:
            return Exit.DONE
        up.ask(app, planned)
        up.apply(app, planned, why=f"rollback to {chosen}", wait=wait_timeout, break_lock=break_lock)
        return Exit.DONE if no_verify else up.prove(app, "smoke")
    finally:
        report.close()


def choose(history: tuple[Manifest, ...], release: str | None) -> tuple[str, dict[str, Manifest]]:
    """The wanted release and its manifest of each service; without a word the release before the present one."""
    newest: dict[str, float] = {}
    for manifest in history:
        newest[manifest.release] = max(newest.get(manifest.release, 0.0), manifest.time)
    releases = sorted(newest, key=lambda r: newest[r], reverse=True)
    if release is None:
        if len(releases) < 2:
            raise UsageError("there is no earlier release to go back to", hint="`appliance history` lists them")
        release = releases[1]
    found = [r for r in releases if r.startswith(release)]
    if len(found) != 1:
        raise UsageError(f"{release} names {len(found)} of the kept releases", hint="`appliance history` lists them")
    return found[0], {m.service: m for m in sorted(history, key=lambda m: m.time) if m.release == found[0]}


def compose(app: App, today: Bundle, release: str, manifests: dict[str, Manifest]) -> Bundle:
    """The bundle of an older release with the people and keys of today."""
    from appliance.plan.past import past_bundle

    engine, name = app.engine(), app.spec().name
    files = {s: engine.read(name, s, m.live) for s, m in manifests.items()}
    return past_bundle(today, release, manifests, files)
