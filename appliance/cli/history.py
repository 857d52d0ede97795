"""`appliance history`: the releases that were applied."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit

if TYPE_CHECKING:
    from appliance.observed import Manifest


@click.command()
@pass_app
def command(app: App) -> int:
    """List the releases that are kept, newest first: when, by whom, and which services differ from the one before."""
    found = releases(app.engine().history(app.spec().name))
    if app.json:
        app.print_json({"instance": app.spec().name, "releases": found})
    elif not found:
        app.say(f"nothing of {app.spec().name} was applied on this engine")
    for n, release in enumerate(found if not app.json else []):
        when = datetime.fromtimestamp(release["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        mark = "*" if n == 0 else " "
        changed = ", ".join(release["changed"]) or "first of those kept"
        app.print(f"{mark} {release['release']}  {when}  {release['who']}  {changed}")
    return Exit.DONE


def releases(history: Sequence[Manifest]) -> list[dict[str, Any]]:
    """One entry a release, newest first. ``changed``: services that differ from the release before, or that came or went."""
    by_release: dict[str, dict[str, Manifest]] = {}
    for manifest in history:
        by_release.setdefault(manifest.release, {})[manifest.service] = manifest
    ordered = sorted(by_release.items(), key=lambda item: max(m.time for m in item[1].values()), reverse=True)
    found = []
    for n, (release, services) in enumerate(ordered):
        before = ordered[n + 1][1] if n + 1 < len(ordered) else None
        newest = max(services.values(), key=lambda m: m.time)
        found.append(
            {
                "release": release,
                "time": newest.time,
                "who": newest.who,
                "controller": newest.controller,
                "services": {name: {"live": m.live, "frozen": m.frozen} for name, m in sorted(services.items())},
                "changed": _changed(services, before),
            }
        )
    return found


def _changed(now: dict[str, Manifest], before: dict[str, Manifest] | None) -> list[str]:
    if before is None:
        return []
    names = sorted(now.keys() | before.keys())
    digests = [{n: (m.live, m.frozen) for n, m in side.items()} for side in (now, before)]
    return [name for name in names if digests[0].get(name) != digests[1].get(name)]
