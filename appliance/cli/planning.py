"""From the spec and what runs to the plan, with the diffs: shared by `plan`, `up` and `rollback`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from appliance.cli import families
from appliance.cli.app import App
from appliance.cli.farewell import farewell, left
from appliance.plan import Plan, Wishes, plan
from appliance.plan.diff import diff, moves
from appliance.plan.words import some

if TYPE_CHECKING:
    from appliance.observed import Observed
    from appliance.render.bundle import Bundle

SIGNS = {
    "create": ("+", "green"),
    "replace": ("±", "yellow"),
    "restart": ("↻", "yellow"),
    "reload": ("~", "cyan"),
    "update": ("~", "cyan"),
    "start": ("▶", "green"),
    "remove": ("-", "red"),
}


@dataclass(frozen=True)
class Planned:
    """A plan with everything that was looked at for it. ``before``: service → present files of the services that change.

    ``left``: addresses whose mailbox leaves the spec; ``came``: of those that are new on the host.
    """

    plan: Plan
    observed: Observed
    before: Mapping[str, Mapping[str, bytes]]
    left: tuple[str, ...] = ()
    came: frozenset[str] = frozenset()


def make(app: App, *, allow_remove: tuple[str, ...] = (), adopt: bool = False, bundle: Bundle | None = None) -> Planned:
    """Looks at the host and plans. ``bundle``: another wish than the spec's (rollback)."""
    observed = app.observe(manifests=False)
    wanted = bundle or app.bundle(observed.host.families)
    observed = app.engine().manifests(observed, {s.name: s.live for s in wanted.services})
    wishes = Wishes(
        allow_remove=frozenset(allow_remove),
        adopt=adopt,
        missing_keys=app.ring().missing(app.spec()),
        notes=tuple(_notes(app, observed)),
    )
    order = plan(wanted, observed, wishes)
    before = {
        c.service: app.engine().read(app.spec().name, c.service, str(observed.services[c.service].current))
        for c in order.changes
        if c.files and c.service in observed.services and observed.services[c.service].current
    }
    come, gone = moves(order.changes, before)
    leaving = left(gone, app.spec())
    if gone:
        if leaving and bundle is None:
            wanted = app.bundle(observed.host.families, removed=leaving)
        words = tuple(farewell(leaving, app.spec()))
        order = plan(wanted, observed, replace(wishes, removes_people=not come, notes=(*wishes.notes, *words)))
    return Planned(order, observed, before, leaving, come)


def _notes(app: App, observed: Observed) -> list[str]:
    from appliance.keys import fetched
    from appliance.verify.steps import outwards

    notes = [f"{p.at}: {p.message}" for p in app.loaded().warnings]
    if not observed.services and (unproven := outwards.unproven(app.spec())):
        notes.append(unproven)
    if missed := families.missed(app.spec(), observed.host):
        notes.append(missed)
    notes += app.ring().warnings(app.spec())
    notes += [
        f"roles.{r.name} is off: {r.without}"
        for r in app.catalog().values()
        if r.without and not app.spec().roles[r.name].enabled
    ]
    spec = app.spec()
    if why := fetched.due(spec, app.ring()):
        authority = fetched.authority(spec)
        notes.append(f"`up` asks {authority} for a certificate for {spec.hostname}: {why}; its port 80 must lead here")
    outside = app.people().outside
    if outside:
        notes.append(
            f"{some(outside)} deliver{'s' if len(outside) == 1 else ''} to addresses elsewhere;"
            " without SRS their servers may refuse mail whose sender's domain publishes a strict SPF"
        )
    return notes


def lines(planned: Planned, *, diffs: bool = True) -> list[str]:
    """The plan for a person."""
    order, out = planned.plan, []
    for warning in order.warnings:
        out.append(f"{click.style('warning:', fg='yellow')} {warning}")
    for refusal in order.refusals:
        out.append(f"{click.style('refused:', fg='red')} {refusal}")
    if order.empty:
        return [*out, f"{order.instance}: nothing to do, {len(order.bundle.services)} services are as the spec wants them"]
    for name in order.settle:
        out.append(f"↻ {name}: an earlier apply was cut off here; its -previous container is settled first")
    for kind in ("key", "network", "volume", "image"):
        out += _resource_lines(order, kind)
    for change in order.changes:
        if change.action == "keep":
            continue
        sign, colour = SIGNS[change.action]
        interrupts = f"  interrupts {', '.join(change.interrupts)}" if change.interrupts else ""
        out.append(click.style(f"{sign} {change.action} {change.service}", fg=colour) + interrupts)
        out += [f"    {why}" for why in change.why[:12] if change.action != "create"]
        if diffs and change.service in planned.before:
            out += [f"      {_coloured(line)}" for line in diff(change, planned.before[change.service])]
    return [*out, summary(order)]


def _resource_lines(order: Plan, kind: str) -> list[str]:
    out = []
    for action, sign in (("create", "+"), ("remove", "-")):
        found = [r for r in order.resources if (r.kind, r.action) == (kind, action)]
        if found:
            names = some((r.ref for r in found), 4)
            danger = f"  ({found[0].danger})" if found[0].danger else ""
            out.append(f"{sign} {len(found)} {kind}{'s' if len(found) > 1 else ''}: {names}{danger}")
    return out


def _coloured(line: str) -> str:
    if line.startswith("+"):
        return click.style(line, fg="green")
    if line.startswith("-"):
        return click.style(line, fg="red")
    return line


def summary(order: Plan) -> str:
    """``plan: 2 to create, 1 to reload, 5 unchanged; nothing is interrupted``."""
    counts: dict[str, int] = {}
    for change in order.changes:
        counts[change.action] = counts.get(change.action, 0) + 1
    parts = [f"{n} to {action}" for action, n in counts.items() if action != "keep"]
    if counts.get("keep"):
        parts.append(f"{counts['keep']} unchanged")
    stopped = sorted({p for c in order.changes for p in c.interrupts})
    return f"plan: {', '.join(parts)}; {'interrupts ' + ', '.join(stopped) if stopped else 'nothing is interrupted'}"


def document(planned: Planned) -> dict[str, object]:
    """The plan as JSON."""
    order = planned.plan
    return {
        "instance": order.instance,
        "release": order.bundle.release,
        "empty": order.empty,
        "changes": [
            {
                "service": c.service,
                "action": c.action,
                "why": list(c.why),
                "files": [{"path": f.path, "kind": f.kind, "on_change": f.on_change} for f in c.files],
                "interrupts": list(c.interrupts),
                "packages": list(c.packages),
                "diff": diff(c, planned.before[c.service]) if c.service in planned.before else [],
            }
            for c in order.changes
        ],
        "resources": [{"kind": r.kind, "action": r.action, "name": r.ref, "danger": r.danger} for r in order.resources],
        "settle": list(order.settle),
        "warnings": list(order.warnings),
        "refusals": list(order.refusals),
    }
