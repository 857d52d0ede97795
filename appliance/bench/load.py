"""A load of mail: sessions side by side that submit over TLS or send to port 25, and the time of every answer.

Blocking sockets and a thread each: Python's lock is free while a thread waits or encrypts. Commands are sent together where
RFC 2920 allows it, so that the server's work is measured and not the journey.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import secrets
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """What is sent. ``size``: octets of a message; ``per_session``: messages before a client connects anew.

    ``login`` and ``password`` submit (AUTH PLAIN, RFC 4954) over STARTTLS; without them mail goes in as a stranger's, in
    plain. Each message has one recipient, taken in turn. ``seconds``: patience with one answer.
    """

    host: str
    port: int
    recipients: Sequence[str]
    messages: int
    sender: str = "bench@sender.invalid"
    login: str = ""
    password: str = ""
    sessions: int = 1
    per_session: int = 100
    size: int = 2048
    pause: float = 0.0
    seconds: float = 120


@dataclass(frozen=True)
class Sent:
    """One message that was answered 250. Seconds since the epoch: ``began`` with MAIL FROM, ``given`` when the last octet was
    written, ``answered`` when 250 came."""

    ident: str
    recipient: str
    began: float
    given: float
    answered: float


@dataclass
class Outcome:
    """``accepted`` in the order of their answers; ``refused``: answer → how often; ``began``: of the first connection."""

    began: float
    accepted: list[Sent] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """From the first connection to the last answer 250."""
        return max((s.answered for s in self.accepted), default=self.began) - self.began


class Refusal(Exception):
    """An answer that ends a message, in the server's words."""


def run(load: Load) -> Outcome:
    """Sends all of it. What was refused is counted and not sent again."""
    outcome, turn, lock = Outcome(time.time()), itertools.count(), threading.Lock()

    def numbers() -> Iterator[int]:
        while (number := next(turn)) < load.messages:
            yield number

    def work() -> None:
        todo = numbers()
        while (number := next(todo, None)) is not None:
            with contextlib.suppress(_Over):
                _session(load, outcome, lock, itertools.islice(itertools.chain([number], todo), load.per_session))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(load.sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


class _Over(Exception):
    """The connection is of no more use."""


def _session(load: Load, outcome: Outcome, lock: threading.Lock, numbers: Iterator[int]) -> None:
    number: int | None = None
    client: Client | None = None
    try:
        for number in numbers:
            client = client or Client(load)
            try:
                sent = client.send(load, load.recipients[number % len(load.recipients)])
            except Refusal as why:
                with lock:
                    outcome.refused[str(why)] += 1
                client.reset()
            else:
                with lock:
                    outcome.accepted.append(sent)
            if load.pause:
                time.sleep(load.pause)
    except (OSError, EOFError, Refusal) as why:
        with lock:
            outcome.refused[f"{type(why).__name__}: {why}"] += number is not None
        raise _Over from None
    finally:
        if client:
            client.close()


class Client:
    """One SMTP session, ready to send."""

    def __init__(self, load: Load) -> None:
        self.socket: socket.socket = socket.create_connection((load.host, load.port), timeout=load.seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")
        self._answer(b"220")
        self._say(b"EHLO bench.invalid\r\n", b"250")
        if load.login:
            self._say(b"STARTTLS\r\n", b"220")
            # what is measured is our own server, by its address
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
            self.lines = self.socket.makefile("rb")
            self._say(b"EHLO bench.invalid\r\n", b"250")
            secret = base64.b64encode(f"\0{load.login}\0{load.password}".encode())
            self._say(b"AUTH PLAIN " + secret + b"\r\n", b"235")

    def send(self, load: Load, recipient: str) -> Sent:
        """One message. Raises Refusal for another answer than 250, OSError or EOFError when the connection ends."""
        ident = f"{secrets.token_hex(8)}@bench.invalid"
        body = message(ident, load.sender, recipient, load.size)
        began = time.time()
        self.socket.sendall(f"MAIL FROM:<{load.sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        wrong = [a for a in (self._read(), self._read()) if not a.startswith(b"250")]
        ready = self._read()
        if wrong:
            if ready.startswith(b"354"):
                self.socket.sendall(b".\r\n")
                self._read()
            raise Refusal(wrong[0].decode(errors="replace"))
        if not ready.startswith(b"354"):
            raise Refusal(ready.decode(errors="replace"))
        self.socket.sendall(body)
        given = time.time()
        self._answer(b"250")
        return Sent(ident, recipient, began, given, time.time())

    def reset(self) -> None:
        """RSET, whatever is answered."""
        self.socket.sendall(b"RSET\r\n")
        self._read()

    def close(self) -> None:
        """QUIT, without waiting for an answer."""
        with contextlib.suppress(OSError):
            self.socket.sendall(b"QUIT\r\n")
            self.socket.close()

    def _say(self, command: bytes, wanted: bytes) -> None:
        self.socket.sendall(command)
        self._answer(wanted)

    def _answer(self, wanted: bytes) -> None:
        answer = self._read()
        if not answer.startswith(wanted):
            raise Refusal(answer.decode(errors="replace"))

    def _read(self) -> bytes:
        """The last line of an answer (RFC 5321, 4.2.1)."""
        while True:
            line = self.lines.readline()
            if not line:
                raise EOFError("the connection was closed")
            if line[3:4] != b"-":
                return line.rstrip(b"\r\n")


#: a line of text as mail has it; scanners and signers read all of it
_LINE = b"The quick brown fox jumps over the lazy dog, and nobody has ever asked why it does.\r\n"


def message(ident: str, sender: str, recipient: str, size: int) -> bytes:
    """A message of ``size`` octets, its end of data included in what is returned."""
    head = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: bench {ident[:16]}\r\nMessage-ID: <{ident}>\r\n"
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n\r\n"
    ).encode()
    lines, rest = divmod(max(size - len(head), 0), len(_LINE))
    return head + _LINE * lines + (b"x" * (rest - 2) + b"\r\n" if rest >= 2 else b"") + b".\r\n"
