"""Is what our users send signed so that a stranger can verify it, and is nothing else signed."""

from __future__ import annotations

from collections.abc import Callable

from appliance.dns.wanted import txt_lookup, wanted
from appliance.keys.view import dkim_selector
from appliance.verify.context import STRANGER, Context
from appliance.verify.dkim import Signature, signatures
from appliance.verify.registry import StepFailed, step

SIGNED = "the signers' logs say why; `appliance keys list` and `appliance dns records` must tell of the same keys"


@step(
    "dkim",
    "what the probe sends is signed, each algorithm valid with the records to publish",
    "signatures",
    remedy=SIGNED,
    roles=("opendkim",),
    login=True,
    reads=True,
)
def dkim(ctx: Context) -> None:
    """RFC 6376 and RFC 8463, judged by dkimpy against exactly the records that `dns records` prints."""
    made = ctx.compose("dkim")
    ctx.deliver(ctx.submit(), made, ctx.run.probe)
    found = signatures(ctx.await_message(made), lookup(ctx))
    ctx.received += [str(s) for s in found]
    settings = ctx.target.spec.domains[ctx.run.domain].dkim
    for algorithm in settings.algorithms:
        judge(found, ctx.run.domain, dkim_selector(settings.selector, algorithm))
    strange = [str(s) for s in found if not s.valid]
    if strange:
        raise StepFailed(f"a signature is not valid: {strange[0]}")


@step(
    "dkim-inbound",
    "mail from outside that claims our domain is not signed by us",
    "signatures",
    remedy="port 25 must not reach a signer: milters of the mx service",
    roles=("opendkim",),
    ports=("smtp",),
    login=True,
    reads=True,
)
def dkim_inbound(ctx: Context) -> None:
    """A forged From on 25: signed, it would be a forgery under our own name."""
    made = ctx.compose("dkim-inbound")
    session = ctx.smtp("smtp")
    answer = ctx.offer(session, made, STRANGER)
    if answer.code >= 500:
        ctx.received.append("refused outright, which is as good")
        return
    ctx.expect(answer, 250, "the message")
    found = signatures(ctx.await_message(made), lookup(ctx))
    ctx.received.append(f"{len(found)} DKIM-Signature fields")
    if found:
        raise StepFailed(f"a stranger's mail was signed: {found[0]}")


def lookup(ctx: Context) -> Callable[..., bytes | None]:
    """TXT look-ups in the records that the spec wants, and nowhere else."""
    return txt_lookup(wanted(ctx.target.spec, ctx.target.keys, (4, 6), sets=("dkim",)))


def judge(found: tuple[Signature, ...], domain: str, selector: str) -> None:
    """There must be exactly one valid signature of that selector."""
    mine = [s for s in found if s.domain == domain and s.selector == selector]
    if not mine:
        raise StepFailed(f"no signature of {selector}._domainkey.{domain}")
    if len(mine) > 1:
        raise StepFailed(f"{len(mine)} signatures of {selector}._domainkey.{domain}")
    if not mine[0].valid:
        raise StepFailed(f"not valid: {mine[0]}")
