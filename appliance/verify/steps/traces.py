"""What the services said about it: a mail that went through with a warning has not gone through well."""

from __future__ import annotations

import re

from appliance.verify.context import Context
from appliance.verify.registry import StepFailed, step

#: about one of our own messages, wherever it stands in the line
BAD = re.compile(r"\b(warning|error|fatal|panic)\b[: ]", re.IGNORECASE)
#: how a line of syslog begins, the host's name only where a program with its pid follows
DATE = r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[\w.-]+ (?=[\w/.-]+\[))?)?"
#: `postfix/smtpd[7]:`, `imap(bob@example.org)<7><session>:`, `unbound[1:0]`
PROGRAM = r"[\w/.-]+(?:\([^\s()]*\)|\[[\d:]+\]|<[^\s<>]*>)*:?"
#: A daemon says so itself: where a line begins, after its own name, or as a runtime's last words. Further to the right the words
#: may be a stranger's (`helo=<panic:>`).
DIED = re.compile(
    rf"{DATE}{PROGRAM} (?:fatal|panic)(?: error)?: "
    r"|(?:panic|fatal error): |Segmentation fault|Traceback \(most recent call last\):",
    re.IGNORECASE,
)


@step("logs", "the services' logs are silent about this run", "traces", remedy="`appliance logs` around this time", last=True)
def logs(ctx: Context) -> None:
    """No warning that names one of our messages, and no daemon that calls itself dying since the run began."""
    run = ctx.run
    names = (*run.queue_ids, *run.message_ids)
    ours = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, names))})(?![\w.-])") if names else None
    count = 0
    for service, line in ctx.target.engine.logs(
        ctx.target.instance, [s.name for s in ctx.target.bundle.services], follow=False, tail=None, since=int(run.started)
    ):
        count += 1
        text = line.decode("utf-8", "backslashreplace").rstrip()
        if speaks_ill(text, ours):
            ctx.received.append(f"{service}: {text}")
    ctx.sent.append(f"{count} lines since the run began, {len(run.queue_ids)} queue ids of ours")
    if ctx.received:
        raise StepFailed(f"{len(ctx.received)} lines that should not be there, the first: {ctx.received[0]}")
    if run.queue_ids and not count:
        raise StepFailed("the services said nothing at all, although they took mail", "the engine's log driver must be readable")


def speaks_ill(text: str, ours: re.Pattern[str] | None) -> bool:
    """Whether a line of a log counts against this run; ``ours`` finds the names of its messages."""
    return bool(DIED.match(text) or (ours and BAD.search(text) and ours.search(text)))
