"""Does mail go through: submitted by a user, handed in by another server, read by IMAP and POP3."""

from __future__ import annotations

import email
import email.policy

from appliance.verify.context import Context
from appliance.verify.message import MARK
from appliance.verify.registry import StepFailed, step

STRANGER = "probe@sender.invalid"  # RFC 6761, 6.4: a domain that nobody has
ARRIVES = (
    "see `appliance logs` of the services of port 25 and of the mail store; a stopped filter shows as 4xx in what was received"
)


@step(
    "submission",
    "a mail submitted on 587 (STARTTLS) is read by IMAP",
    "delivery",
    remedy=ARRIVES,
    ports=("submission",),
    login=True,
    reads=True,
)
def submission(ctx: Context) -> None:
    """587 with STARTTLS and a login, then IMAP with implicit TLS where it is open."""
    made = ctx.compose("submission")
    ctx.deliver(ctx.submit("submission"), made, ctx.run.probe)
    marked(ctx, ctx.await_message(made))


@step(
    "submissions",
    "a mail submitted on 465 (TLS) is read by IMAP with STARTTLS",
    "delivery",
    remedy=ARRIVES,
    ports=("submissions",),
    login=True,
    reads=True,
)
def submissions(ctx: Context) -> None:
    """465, then IMAP on 143 where it is open."""
    made = ctx.compose("submissions")
    ctx.deliver(ctx.submit("submissions"), made, ctx.run.probe)
    marked(ctx, ctx.await_message(made, "imap" if ctx.target.endpoint("imap") else ""))


@step(
    "inbound",
    "a mail from another server on 25 is read by IMAP",
    "delivery",
    remedy=ARRIVES,
    ports=("smtp",),
    login=True,
    reads=True,
)
def inbound(ctx: Context) -> None:
    """25 without TLS, as the simplest stranger would."""
    made = ctx.compose("inbound", sender=f"Stranger <{STRANGER}>")
    ctx.deliver(ctx.smtp("smtp"), made, STRANGER)
    marked(ctx, ctx.await_message(made))


def marked(ctx: Context, data: bytes) -> email.message.EmailMessage:
    """The message must carry this run's mark unchanged; returns it parsed."""
    mail = email.message_from_bytes(data, policy=email.policy.default)
    if mail[MARK] != ctx.run.run_id:
        raise StepFailed(f"the message that arrived has {MARK}: {mail[MARK]!r}, not {ctx.run.run_id!r}")
    return mail
