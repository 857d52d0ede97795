"""Does the server carry strangers' mail for strangers: it must refuse every form of asking, from here and from outside."""

from __future__ import annotations

from appliance.verify import dialogues, relaying
from appliance.verify.context import HELO, Context
from appliance.verify.registry import StepFailed, step
from appliance.verify.target import Endpoint

OPEN = (
    "close it at once: the services of port 25 must answer 5xx to every recipient that is not hosted (smtpd_relay_restrictions)"
)


@step("relay", "relaying is refused on 25 in every form", "relay", remedy=OPEN, ports=("smtp",), seconds=40)
def relay(ctx: Context) -> None:
    """From here: behind a userland proxy this client wears the bridge gateway's address, which must earn no trust."""
    for where in ctx.target.endpoints("smtp"):
        request = relay_request(ctx, where)
        verdict(ctx, request, dialogues.carry_out(request))


@step("relay-submission", "relaying without a login is refused on 587 and 465", "relay", remedy=OPEN, ports=("submission",))
def relay_submission(ctx: Context) -> None:
    """After STARTTLS and without AUTH (RFC 6409, 4.3: 530)."""
    for listener in ("submission", "submissions"):
        if ctx.target.endpoint(listener):
            session = ctx.smtp(listener, tls=True)
            answer = session.command("MAIL FROM:<x@elsewhere.invalid>")
            if answer.code == 250:
                answer = session.command(f"RCPT TO:<x@{relaying.OUTSIDE}>")
            ctx.refused(answer, f"a recipient elsewhere without a login on {listener}")


def relay_request(ctx: Context, where: Endpoint) -> dict[str, object]:
    """Everything that is asked: all forms for the null sender, the plainest for the other senders."""
    local = ctx.run.probe.rpartition("@")[0]
    address = next((a for a in ctx.target.spec.addresses if ":" not in a), "127.0.0.1")
    forms = relaying.forms(local, ctx.run.domain, ctx.target.spec.hostname, address)
    asked = relaying.sessions(forms, "<>", HELO)
    for sender in relaying.senders(local, ctx.run.domain):
        asked += relaying.sessions(forms[: relaying.PER_SESSION], sender, HELO)
    return {"host": where.host, "port": where.port, "timeout": 10.0, "sessions": asked}


def verdict(ctx: Context, request: dict[str, object], answer: dict[str, object]) -> None:
    """Judges the answers and keeps them as evidence."""
    found = relaying.judge(request["sessions"], answer)  # type: ignore[arg-type]
    ctx.sent += found.sent
    ctx.received += found.received
    if found.open:
        raise StepFailed(f"{len(found.open)} of {len(found.sent)} were not refused: {'; '.join(found.open[:3])}")
