"""What the services said about it: a mail that went through with a warning has not gone through well."""

from __future__ import annotations

import re

from appliance.verify.context import Context
from appliance.verify.registry import StepFailed, step

BAD = re.compile(r"\b(warning|error|fatal|panic)\b[: ]", re.IGNORECASE)
WORSE = re.compile(r"\b(fatal|panic):|\bPanic\b|Segmentation fault|Traceback \(most recent call last\)", re.IGNORECASE)


@step("logs", "the services' logs are silent about this run", "traces", remedy="`appliance logs` around this time", last=True)
def logs(ctx: Context) -> None:
    """No warning that names one of our messages, and nothing fatal at all since the run began."""
    run = ctx.run
    names = (*run.queue_ids, *run.message_ids)
    count = 0
    for service, line in ctx.target.engine.logs(
        ctx.target.instance, [s.name for s in ctx.target.bundle.services], follow=False, tail=None, since=int(run.started)
    ):
        count += 1
        text = line.decode("utf-8", "backslashreplace").rstrip()
        if WORSE.search(text) or (BAD.search(text) and any(name in text for name in names)):
            ctx.received.append(f"{service}: {text}")
    ctx.sent.append(f"{count} lines since the run began, {len(run.queue_ids)} queue ids of ours")
    if ctx.received:
        raise StepFailed(f"{len(ctx.received)} lines that should not be there, the first: {ctx.received[0]}")
    if run.queue_ids and not count:
        raise StepFailed("the services said nothing at all, although they took mail", "the engine's log driver must be readable")
