"""Does the server carry strangers' mail for strangers: it must refuse every form of asking, from here and from outside."""

from __future__ import annotations

from appliance.verify import dialogues, relaying
from appliance.verify.context import HELO, Context
from appliance.verify.outside import Namespace, Place, place
from appliance.verify.registry import NotRun, StepFailed, step
from appliance.verify.target import LOOPBACK, Endpoint

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


@step("relay-outside-ipv4", "relaying is refused to a stranger over IPv4", "relay", remedy=OPEN, ports=("smtp",), seconds=150)
def relay_outside_ipv4(ctx: Context) -> None:
    """With an address that is neither loopback nor the bridge's gateway."""
    from_outside(ctx, 4)


@step("relay-outside-ipv6", "relaying is refused to a stranger over IPv6", "relay", remedy=OPEN, ports=("smtp",), seconds=150)
def relay_outside_ipv6(ctx: Context) -> None:
    """Over IPv6 engines often put the gateway's address on strangers: it must earn no trust."""
    from_outside(ctx, 6)


def from_outside(ctx: Context, family: int) -> None:
    """Finds a place, finds the way from there to port 25, and asks everything again."""
    with place(ctx.target, ctx.run.origin) as there:
        where = way(ctx, there, family)
        request = relay_request(ctx, where)
        answer = there.talk(request)
        if not any(answer["sessions"][0]["replies"]) and not ctx.run.origin:
            raise NotRun(f"{there.words} does not get through to [{where.host}]:{where.port}: {answer['sessions'][0]['error']}")
        ctx.evidence["seen_from"] = there.words
        ctx.sent.append(f"from {there.words} ({answer['from'] or 'no connection'}) to [{where.host}]:{where.port}")
        verdict(ctx, request, answer)


def way(ctx: Context, there: Place, family: int) -> Endpoint:
    """Where port 25 is, seen from there: the published port, or the container's own address when it is published on loopback."""
    published = [e for e in ctx.target.endpoints("smtp") if e.family == family]
    wide = [e for e in published if e.bound not in ("127.0.0.1", "::1")]
    if wide:
        bound = wide[0].bound
        host = there.gateway.get(family, "") if bound in LOOPBACK else bound
        if not host:
            raise NotRun(f"{there.words} has no IPv{family} way to this host")
        return Endpoint(host, wide[0].port, bound)
    service = ctx.target.listening("smtp")
    address = ctx.target.topology.network.addresses.get(str(service), "")
    if family == 4 and address and isinstance(there, Namespace):
        port = next(n.service.ports["smtp"] for n in ctx.target.topology.nodes if n.name == service)
        return Endpoint(address, port, address)
    if published:
        raise NotRun(f"port 25 is published on {published[0].bound} only")
    raise NotRun(f"port 25 is not published over IPv{family}")
