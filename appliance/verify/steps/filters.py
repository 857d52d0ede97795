"""Is infected mail refused while the sender is still there to be told, coming in and going out."""

from __future__ import annotations

from appliance.verify.context import STRANGER, Context
from appliance.verify.message import eicar
from appliance.verify.registry import StepFailed, step
from appliance.verify.smtp import Reply

SCANNED = "`appliance logs` of the scanner and its milter; without signatures mail is deferred until they have been fetched"


@step("eicar-inbound", "infected mail is refused on 25", "filters", remedy=SCANNED, roles=("clamav",), ports=("smtp",))
def eicar_inbound(ctx: Context) -> None:
    """The EICAR test file as an attachment, as a stranger sends it."""
    session = ctx.smtp("smtp")
    made = ctx.compose("eicar-inbound", sender=STRANGER, attachment=eicar(), name="eicar.com")
    infected(ctx, ctx.offer(session, made, STRANGER))


@step("eicar-submission", "infected mail is refused at submission", "filters", remedy=SCANNED, roles=("clamav",), login=True)
def eicar_submission(ctx: Context) -> None:
    """The same from a user who has logged in: a stolen password or an infected machine."""
    session = ctx.submit()
    made = ctx.compose("eicar-submission", attachment=eicar(), name="eicar.com")
    infected(ctx, ctx.offer(session, made, ctx.run.probe))


def infected(ctx: Context, answer: Reply) -> None:
    """550 at the final dot; 4xx means that nobody looked, 250 that nobody cared."""
    if 400 <= answer.code <= 499:
        raise StepFailed(f"deferred, not judged: {answer}")
    ctx.judged_refusal(answer, "the EICAR test file", 550, 554)
