"""After an `up` whose proof failed: the release that ran before is put back, the way `rollback` goes, and it is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError, Exit
from appliance.plan.words import some

if TYPE_CHECKING:
    from appliance.cli.app import App
    from appliance.cli.planning import Planned
    from appliance.observed import Manifest, Observed
    from appliance.verify.proof import Proof

GO_ON = "mend what failed and run `appliance up` again; `appliance verify` proves it, `appliance logs` shows the services' words"
#: steps and groups of steps that others decide: whoever may block port 25 outwards, and the authority of certificates
OUTSIDE = frozenset({"outwards", "trusted"})


@dataclass(frozen=True)
class Change:
    """What an `up` is about to change. ``first``: nothing ran before; ``release``: what ran as a whole, "" for nothing whole."""

    first: bool
    release: str = ""
    manifests: Mapping[str, Manifest] | None = None


def before(app: App, planned: Planned) -> Change:
    """What runs now, so that it can be put back; read before it is disturbed."""
    observed = planned.observed
    if not observed.services:
        return Change(first=True)
    return standing(observed, app.engine().history(observed.instance))


def standing(observed: Observed, history: Sequence[Manifest]) -> Change:
    """The release of the history that runs: each of its services and no other, on its files and in its container."""
    found: dict[str, dict[str, Manifest]] = {}
    for manifest in sorted(history, key=lambda m: -m.time):
        found.setdefault(manifest.release, {})[manifest.service] = manifest
    running = {n: (s.current, s.loaded, s.runtime.digest) for n, s in observed.services.items()}
    for release, services in found.items():
        if running == {n: (m.live, m.live, m.frozen) for n, m in services.items()} and not observed.previous:
            return Change(first=False, release=release, manifests=services)
    return Change(first=False)


def after(app: App, change: Change, proof: Proof, *, keep: bool, wait: int, break_lock: bool) -> None:
    """Puts the earlier release back where that can mend something; says what was done, or why nothing was."""
    if why := _stays(change, proof, keep=keep):
        return _left(app, change, proof, why)
    try:
        planned = _back(app, change, wait=wait, break_lock=break_lock)
    except ApplianceError as trouble:
        words = trouble.message.removesuffix("\n  everything was put back")  # the engine means its steps of this attempt
        _left(app, change, proof, f"release {change.release} could not be put back: {words}", trouble.hint)
        if trouble.code == Exit.INTERRUPTED:
            raise
        return None
    if planned is None:
        same = "this run changed no setting and no image"
        people = "only people or keys changed, and these never go back"
        return _left(app, change, proof, same if change.release == proof.release else people)
    return _done(app, change, proof, planned)


def _done(app: App, change: Change, proof: Proof, planned: Planned) -> None:
    app.report().event("put-back", done=True, release=proof.release, earlier=change.release, reason="")
    app.say(f"not proven ({_failed(proof)}): release {change.release} was put back, with today's mailboxes, passwords and keys")
    if new := [s.name for s in planned.plan.bundle.services if s.name not in (change.manifests or {})]:
        app.say(f"  {some(new)}, new in release {proof.release}, still runs: a role is switched off in the spec alone")
    app.say(f"  hint: the spec still asks for release {proof.release}; mend it before the next `appliance up`")
    app.say("  hint: `appliance up --keep-unproven` leaves such a release running, to look into it")


def _stays(change: Change, proof: Proof, *, keep: bool) -> str:
    """Why nothing is put back, "" where it is to be tried."""
    if change.first:
        return "nothing ran before it that could be put back"
    if keep:
        return "--keep-unproven was said"
    if all(OUTSIDE & {s.name, s.group} for s in proof.failed):
        return "what failed is decided elsewhere, and an earlier release would not change it"
    if not change.manifests:
        return "what ran before was no whole release (an apply had been cut off, or something was changed by hand)"
    return ""


def _back(app: App, change: Change, *, wait: int, break_lock: bool) -> Planned | None:
    """Plans and applies the earlier release; None where nothing of it differs."""
    from appliance.cli import planning, rollback, up, waiting

    today = app.bundle(app.observe(manifests=False).host.families)
    earlier = rollback.compose(app, today, change.release, dict(change.manifests or {}))
    planned = planning.make(app, bundle=earlier)
    if planned.plan.refusals:
        raise ApplianceError(planned.plan.refusals[0])
    if planned.plan.empty:
        return None
    report = app.report()
    report.start("put-back", f"putting back release {change.release}")
    try:
        up.apply(app, planned, why=f"putting back {change.release}", wait=wait, break_lock=break_lock)
    except ApplianceError:
        report.failed("put-back", f"release {change.release} is not back")
        raise
    report.done("put-back", f"release {change.release} is back")
    waiting.wait(app, planned)
    return planned


def _left(app: App, change: Change, proof: Proof, why: str, hint: str = "") -> None:
    """Says that the new release stays."""
    app.report().event("put-back", done=False, release=proof.release, earlier=change.release, reason=why)
    app.say(f"not proven ({_failed(proof)}): release {proof.release} stays running: {why}")
    for line in filter(None, (hint, GO_ON)):
        app.say(f"  hint: {line}")


def _failed(proof: Proof) -> str:
    return f"{some((s.name for s in proof.failed), 4)} failed" if proof.failed else "nothing could be tried"
