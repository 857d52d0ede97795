"""What is too large, and what pretends to be two messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.verify import smuggling
from appliance.verify.context import STRANGER, Context
from appliance.verify.registry import StepFailed, step
from appliance.verify.smtp import Reply, Smtp
from appliance.verify.wire import WireError

ONE_SIZE = "message_size of the spec renders every daemon's limit: `appliance plan` shows whether it is in place"
NO_SPLIT = "smtpd_forbid_bare_newline = reject with an empty smtpd_forbid_bare_newline_exclusions, on every service"
BLOCK = b"This line is here only to be one of very many, so that the message becomes too large.\r\n" * 800


@step(
    "oversize",
    "the size limit is announced, and what says that it is larger is refused",
    "limits",
    remedy=ONE_SIZE,
    ports=("smtp",),
)
def oversize(ctx: Context) -> None:
    """SIZE (RFC 1870): the largest is welcome, one octet more is not."""
    limit = ctx.target.spec.wire_size
    session = ctx.smtp("smtp")
    told = next((e.split()[1] for e in session.extensions if e.startswith("SIZE ")), "")
    ctx.received.append(f"SIZE {told}")
    if told != str(limit):
        raise StepFailed(f"EHLO announces SIZE {told or '(none)'}, the spec renders {limit}")
    ctx.expect(session.command(f"MAIL FROM:<{STRANGER}> SIZE={limit}"), 250, "the largest message allowed")
    session.command("RSET")
    ctx.refused(session.command(f"MAIL FROM:<{STRANGER}> SIZE={limit + 1}"), f"SIZE={limit + 1}", 552)


@step(
    "oversize-sent",
    "a message that is too large and does not say so is refused",
    "limits",
    remedy=ONE_SIZE,
    suite="full",
    ports=("smtp",),
    seconds=120,
)
def oversize_sent(ctx: Context) -> None:
    """Really sent, without SIZE."""
    limit = ctx.target.spec.wire_size
    session = ctx.smtp("smtp")
    ctx.envelope(session, STRANGER)
    ctx.expect(session.command("DATA"), 354, "DATA")
    session.send(ctx.compose("oversize-sent", sender=STRANGER).data, shown="[header]")
    answer: Reply | None = None
    try:
        for _ in range(limit // len(BLOCK) + 1):
            session.send(BLOCK, shown="")
        session.send(b".\r\n", shown=".")
    except WireError:
        pass  # the server may hang up in the middle; what it says stands below
    finally:
        session.transcript.lines[:] = [line for line in session.transcript.lines if line != "> "]
    answer = session.reply()
    ctx.refused(answer, f"a message of more than {limit} octets", 552, 554, 550)


@step(
    "smuggling",
    "no false end of DATA splits a message on 25",
    "limits",
    remedy=NO_SPLIT,
    ports=("smtp",),
    login=True,
    reads=True,
    seconds=60,
)
def smuggling_mx(ctx: Context) -> None:
    """All sequences, as a stranger; from here we wear the bridge gateway's address where a proxy stands before the port."""
    split(ctx, lambda: ctx.smtp("smtp"), STRANGER, smuggling.SEQUENCES)


@step(
    "smuggling-submission",
    "no false end of DATA splits a message at submission",
    "limits",
    remedy=NO_SPLIT,
    suite="full",
    login=True,
    reads=True,
    seconds=60,
)
def smuggling_submission(ctx: Context) -> None:
    """The same with a login: what splits here is smuggled to others under our signature."""
    split(ctx, ctx.submit, ctx.run.probe, smuggling.SEQUENCES)


@step(
    "smuggling-bdat",
    "chunks are not split either",
    "limits",
    remedy=NO_SPLIT,
    suite="full",
    ports=("smtp",),
    login=True,
    reads=True,
    seconds=60,
)
def smuggling_bdat(ctx: Context) -> None:
    """BDAT (RFC 3030) on 25 and at submission: refused where it is not offered, one message per last chunk where it is."""
    doors: tuple[tuple[Callable[[], Smtp], str], ...] = ((lambda: ctx.smtp("smtp"), STRANGER), (ctx.submit, ctx.run.probe))
    for door, sender in doors:
        session = door()
        if session.offers("CHUNKING"):
            session.quit()
            split(ctx, door, sender, smuggling.SEQUENCES, chunks=True)
        else:
            ctx.expect(session.command(f"MAIL FROM:<{sender}>"), 250, "the envelope sender")
            ctx.refused(session.command("BDAT 0 LAST"), "BDAT 0 LAST where CHUNKING is not offered")


def split(ctx: Context, door: Callable[[], Smtp], sender: str, sequences: Sequence[bytes], *, chunks: bool = False) -> None:
    """One connection per sequence: one answer each; afterwards what was accepted is in the mailbox, once, and nothing else."""
    accepted = []
    mark = f"{ctx.run.run_id}-{sender}-{chunks}"
    for sequence in sequences:
        session = door()
        made = ctx.compose(f"smuggling {sequence!r}", sender=sender)
        text = smuggling.payload(made, sequence, sender, ctx.run.probe, mark)
        ctx.envelope(session, sender)
        if chunks:
            answer = smuggling.by_bdat(session, text, sequence)
        else:
            ctx.expect(session.command("DATA"), 354, "DATA")
            answer = smuggling.by_data(session, text, sequence)
        ctx.remember(answer)
        ctx.sent.append(repr(sequence))
        ctx.received.append(str(answer))
        if answer.code == 250:
            accepted.append(made)
        elif answer.code < 500:
            raise StepFailed(f"{sequence!r}: answered {answer}, so nothing was proven")
    if accepted:
        ctx.await_message(accepted[-1])
    found = ctx.imap().search(f'HEADER {smuggling.MARK} "{mark}"')
    if found:
        raise StepFailed(f"{len(found)} smuggled messages are in the mailbox")
