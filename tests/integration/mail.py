"""A sender and a reader for tests of the running appliance: what was said, what was answered, what is in the mailbox."""

from __future__ import annotations

import base64
import imaplib
import re
import secrets
import smtplib
import ssl
import time
from dataclasses import dataclass

from appliance.dns.wanted import txt_lookup, wanted
from appliance.verify.dkim import signatures
from tests.integration.running import PASSWORDS, Appliance

#: whom nobody knows, and what clients call themselves
STRANGER, CLIENT = "stranger@elsewhere.example", "client.example"


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
    return arrive_as(where, message(ident, STRANGER, to), to, timeout=timeout)


def arrive_as(where: Appliance, data: bytes, to: str, sender: str = STRANGER, timeout: float = 60) -> Answer:
    """A stranger's mail on port 25, byte for byte."""
    return _send(where.ports["smtp"], sender, to, data, timeout=timeout)


def submit(
    where: Appliance, ident: str, to: str = "bob@example.org", login: str = "alice@example.org", timeout: float = 60
) -> Answer:
    """A user's mail on 587."""
    return submit_as(where, message(ident, login, to), to, login, timeout=timeout)


def submit_as(where: Appliance, data: bytes, to: str, login: str, sender: str = "", timeout: float = 60) -> Answer:
    """A user's mail on 587, byte for byte; ``sender``: another spelling of the login's address in the envelope."""
    return _send(where.ports["submission"], sender or login, to, data, login=login, timeout=timeout)


def _send(port: int, sender: str, to: str, data: bytes, *, login: str = "", timeout: float) -> Answer:
    start = time.monotonic()

    def answer(code: int, text: bytes | str) -> Answer:
        words = text.decode(errors="replace") if isinstance(text, bytes) else text
        return Answer(code, words, time.monotonic() - start)

    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=timeout) as client:
            client.ehlo(CLIENT)
            if login:
                code, text = client.docmd("STARTTLS")
                if code != 220:
                    return answer(code, text)
                client.sock = trusting().wrap_socket(client.sock, server_hostname="mail.example.org")  # type: ignore[arg-type]
                client.file = None
                client.ehlo(CLIENT)
                _authenticate(client, login)
            options = () if data.isascii() and f"{sender}{to}".isascii() else ("SMTPUTF8", "BODY=8BITMIME")
            client.sendmail(sender, [to], data, options)
            return answer(250, "")
    except smtplib.SMTPRecipientsRefused as why:
        return answer(*next(iter(why.recipients.values())))
    except smtplib.SMTPResponseException as why:
        return answer(why.smtp_code, why.smtp_error)
    except (OSError, smtplib.SMTPException) as why:
        return answer(0, str(why))


def _authenticate(client: smtplib.SMTP, login: str) -> None:
    """In UTF-8, which smtplib's own login() cannot."""
    words = base64.b64encode(f"\0{login}\0{PASSWORDS[login]}".encode()).decode()
    code, text = client.docmd("AUTH", f"PLAIN {words}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, text)


def imap(where: Appliance, login: str, password: str = "") -> imaplib.IMAP4_SSL:
    """A session on 993 that is logged in."""
    client = imaplib.IMAP4_SSL("127.0.0.1", where.ports["imaps"], ssl_context=trusting(), timeout=30)
    try:
        client.authenticate("PLAIN", lambda _: f"\0{login}\0{password or PASSWORDS[login]}".encode())
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


def begin_idle(client: imaplib.IMAP4_SSL) -> None:
    """IDLE (RFC 2177) on the INBOX."""
    client.select()
    client.send(b"i IDLE\r\n")
    while not client.readline().startswith(b"+"):
        pass


def idle_is_told(client: imaplib.IMAP4_SSL, where: Appliance) -> None:
    """alice's session that is in IDLE is told of a mail that arrives now."""
    assert until_accepted(lambda: arrive(where, f"{time.time_ns()}@tests")).accepted
    line = client.readline()
    while line.startswith(b"* OK Still here"):
        line = client.readline()
    assert re.match(rb"\* \d+ (EXISTS|RECENT)", line), line


def mailbox(where: Appliance, login: str = "alice@example.org") -> dict[str, int]:
    """Message-ID → how often it is in the INBOX."""
    with imap(where, login) as client:
        if client.select(readonly=True)[1] == [b"0"]:
            return {}
        found: dict[str, int] = {}
        for part in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]:
            if isinstance(part, tuple):
                ident = part[1].decode().partition("<")[2].partition(">")[0]
                found[ident] = found.get(ident, 0) + 1
        return found


def read(where: Appliance, search: str, login: str = "alice@example.org", seconds: float = 30) -> bytes:
    """The newest mail that IMAP's SEARCH finds, byte for byte as soon as it is there; ``search`` is ASCII."""
    deadline = time.monotonic() + seconds
    while True:
        with imap(where, login) as client:
            client.select(readonly=True)
            found = client.search(None, search)[1][0].split()
            part = client.fetch(found[-1].decode(), "(BODY.PEEK[])")[1][0] if found else None
        if isinstance(part, tuple):
            return bytes(part[1])
        assert time.monotonic() < deadline, f"no mail with {search} for {login}"
        time.sleep(0.2)


def header(data: bytes) -> bytes:
    """A mail's header."""
    return data.partition(b"\r\n\r\n")[0]


def valid_signatures(where: Appliance, data: bytes) -> list[str]:
    """`d= a=` of each DKIM signature of a mail, sorted; each must verify with the records of `dns records`, and nothing else."""
    spec = where.app.spec()
    found = signatures(data, txt_lookup(wanted(spec, where.app.keys(), (4,), sets=("dkim",))))
    wrong = [str(s) for s in found if not s.valid]
    assert not wrong, wrong
    return sorted(f"{s.domain} {s.algorithm}" for s in found)


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


def fill(where: Appliance, address: str, seconds: float = 60) -> None:
    """Sends until the mailbox is told full at RCPT."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ident = f"{secrets.token_hex(8)}@tests"
        if arrive_as(where, message(ident, STRANGER, address) + b"x" * 70 * 120, address).code == 552:
            return
        time.sleep(0.5)
    raise AssertionError(f"{address} does not become full")
