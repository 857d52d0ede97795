"""`appliance doctor`: can this machine carry the appliance; each finding with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from appliance.cli import families
from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit

if TYPE_CHECKING:
    from appliance.observed import HostFacts, Observed

Finding = tuple[bool, str, str]  # well, subject, sentence


@click.command()
@pass_app
def command(app: App) -> int:
    """Look at the machine: engine, ports, clock, memory and disk, and whether each family's true client address arrives.

    Exit 1 when something is not well.
    """
    findings = tuple(look(app))
    if app.json:
        app.print_json({"findings": [{"ok": ok, "subject": what, "finding": text} for ok, what, text in findings]})
    else:
        for ok, what, text in findings:
            sign = click.style("✓", fg="green") if ok else click.style("✗", fg="red")
            app.print(f"{sign} {what}: {text}")
    return Exit.DONE if all(ok for ok, _, _ in findings) else Exit.FAILED


def look(app: App) -> Iterator[Finding]:
    """Everything that can be seen without changing anything."""
    observed = app.observe()
    yield from _machine(observed.host)
    yield from ((ok, "client addresses", text) for ok, text in families.findings(app.spec(), observed.host))
    yield from _instance(app, observed)


def _machine(host: HostFacts) -> Iterator[Finding]:
    from appliance.plan.dangers import CLOCK_SKEW, DISK_LEFT
    from appliance.plan.words import human_size

    yield True, "engine", f"{host.engine} (API {host.api})"
    skew = abs(host.clock_skew)
    well = skew <= CLOCK_SKEW
    yield well, "clock", f"differs from the engine's by {skew:.1f} s" + ("" if well else "; set both by NTP")
    if host.disk_free:
        well = host.disk_free >= DISK_LEFT
        yield well, "disk", f"{human_size(host.disk_free)} free" + ("" if well else "; mail needs room to grow")
    yield from ((False, "host", text) for text in host.warnings)


def _instance(app: App, observed: Observed) -> Iterator[Finding]:
    """What the spec wants of the machine."""
    from appliance.plan.dangers import refusals
    from appliance.plan.words import human_size

    try:
        bundle = app.bundle(observed.host.families)
    except ApplianceError as why:
        yield False, "spec", f"{why.message}. {why.hint}".strip()
        return
    budget, memory = sum(s.runtime.memory for s in bundle.services), observed.host.memory
    well = not memory or budget <= memory
    advice = "" if well else "; `roles: {clamav: off}` saves more than 1 GiB, and mail is not scanned then"
    yield well, "memory", f"the services may take {human_size(budget)} of {human_size(memory)}{advice}"
    refused = tuple(refusals(bundle, observed, adopt=False, missing_keys=app.ring().missing(app.spec())))
    yield from ((False, "refused", text) for text in refused)
    if not refused:
        yield True, "ports", "free, or held by this instance"
