"""Who is refused at RCPT and who is always accepted. No text is ever sent here: real mailboxes stay as they are."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.people import ALWAYS
from appliance.spec.model import Spec
from appliance.verify.context import STRANGER, Context
from appliance.verify.registry import NotRun, StepFailed, step

AT_ONCE = 20  # recipients in one transaction
MANY = 40  # hosted domains that are asked for, at most


@step(
    "unknown-recipient",
    "an unknown recipient is refused at RCPT",
    "recipients",
    remedy="smtpd_reject_unlisted_recipient and the recipients' tables: what is accepted here bounces to a stranger",
    ports=("smtp",),
)
def unknown_recipient(ctx: Context) -> None:
    """In each hosted domain without a catch-all, and under the host's own name."""
    session = ctx.smtp("smtp")
    closed = [d for d, settings in ctx.target.spec.domains.items() if settings.catch_all is None]
    for domain in (*closed[:3], ctx.target.spec.hostname):
        ctx.expect(session.command(f"MAIL FROM:<{STRANGER}>"), 250, "a stranger as envelope sender")
        recipient = f"nobody-{ctx.run.run_id}@{domain}"
        ctx.refused(session.command(f"RCPT TO:<{recipient}>"), f"RCPT TO:<{recipient}>", 550)
        session.command("RSET")


@step(
    "postmaster",
    "postmaster and abuse are accepted in every domain",
    "recipients",
    remedy="RFC 5321, 4.5.1: the postmaster's own mailbox may be disabled, or the alias table is not in place",
    ports=("smtp",),
)
def postmaster(ctx: Context) -> None:
    """RCPT accepted, then RSET: nobody's mailbox gets a probe. The look-up behind it is the step postmaster-table."""
    session = ctx.smtp("smtp")
    addresses = tuple(always(ctx.target.spec))
    for i in range(0, len(addresses), AT_ONCE):
        ctx.expect(session.command(f"MAIL FROM:<{STRANGER}>"), 250, "a stranger as envelope sender")
        for address in addresses[i : i + AT_ONCE]:
            answer = session.command(f"RCPT TO:<{address}>")
            ctx.sent.append(f"RCPT TO:<{address}>")
            ctx.received.append(str(answer))
            ctx.expect(answer, 250, address)
        ctx.expect(session.command("RSET"), 250, "RSET")
    session.quit()


@step(
    "postmaster-table",
    "postmaster and abuse lead to the postmaster's mailbox",
    "recipients",
    remedy="`appliance plan` shows whether the tables are as rendered",
    ports=("smtp",),
)
def postmaster_table(ctx: Context) -> None:
    """Asked in the tables that the running server uses (postmap -q): acceptance alone could end in a bounce."""
    service = ctx.target.listening("smtp")
    if service is None:
        raise NotRun("nothing listens on 25")
    addresses = tuple(always(ctx.target.spec))
    script = "for map in $(postconf -hx virtual_alias_maps | tr , ' '); do postmap -q - \"$map\"; done"
    asked = "\n".join((*addresses, "")).encode()
    end = ctx.target.engine.exec(ctx.target.instance, service, ("sh", "-c", script), stdin=asked, timeout=20)
    answers = dict(
        line.split(None, 1) for line in end.stdout.decode("utf-8", "replace").splitlines() if " " in line or "\t" in line
    )
    ctx.sent.append(f"{service}: postmap -q {' '.join(addresses)}")
    ctx.received += [f"{key}: {value}" for key, value in answers.items()]
    missing = [a for a in addresses if a.lower() not in {k.lower() for k in answers}]
    if missing:
        words = end.stderr.decode("utf-8", "replace").strip()
        raise StepFailed(f"no entry for {', '.join(missing)}{': ' + words if words else ''}")


def always(spec: Spec) -> Iterator[str]:
    """The addresses that must always be accepted: RFC 5321, 4.5.1 (also without a domain) and RFC 2142."""
    for domain in [*spec.domains][:MANY]:
        yield from (f"{name}@{domain}" for name in ALWAYS)
    yield from (f"{name}@{spec.hostname}" for name in ALWAYS)
    yield "postmaster"
