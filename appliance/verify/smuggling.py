"""Ends of DATA that are none: sequences which some servers take for CRLF.CRLF and others do not (CVE-2023-51764 and kin)."""

from __future__ import annotations

from appliance.verify.message import Message
from appliance.verify.registry import StepFailed
from appliance.verify.smtp import Reply, Smtp
from appliance.verify.wire import WireError

SEQUENCES: tuple[bytes, ...] = (
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
)
MARK = "X-Appliance-Smuggled"


def payload(made: Message, sequence: bytes, sender: str, recipient: str, mark: str) -> bytes:
    """The message, the false end, and a second transaction that must stay text. ``mark``: how it is found if it does not."""
    second = (
        f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: smuggled\r\n{MARK}: {mark}\r\n\r\nThis must not be a message."
    )
    return made.data.removesuffix(b"\r\n") + sequence + second.encode()


def by_data(session: Smtp, text: bytes, sequence: bytes) -> Reply:
    """Sends the payload after DATA's 354; returns the one answer. Raises StepFailed when there is more than one."""
    session.send(text + b"\r\n.\r\n", shown=f"[{len(text)} octets that hold {sequence!r} and a second transaction] .")
    return only_answer(session, sequence)


def by_bdat(session: Smtp, text: bytes, sequence: bytes) -> Reply:
    """The same as one last chunk (RFC 3030): its length alone says where it ends."""
    session.send(f"BDAT {len(text)} LAST\r\n".encode() + text, shown=f"BDAT {len(text)} LAST [text that holds {sequence!r}]")
    return only_answer(session, sequence)


def only_answer(session: Smtp, sequence: bytes) -> Reply:
    """The answer; QUIT, and nothing but its 221 (or a hang-up) may follow."""
    answer = session.reply()
    try:
        session.send(b"QUIT\r\n")
    except WireError:
        return answer
    more = [line for line in session.until_closed() if not line.startswith(("221", "421"))]
    if more:
        raise StepFailed(f"{sequence!r} ended the message early: {answer} was followed by {' | '.join(more[:4])}")
    return answer
