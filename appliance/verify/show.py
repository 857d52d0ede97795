"""A proof as lines for people: what was sent, what came back, how long it took, and what to do where it failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from appliance.verify.proof import Proof, Step

MARKS = {"ok": "✓", "failed": "✗", "not-run": "-"}
WIDTH = 116  # columns of one line without -v


def render_lines(proof: Proof, *, verbose: int = 0) -> tuple[str, ...]:
    """The whole proof. ``verbose`` 1 shows every conversation in full."""
    return (*_steps(proof.steps, verbose), "", *summary_lines(proof))


def _steps(steps: Iterable[Step], verbose: int) -> Iterator[str]:
    group = ""
    for step in steps:
        if step.group != group:
            group = step.group
            yield group
        yield from step_lines(step, verbose=verbose)


def step_lines(step: Step, *, verbose: int = 0) -> Iterator[str]:
    """One step."""
    yield f"  {MARKS[step.status]} {step.title} ({_seconds(step.seconds)})" + (
        f": not run: {step.reason}" if step.status == "not-run" else ""
    )
    if step.status == "not-run":
        return
    whole = verbose > 0 or step.status == "failed"
    if verbose and step.evidence.get("dialogue"):
        yield from (f"      {line}" for line in step.evidence["dialogue"])
    else:
        yield from _direction("→", step.sent, whole)
        yield from _direction("←", step.received, whole)
    if step.status == "failed":
        yield f"      failed: {step.reason}"
        yield f"      remedy: {step.remedy}"


def _direction(arrow: str, said: tuple[str, ...], whole: bool) -> Iterator[str]:
    lines = [line for text in said for line in text.splitlines()]
    if whole:
        yield from (f"      {arrow} {line}" for line in lines)
    elif lines:
        more = f" (+{len(lines) - 1})" if len(lines) > 1 else ""
        room = WIDTH - len(more)
        yield f"      {arrow} {lines[0] if len(lines[0]) <= room else lines[0][: room - 1] + '…'}{more}"


def summary_lines(proof: Proof) -> tuple[str, ...]:
    """The last lines: the verdict and how far it reaches."""
    counts = f"{proof.count('ok')} ok, {proof.count('failed')} failed, {proof.count('not-run')} not run"
    verdict = "proven" if proof.proven else "NOT proven"
    outwards = (proof.outwards,) if proof.outwards else ()
    return (
        f"{verdict}: {proof.instance} ({proof.hostname}), suite {proof.suite}: {counts} in {proof.seconds:.1f} s",
        *outwards,
        f"release {proof.release}, spec {proof.spec_digest}, run {proof.run_id}, {proof.seen_from}",
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
