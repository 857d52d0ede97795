"""Carries out a suite: the probe's login first, everything independent side by side, what judges the traces last."""

from __future__ import annotations

import difflib
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from appliance.engines.base import Report
from appliance.errors import ApplianceError, UsageError
from appliance.verify import checks, probe
from appliance.verify.alone import alone
from appliance.verify.context import Context, Run
from appliance.verify.proof import Proof, Status, Step, Suite
from appliance.verify.registry import NotRun, StepDef, StepFailed, steps
from appliance.verify.target import Target
from appliance.verify.wire import Deadline, WireError

SIDE_BY_SIDE = 8  # steps at once: they mostly wait, and a small host must not be swamped
OnStep = Callable[[Step], None]

LOGIN = StepDef(
    "probe",
    "the appliance's own mailbox can log in",
    "probe",
    "smoke",
    "the service that checks passwords must run and be reached: `appliance ps`, `appliance logs`",
    function=lambda ctx: let_in(ctx),
)
CLEAN = StepDef(
    "clean",
    "the probe's mail and its password are gone again",
    "traces",
    "smoke",
    "remove them by hand: `appliance exec SERVICE sh /config/current/probe.sh </dev/null`; the next verification tries again",
    function=lambda ctx: clean_up(ctx),
)


def verify(
    target: Target,
    suite: Suite,
    report: Report,
    *,
    origin: str = "",
    outwards: str = "",
    on_step: OnStep | None = None,
    only: frozenset[str] = frozenset(),
) -> Proof:
    """Verifies a running instance and returns the proof; a failed check raises nothing.

    ``origin``: an ssh host from which outside connections are made too. ``outwards``: a domain or mail host whose port 25 is
    tried, instead of those that the spec names. ``on_step``: called as each step ends.
    ``only``: names of steps (role checks are ``<role>/<test>``); empty means all.
    """
    wanted = chosen(suite, only, target)
    work = _Work(
        Run(target, secrets.token_hex(4), probe.new_password(), time.time(), origin, outwards),
        report,
        on_step or (lambda _: None),
    )
    began = time.monotonic()
    report.start("verify", f"verifying {target.instance} ({suite})")
    with alone(target.instance, report):
        work.carry_out(wanted, only)
    proof = Proof(
        instance=target.instance,
        hostname=target.spec.hostname,
        release=target.bundle.release,
        spec_digest=target.spec_digest,
        suite=suite,
        run_id=work.run.run_id,
        seen_from=seen_from(work.run, work.steps),
        started=work.run.started,
        seconds=time.monotonic() - began,
        steps=tuple(work.ordered(wanted)),
    )
    verdict = f"{proof.count('ok')} ok, {proof.count('failed')} failed, {proof.count('not-run')} not run"
    (report.done if proof.proven else report.failed)("verify", f"verified: {verdict}")
    return proof


def chosen(suite: Suite, only: frozenset[str], target: Target) -> list[StepDef]:
    """The steps of the suite, or those named. Raises UsageError for a name that is no step and no check of a role that runs."""
    found = [s for s in steps("full" if only else suite) if not only or s.name in only]
    known = {s.name for s in steps("full")} | {LOGIN.name, CLEAN.name}
    roles = checks.folders(target)
    strange = [n for n in sorted(only) if n not in known and n.partition("/")[0] not in roles]
    if strange:
        near = difflib.get_close_matches(strange[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}, and <role>/<test>"
        raise UsageError(f"there is no step {strange[0]}", hint=hint)
    return found


def seen_from(run: Run, done: list[Step]) -> str:
    """The sentence that says how far this proof reaches."""
    others = sorted({str(s.evidence["seen_from"]) for s in done if s.status == "ok" and s.evidence.get("seen_from")})
    here = f"this machine, to the published ports of {run.target.host}" if run.target.host else "this host"
    if others:
        return f"seen from {here}; relaying also from {', '.join(others)}"
    return f"seen from {here}" if run.target.host else "seen from this host only"


@dataclass
class _Work:
    run: Run
    report: Report
    on_step: OnStep
    steps: list[Step] = field(default_factory=list)

    def carry_out(self, wanted: list[StepDef], only: frozenset[str]) -> None:
        """Login, the steps, the role checks, and whatever happens: the cleaning."""
        now = [s for s in wanted if not s.last]
        try:
            with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="verify") as pool:
                # what needs no login does not wait for it
                first = pool.submit(self.one, LOGIN, "")
                begun: list[Future[object]] = [pool.submit(self.role_checks, only)]
                begun += [pool.submit(self.one, s, "") for s in now if not s.login]
                blocked = "" if first.result().status == "ok" else "the probe could not log in"
                begun += [pool.submit(self.one, s, blocked) for s in now if s.login]
                for one in begun:
                    one.result()
            for last in (s for s in wanted if s.last):
                self.one(last, blocked)
        finally:
            self.one(CLEAN, "")

    def one(self, definition: StepDef, blocked: str) -> Step:
        """One step, whatever it does: ok, failed or not run."""
        missing = definition.missing(self.run.target) or (blocked if definition.login else "")
        ctx = Context(self.run, Deadline.within(definition.seconds))
        started, began = time.time(), time.monotonic()
        status, reason, remedy = _outcome(definition, ctx, missing)
        made = Step(
            name=definition.name,
            title=definition.title,
            group=definition.group,
            status=status,
            started=started,
            seconds=time.monotonic() - began,
            sent=tuple(ctx.sent),
            received=tuple(ctx.received),
            reason=reason,
            remedy=remedy if status == "failed" else "",
            evidence={**ctx.evidence, **({"dialogue": tuple(ctx.transcript.lines)} if ctx.transcript.lines else {})},
        )
        return self.ended(made)

    def role_checks(self, only: frozenset[str]) -> None:
        """The checks that the running roles bring."""
        checks.carry_out(self.run.target, self.ended, only)

    def ended(self, step: Step) -> Step:
        """Keeps a step and tells whoever listens."""
        with self.run.lock:
            self.steps.append(step)
            self.on_step(step)
        return step

    def ordered(self, wanted: list[StepDef]) -> list[Step]:
        """Login, steps in the suite's order, role checks by name, the cleaning."""
        rank = {name: i for i, name in enumerate([LOGIN.name, *[s.name for s in wanted]])}
        return sorted(self.steps, key=lambda s: (s.name == CLEAN.name, rank.get(s.name, len(rank)), s.name))


def _outcome(definition: StepDef, ctx: Context, missing: str) -> tuple[Status, str, str]:
    """(status, reason, remedy) of a step that is carried out here."""
    if missing:
        return "not-run", missing, ""
    try:
        definition.function(ctx)
    except NotRun as why:
        return "not-run", str(why), ""
    except StepFailed as why:
        return "failed", why.reason, why.remedy or definition.remedy
    except (WireError, ApplianceError) as why:
        return "failed", str(why), definition.remedy
    except Exception as why:  # a defect of one check must not hide what the others found
        return (
            "failed",
            f"the check itself broke: {why.__class__.__name__}: {why}",
            "this is a defect of the program, please report it",
        )
    finally:
        ctx.close()
    return "ok", "", ""


def let_in(ctx: Context) -> None:
    """Puts the password in place and waits until it is valid."""
    probe.put(ctx.run)
    ctx.sent.append(f"a new password for {ctx.run.probe}")
    probe.until_known(ctx)
    ctx.received.append("logged in")


def clean_up(ctx: Context) -> None:
    """Removes the probe's mail while it still may log in, then its login."""
    try:
        count = probe.empty(ctx)
        ctx.received.append(f"{count} messages removed")
        ctx.received.append(f"{probe.unqueue(ctx)} left in the queue removed")
    finally:
        probe.take(ctx.target)
        ctx.received.append("login taken away")
