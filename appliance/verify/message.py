"""The probe's messages: small, complete (RFC 5322, 3.6) and marked with the run that they belong to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid

MARK = "X-Appliance-Probe"


@dataclass(frozen=True)
class Message:
    """A message as it is sent: CRLF line ends, dots not yet doubled."""

    id: str
    data: bytes


def compose(
    run_id: str,
    subject: str,
    sender: str,
    recipient: str,
    *,
    domain: str,
    body: str = "This is a probe of the mail system itself. It is removed when the verification ends.\n",
    cte: str = "7bit",
    attachment: bytes | None = None,
    name: str = "probe.bin",
    extra: tuple[tuple[str, str], ...] = (),
) -> Message:
    """A message of the probe. ``sender`` is the From field's text, empty for a message without one."""
    mail = EmailMessage(policy=SMTP.clone(max_line_length=900))
    mail["Date"] = format_datetime(localtime())
    if sender:
        mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = subject
    mail["Message-ID"] = message_id = make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation answers a probe
    mail[MARK] = run_id
    for name, value in extra:
        mail[name] = value
    mail.set_content(body, cte=cte)
    if attachment is not None:
        mail.add_attachment(attachment, maintype="application", subtype="octet-stream", filename=name)
    return Message(message_id, mail.as_bytes())


def noise(seed: str, size: int) -> bytes:
    """Bytes of every value that follow from the seed: nothing on the way can compress, guess or keep them by luck."""
    return hashlib.shake_256(seed.encode()).digest(size)


def eicar() -> bytes:
    """The EICAR test file, put together when it is needed: no file of ours may trip a scanner (eicar.org, "Intended use")."""
    return b"".join((b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-", b"ANTIVIRUS-TEST-", b"FILE!$H+H*"))
