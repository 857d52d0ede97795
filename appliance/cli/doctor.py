"""`appliance doctor`: can this machine carry the appliance; each finding with what to do."""

from __future__ import annotations

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit


@click.command()
@pass_app
def command(app: App) -> int:
    """Look at the machine: engine, ports, clock, memory and disk, and whether each family's true client address arrives."""
    findings = look(app)
    if app.json:
        app.print_json({"findings": [{"ok": ok, "subject": what, "finding": text} for ok, what, text in findings]})
    else:
        for ok, what, text in findings:
            sign = click.style("✓", fg="green") if ok else click.style("✗", fg="red")
            app.print(f"{sign} {what}: {text}")
    return Exit.DONE if all(ok for ok, _, _ in findings) else Exit.FAILED


def look(app: App) -> list[tuple[bool, str, str]]:
    """(well, subject, finding) for everything that can be seen without changing anything."""
    from appliance.plan.dangers import CLOCK_SKEW, DISK_LEFT, refusals
    from appliance.plan.words import human_size

    findings: list[tuple[bool, str, str]] = []
    observed = app.observe()
    host = observed.host
    findings.append((True, "engine", f"{host.engine} (API {host.api})"))
    skew = abs(host.clock_skew)
    findings.append(
        (skew <= CLOCK_SKEW, "clock", f"differs from the engine's by {skew:.1f} s" + ("" if skew <= CLOCK_SKEW else "; set NTP"))
    )
    families = ", ".join(f"IPv{f}" for f in host.families)
    findings.append((True, "client addresses", f"arrive truly over {families}; only these are published"))
    if host.disk_free:
        well = host.disk_free >= DISK_LEFT
        findings.append((well, "disk", f"{human_size(host.disk_free)} free" + ("" if well else "; mail needs room to grow")))
    findings += [(False, "host", text) for text in host.warnings]
    try:
        bundle = app.bundle(host.families)
    except ApplianceError as why:
        findings.append((False, "spec", f"{why.message}. {why.hint}".strip()))
        return findings
    budget = sum(s.runtime.memory for s in bundle.services)
    well = not host.memory or budget <= host.memory
    findings.append((well, "memory", f"the services may take {human_size(budget)} of {human_size(host.memory)}"))
    refused = list(refusals(bundle, observed, adopt=False, missing_keys=app.ring().missing(app.spec())))
    findings += [(False, "refused", text) for text in refused]
    if not refused:
        findings.append((True, "ports", "free, or held by this instance"))
    return findings
