"""Services that can do their work only after something from outside has come, such as the scanner's first signatures.

Their wait is outside the deadline of an apply: nothing is broken, mail is answered 4xx, and an interrupt leaves everything
running.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from appliance.cli.app import App
from appliance.cli.planning import Planned
from appliance.errors import ApplianceError
from appliance.render.bundle import WAITING

#: seconds that `up` waits for what comes from outside
PATIENCE = 15 * 60
PAUSE = 3.0


def wait(app: App, planned: Planned) -> None:
    """Waits for services whose health command ends with WAITING; says so, and goes on after PATIENCE."""
    deadline = time.monotonic() + PATIENCE  # of all together: what they wait for comes from the same place
    for service in candidates(planned):
        words = said(app, planned, service)
        if not words:
            continue
        report = app.report()
        report.start("waiting", f"{service}: {words} (an interrupt leaves everything running)")
        while (words := said(app, planned, service)) and time.monotonic() < deadline:
            time.sleep(PAUSE)
        if words:
            report.failed("waiting", f"{service}: {words}; `appliance logs` says why, `appliance verify` proves it later")
        else:
            report.done("waiting", f"{service} can do its work")


def candidates(planned: Planned) -> Iterator[str]:
    """Services that this run has changed, and those that were not well yet before it."""
    for change in planned.plan.changes:
        seen = planned.observed.services.get(change.service)
        has_health = change.bundle is not None and change.bundle.runtime.health is not None
        if has_health and (change.action != "keep" or (seen is not None and seen.health == "starting")):
            yield change.service


def said(app: App, planned: Planned, service: str) -> str:
    """What a waiting service says; "" for one that does not wait."""
    health = planned.plan.bundle.service(service).runtime.health
    if health is None:
        return ""
    try:
        done = app.engine().exec(planned.plan.instance, service, health.command, timeout=health.timeout)
    except ApplianceError:
        return ""
    return " ".join((done.stderr or done.stdout).decode(errors="replace").split()) if done.code == WAITING else ""
