"""A sender and a reader for tests of the running appliance: what was said, what was answered, what is in the mailbox."""

from __future__ import annotations

import imaplib
import smtplib
import ssl
import time
from dataclasses import dataclass

from tests.integration.running import PASSWORDS, Appliance


@dataclass(frozen=True)
class Answer:
    """How a sending ended: the SMTP code and text of the last answer; 0 when the connection was closed without a word."""

    code: int
    text: str
    seconds: float

    @property
    def accepted(self) -> bool:
        """Whether the mail is now the appliance's responsibility (RFC 5321, 4.2.5)."""
        return self.code == 250

    @property
    def later(self) -> bool:
        """Whether the sender keeps it and tries again."""
        return self.code == 0 or 400 <= self.code < 500


def trusting() -> ssl.SSLContext:
    """TLS without a look at the certificate, which is self-signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def message(ident: str, sender: str, to: str) -> bytes:
    """A small mail with a Message-ID of its own."""
    return f"From: {sender}\r\nTo: {to}\r\nSubject: test\r\nMessage-ID: <{ident}>\r\n\r\nhello\r\n".encode()


def arrive(where: Appliance, ident: str, to: str = "alice@example.org", timeout: float = 60) -> Answer:
    """A stranger's mail on port 25."""
    return _send(where.ports["smtp"], "stranger@elsewhere.example", to, ident, login="", timeout=timeout)


def submit(
    where: Appliance, ident: str, to: str = "bob@example.org", login: str = "alice@example.org", timeout: float = 60
) -> Answer:
    """A user's mail on 587."""
    return _send(where.ports["submission"], login, to, ident, login=login, timeout=timeout)


def _send(port: int, sender: str, to: str, ident: str, *, login: str, timeout: float) -> Answer:
    start = time.monotonic()

    def answer(code: int, text: bytes | str) -> Answer:
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return Answer(code, words, time.monotonic() - start)

    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=timeout) as client:
            client.ehlo("client.example")
            if login:
                code, text = client.docmd("STARTTLS")
                if code != 220:
                    return answer(code, text)
                client.sock = trusting().wrap_socket(client.sock, server_hostname="mail.example.org")  # type: ignore[arg-type]
                client.file = None
                client.ehlo("client.example")
                client.login(login, PASSWORDS[login])
            client.sendmail(sender, [to], message(ident, sender, to))
            return answer(250, "")
    except smtplib.SMTPRecipientsRefused as why:
        return answer(*next(iter(why.recipients.values())))
    except smtplib.SMTPResponseException as why:
        return answer(why.smtp_code, why.smtp_error)
    except (OSError, smtplib.SMTPException) as why:
        return answer(0, str(why))


def mailbox(where: Appliance, login: str = "alice@example.org") -> dict[str, int]:
    """Message-ID → how often it is in the INBOX."""
    with imaplib.IMAP4_SSL("127.0.0.1", where.ports["imaps"], ssl_context=trusting(), timeout=30) as client:
        client.login(login, PASSWORDS[login])
        client.select(readonly=True)
        found: dict[str, int] = {}
        for part in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]:
            if isinstance(part, tuple):
                ident = part[1].decode().partition("<")[2].partition(">")[0]
                found[ident] = found.get(ident, 0) + 1
        return found


def wait_for(where: Appliance, idents: set[str], login: str = "alice@example.org", seconds: float = 60) -> dict[str, int]:
    """The mailbox as soon as all of them are in it; after the deadline as it is then. The queue is asked to try at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = mailbox(where, login)
        except (OSError, imaplib.IMAP4.error):
            found = {}
        if idents <= set(found) or time.monotonic() > deadline:
            return found
        where.engine.exec(where.name, "postfix", ("postqueue", "-f"))
        time.sleep(0.5)


def until_accepted(send: object, *, seconds: float = 60) -> Answer:
    """Repeats a sending until it is accepted; the last answer after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        answer: Answer = send()  # type: ignore[operator]
        if answer.accepted or time.monotonic() > deadline:
            return answer
        time.sleep(0.3)
