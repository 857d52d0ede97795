"""`appliance dns`: the records that the domains need, and whether they are published."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from ipaddress import ip_address
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.cli.families import bound
from appliance.errors import Exit, Unavailable, UsageError

if TYPE_CHECKING:
    from appliance.dns.compare import Finding
    from appliance.dns.records import Record

_SIGNS = {"ok": ("✓", "green"), "missing": ("✗", "red"), "different": ("✗", "red"), "unknown": ("?", "yellow")}


@click.group()
def command() -> None:
    """The DNS records that the domains need, and whether the world sees them."""


@command.command()
@click.option("--format", "form", type=click.Choice(("table", "zone", "json")), default="table", show_default=True)
@click.option("--zone", metavar="DOMAIN", help="only the records of this zone")
@pass_app
def records(app: App, form: str, zone: str | None) -> None:
    """Print the records to publish: MX, A, AAAA, SPF, DKIM, DMARC, and the PTR records to ask for.

    `--format zone` is a snippet for a zone file, with full names, as it stands.
    """
    from appliance.dns.zone import snippet

    wanted = _of_zone(app, zone, _wanted(app))
    if app.json or form == "json":
        app.print_json({"records": [{**asdict(r), "rdata": r.rdata, "complete": r.complete} for r in wanted]})
    elif form == "zone":
        app.print(snippet(wanted, app.spec()).rstrip("\n"))
    else:
        _table(app, wanted)


def _wanted(app: App) -> tuple[Record, ...]:
    from appliance.dns.wanted import wanted

    spec = app.spec()
    running = [role for name, role in app.catalog().items() if spec.roles[name].enabled]
    sets = {"host", "ptr", "dmarc", *(name for role in running for name in role.dns)}
    return wanted(spec, app.keys(), _families(app), sets)


def _families(app: App) -> tuple[int, ...]:
    """The families that are served: those that the engine carries truly and that the spec binds."""
    try:
        families = app.engine().observe(app.spec().name, manifests=False).host.families
    except Unavailable as why:
        app.say(f"note: no engine to ask which address families it serves truly ({why.message}); all of the spec's are printed")
        families = (4, 6)
    served = bound(app.spec(), families)
    for address in app.spec().addresses:
        if (version := ip_address(address).version) not in served:
            app.say(f"note: {address} gets no record: mail is not served over IPv{version} here (`appliance doctor` says why)")
    return served


def _of_zone(app: App, zone: str | None, wanted: tuple[Record, ...]) -> tuple[Record, ...]:
    from appliance.dns.zone import zones
    from appliance.spec.types import domain

    if zone is None:
        return wanted
    groups = zones(wanted, app.spec())
    try:
        return groups[domain(zone)]
    except (KeyError, ValueError):
        known = ", ".join(z for z in groups if z)
        raise UsageError(f"no record belongs to a zone {zone}", hint=f"the zones are {known}") from None


def _table(app: App, wanted: Iterable[Record]) -> None:
    """Name, type and value in columns. On a terminal long values are wrapped in their column; on a pipe a record is a line."""
    records = tuple(wanted)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    name = max(len(r.name) for r in records)
    name = min(name, columns // 2) if columns else name
    asked = False
    for record in records:
        if record.provider and not asked:
            asked = True
            app.say("PTR records are asked for where the address is rented:")
        first, *rest = textwrap.wrap(record.rdata, max(columns - name - 8, 20)) if columns else [record.rdata]
        if len(record.name) > name:
            app.print(record.name)
        app.print(f"{record.name if len(record.name) <= name else '':<{name}}  {record.type:<4}  {first}")
        for line in rest:
            app.print(f"{'':<{name}}        {line}")


@command.command()
@click.option("--resolver", "server", metavar="ADDRESS", default="", help="ask this one (also ADDRESS@PORT), not this machine's")
@pass_app
def check(app: App, server: str) -> int:
    """Look up what is published and compare it, by meaning, with what is wanted. Exit 3 when mail would suffer."""
    from appliance.dns.compare import compare, questions
    from appliance.dns.live import look_up, look_up_all, resolver

    spec, wanted, using = app.spec(), _wanted(app), resolver(server)
    answers = look_up_all(using, questions(wanted, spec))
    if all(answer.failed for answer in answers.values()):
        raise Unavailable(f"no resolver answers ({next(iter(answers.values())).failed})", hint="--resolver names another")
    findings = compare(wanted, spec, lambda name, kind: answers.get((name, kind)) or look_up(using, name, kind))
    failed = sum(f.fails for f in findings)
    if app.json:
        app.print_json({"well": not failed, "findings": [{**asdict(f), "fails": f.fails} for f in findings]})
    else:
        for finding in findings:
            _show(app, finding)
        app.say(f"{failed} of {len(findings)} need attention" if failed else f"all {len(findings)} are as they should be")
    return Exit.UNPROVEN if failed else Exit.DONE


def _show(app: App, finding: Finding) -> None:
    sign, color = _SIGNS[finding.status]
    if finding.status != "ok" and not finding.required:
        sign, color = "!", "yellow"
    note = f": {finding.note}" if finding.note else ""
    app.print(f"{click.style(sign, fg=color)} {finding.name} {finding.type} ({finding.purpose}) {finding.status}{note}")
    if finding.status == "ok":
        return
    for value in finding.live:
        app.print(f"    published  {value}")
    for value in finding.wanted:
        app.print(f"    wanted     {value}")
    app.print(f"    {finding.remedy}")
