"""Does mail go through: submitted by a user, handed in by another server, read by IMAP and POP3, byte for byte."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

from appliance.verify.context import HELO, STRANGER, Context
from appliance.verify.message import MARK, noise
from appliance.verify.registry import StepFailed, step

ARRIVES = (
    "`appliance logs` of the services behind port 25 and of the mail store; a filter that is down shows as 4xx in the answer"
)
READABLE = "`appliance logs` of the mail store; `appliance ps` shows whether it runs"


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
    """587 with STARTTLS and a login, then IMAP with implicit TLS where that is open."""
    made = ctx.compose("submission")
    ctx.deliver(ctx.submit("submission"), made, ctx.run.probe)
    marked(ctx, ctx.await_message(made, once=True))


@step(
    "submissions",
    "a mail submitted on 465 (TLS) is read by IMAP with STARTTLS",
    "delivery",
    remedy=ARRIVES,
    ports=("submissions", "imap"),
    login=True,
    reads=True,
)
def submissions(ctx: Context) -> None:
    """465, then IMAP on 143."""
    made = ctx.compose("submissions")
    ctx.deliver(ctx.submit("submissions"), made, ctx.run.probe)
    marked(ctx, ctx.await_message(made, "imap", once=True))


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
    marked(ctx, ctx.await_message(made, once=True))


@step("pop3s", "a mail is read by POP3 on 995 (TLS)", "delivery", remedy=READABLE, ports=("smtp", "pop3s"), login=True)
def pop3s(ctx: Context) -> None:
    """POP3 with implicit TLS."""
    by_pop3(ctx, "pop3s")


@step("pop3", "a mail is read by POP3 on 110 (STLS)", "delivery", remedy=READABLE, ports=("smtp", "pop3"), login=True)
def pop3(ctx: Context) -> None:
    """POP3 with STLS (RFC 2595)."""
    by_pop3(ctx, "pop3")


def by_pop3(ctx: Context, listener: str) -> None:
    """Handed in on 25, found by its Message-ID in a POP3 session. A session sees what was there at its login (RFC 1939, 5)."""
    made = ctx.compose(listener, sender=f"Stranger <{STRANGER}>")
    ctx.deliver(ctx.smtp("smtp"), made, STRANGER)

    def look() -> tuple[int, ...]:
        session = ctx.pop3(listener)
        number = next((n for n in reversed(range(1, session.count() + 1)) if session.has(n, made.id)), None)
        if number is not None:
            marked(ctx, "\r\n".join(session.lines(f"RETR {number}")).encode())
        session.ok("QUIT")
        session.close()
        return () if number is None else (number,)

    number = ctx.poll(look, f"{made.id} did not arrive")
    ctx.received.append(f"message {number[0]} of the POP3 session has this Message-ID and this run's mark")


@step(
    "attachment",
    "an attachment of all byte values and 8-bit text arrive unchanged",
    "delivery",
    remedy="something on the way rewrites bodies: a filter, or a header or body check",
    login=True,
    reads=True,
)
def attachment(ctx: Context) -> None:
    """300 KB of noise as base64 beside 8-bit text (RFC 6152); compared by SHA-256."""
    data = noise(ctx.run.run_id, min(300_000, ctx.target.spec.message_size // 2))
    text = "Grüße, Καλημέρα, 你好. Diese Zeilen sind acht Bit breit.\n.\n..two dots\n"
    made = ctx.compose("attachment", body=text, cte="8bit", attachment=data)
    session = ctx.submit()
    if not session.offers("8BITMIME"):
        raise StepFailed("8BITMIME is not offered")
    ctx.deliver(session, made, ctx.run.probe, " BODY=8BITMIME")
    arrived = marked(ctx, ctx.await_message(made))
    sent = email.message_from_bytes(made.data, policy=email.policy.default)
    ctx.sent.append(f"SHA-256 of text and attachment: {' '.join(digests(sent))}")
    ctx.received.append(f"SHA-256 of text and attachment: {' '.join(digests(arrived))}")
    if digests(sent) != digests(arrived):
        raise StepFailed("what arrived is not what was sent (SHA-256 differs)")


@step(
    "received",
    "the submitter's address and host name are not in what recipients see",
    "delivery",
    remedy="smtpd_hide_client_session = yes on the submission services",
    login=True,
    reads=True,
)
def received(ctx: Context) -> None:
    """No Received field may tell where a user sits: neither the EHLO name nor any address that we can have there."""
    made = ctx.compose("received")
    session = ctx.submit()
    mine = str(session.socket.getsockname()[0])
    ctx.deliver(session, made, ctx.run.probe)
    mail = marked(ctx, ctx.await_message(made))
    fields = [" ".join(str(value).split()) for value in mail.get_all("Received", [])]
    ctx.received += fields
    if not fields:
        raise StepFailed("the message has no Received field at all (RFC 5321, 4.4)")
    traces = {HELO, mine, ctx.target.topology.network.gateway}
    found = sorted(t for t in traces for field in fields if t in field)
    if found:
        raise StepFailed(f"Received tells {', '.join(found)}")


def marked(ctx: Context, data: bytes) -> EmailMessage:
    """The message must carry this run's mark unchanged; returns it parsed."""
    mail = email.message_from_bytes(data, policy=email.policy.default)
    if mail[MARK] != ctx.run.run_id:
        raise StepFailed(f"the message that arrived has {MARK}: {mail[MARK]!r}, not {ctx.run.run_id!r}")
    return mail


def digests(mail: EmailMessage) -> list[str]:
    """SHA-256 of each part's decoded content, a newline counted as one octet whatever it was."""
    from appliance.render.bundle import sha256

    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    return [sha256(p if i else p.replace(b"\r\n", b"\n")) for i, p in enumerate(parts) if isinstance(p, bytes)]
