"""The forms in which a stranger asks a server to relay, and how the answers are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.verify.registry import StepFailed

OUTSIDE = "elsewhere.invalid"  # RFC 6761, 6.4: if this is accepted, everything is, and it reaches nobody
PER_SESSION = 4  # errors that a session may show before servers slow down or hang up


def forms(local: str, domain: str, hostname: str, address: str) -> tuple[str, ...]:
    """Arguments of RCPT TO that all mean an address elsewhere, or one that nobody has.

    ``local``@``domain`` exists here; ``address``: the server's own IPv4 address.
    """
    return (
        f"<x@{OUTSIDE}>",
        f"x@{OUTSIDE}",  # no brackets
        "<x@[192.0.2.1]>",  # address literal of another host
        f"<x%{OUTSIDE}@{domain}>",
        f"<x%{OUTSIDE}@[{address}]>",
        f"<x%{OUTSIDE}>",
        f"<x%{OUTSIDE}@{hostname}>",
        f"<{OUTSIDE}!x>",  # bang path
        f"<{OUTSIDE}!x@{domain}>",
        f"<{OUTSIDE}!x@{hostname}>",
        f"<@{domain}:x@{OUTSIDE}>",  # source route (RFC 5321, appendix C)
        f"<@{domain},@{hostname}:x@{OUTSIDE}>",
        f'<"x@{OUTSIDE}">',  # quoted local parts
        f'<"x@{OUTSIDE}"@{domain}>',
        f'<"x%{OUTSIDE}"@{domain}>',
        f"<{local}@{domain}@{OUTSIDE}>",
        f"<x@{OUTSIDE}@{domain}>",
        "<x@localhost>",
        "<x@localhost.localdomain>",
        f"<x@{hostname}>",
        f"<x@[{address}]>",
        "<x@[127.0.0.1]>",
        "<x@[IPv6:::1]>",
    )


#: envelope senders under which they are asked: a stranger's, nobody's, one of our own
def senders(local: str, domain: str) -> tuple[str, ...]:
    """``MAIL FROM`` arguments."""
    return (f"<x@{OUTSIDE}>", "<>", f"<{local}@{domain}>", "<postmaster@localhost>")


def sessions(recipients: Sequence[str], sender: str, helo: str) -> list[list[str]]:
    """Dialogues that ask for each recipient and never send a text."""
    chunks = [recipients[i : i + PER_SESSION] for i in range(0, len(recipients), PER_SESSION)]
    return [[f"EHLO {helo}", f"MAIL FROM:{sender}", *(f"RCPT TO:{r}" for r in chunk), "RSET"] for chunk in chunks]


def judge(asked: Sequence[Sequence[str]], answer: Mapping[str, Any]) -> Verdict:
    """What the answers say. Raises StepFailed when the server did not take part: silence is no refusal."""
    verdict = Verdict()
    for lines, session in zip(asked, answer["sessions"], strict=False):
        replies = session["replies"]
        if not replies or not replies[0].startswith("220"):
            raise StepFailed(f"no greeting: {session['error'] or ''.join(replies)}")
        pairs = list(zip(lines, replies[1:], strict=False))
        ehlo, mail, *rest = pairs if len(pairs) > 1 else [("", ""), ("", "")]
        if not ehlo[1].startswith("250"):
            raise StepFailed(f"EHLO was answered: {ehlo[1] or session['error']}")
        if not mail[1].startswith("250"):
            verdict.note(mail, refused=mail[1].startswith("5"))
            continue
        recipients = [pair for pair in rest if pair[0].startswith("RCPT")]
        if not recipients:
            raise StepFailed(f"the conversation ended before RCPT: {session['error']}")
        for pair in recipients:
            verdict.note(pair, refused=pair[1].startswith("5"))
            verdict.asked += 1
    if not verdict.asked:
        raise StepFailed("no envelope sender was accepted, so no recipient could be tried")
    return verdict


@dataclass
class Verdict:
    """``asked``: recipients really tried. ``open``: lines that were not refused for good, with their answers."""

    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    asked: int = 0

    def note(self, pair: tuple[str, str], *, refused: bool) -> None:
        """One line and its answer."""
        self.sent.append(pair[0])
        self.received.append(pair[1])
        if not refused:
            self.open.append(f"{pair[0]} was answered {pair[1] or 'by hanging up'}")
