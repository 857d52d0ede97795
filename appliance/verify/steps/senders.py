"""Does the login own what it sends: envelope, From, Sender, each of several. Nothing here can reach anybody but the probe."""

from __future__ import annotations

from appliance.verify import relaying
from appliance.verify.context import Context
from appliance.verify.message import Message
from appliance.verify.registry import StepFailed, step

OWNED = "the policy milter and smtpd_sender_login_maps must be on every submission service: `appliance logs policy`"


@step("forged-envelope", "a login may not use another's envelope sender", "senders", remedy=OWNED, login=True)
def forged_envelope(ctx: Context) -> None:
    """One of our own addresses and a stranger's (RFC 6409, 6.1)."""
    session = ctx.submit()
    for sender in (f"postmaster@{ctx.run.domain}", "x@elsewhere.invalid"):
        answer = session.command(f"MAIL FROM:<{sender}>")
        if answer.code == 250:  # servers may wait for RCPT with their refusal
            answer = session.command(f"RCPT TO:<{ctx.run.probe}>")
        ctx.refused(answer, f"MAIL FROM:<{sender}>")
        session.command("RSET")


@step(
    "forged-from",
    "a login may not write another's address into From or Sender",
    "senders",
    remedy=OWNED,
    roles=("policy",),
    login=True,
)
def forged_from(ctx: Context) -> None:
    """The header that people see (RFC 5322, 3.6.2)."""
    session = ctx.submit()
    other = f"postmaster@{ctx.run.domain}"
    for what, fields in forgeries(ctx.run.probe, other).items():
        text_refused(ctx, what, with_fields(ctx.compose("forged-from", sender=""), fields), ctx.run.probe)
    session.quit()


@step(
    "null-sender",
    "the null envelope sender does not open the door for a foreign From",
    "senders",
    remedy=OWNED,
    roles=("policy",),
    login=True,
)
def null_sender(ctx: Context) -> None:
    """MAIL FROM:<> passes reject_sender_login_mismatch; the header must be looked at all the same."""
    fields = (f"From: postmaster@{ctx.run.domain}",)
    text_refused(ctx, f"MAIL FROM:<> with {fields[0]}", with_fields(ctx.compose("null-sender", sender=""), fields), "")


@step(
    "probe-confined",
    "the probe may send to nobody but itself",
    "senders",
    remedy="the probe's login must be refused every recipient but its own address: a password of the proof is no way out",
    roles=("policy",),
    login=True,
)
def probe_confined(ctx: Context) -> None:
    """A real mailbox and an address elsewhere; no text is ever sent."""
    session = ctx.submit()
    for recipient in (ctx.target.spec.postmaster, f"x@{relaying.OUTSIDE}"):
        ctx.expect(session.command(f"MAIL FROM:<{ctx.run.probe}>"), 250, "the probe's own address")
        answer = session.command(f"RCPT TO:<{recipient}>")
        ctx.refused(answer, f"RCPT TO:<{recipient}> as the probe")
        session.command("RSET")


def forgeries(mine: str, other: str) -> dict[str, tuple[str, ...]]:
    """What is tried → header fields."""
    return {
        "From is another's": (f"From: {other}",),
        "From has two addresses, the second another's": (f"From: {mine}, {other}",),
        "a second From is another's": (f"From: {mine}", f"From: {other}"),
        "Sender is another's": (f"From: {mine}", f"Sender: {other}"),
        "From that cannot be read": (f"From: {other} <{mine}>",),
    }


def with_fields(made: Message, fields: tuple[str, ...]) -> Message:
    """The message with these fields at its top, exactly as written."""
    return Message(made.id, "".join(f"{field}\r\n" for field in fields).encode() + made.data)


def text_refused(ctx: Context, what: str, made: Message, sender: str) -> None:
    """A transaction to the probe itself whose text must be refused; each in a session of its own."""
    session = ctx.submit()
    ctx.expect(session.command(f"MAIL FROM:<{sender}>"), 250, "the envelope sender")
    ctx.expect(session.command(f"RCPT TO:<{ctx.run.probe}>"), 250, "the probe as recipient")
    answer = ctx.data(session, made)
    if answer.code == 250:
        raise StepFailed(f"{what}: accepted ({answer})")
    ctx.refused(answer, what)
    session.quit()
