"""A raw line client: exact bytes out, exact lines in, everything written down. The protocols' libraries hide too much for that.

Nothing here retries, sleeps or interprets; a deadline ends every wait.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

T = TypeVar("T")
MAX_LINE = 65536  # octets; every protocol here has far shorter lines (RFC 5321, 4.5.3.1)


class WireError(Exception):
    """The connection could not be made, broke, or stayed silent; the text says which."""


@dataclass(frozen=True)
class Deadline:
    """A moment of the monotonic clock at which patience ends."""

    end: float

    @classmethod
    def within(cls, seconds: float) -> Self:
        """A deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left; raises WireError when there are none."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise WireError("no answer in time")
        return left

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return time.monotonic() >= self.end


@dataclass
class Transcript:
    """A conversation as it was seen: ``> `` we, ``< `` they, ``# `` a remark."""

    lines: list[str] = field(default_factory=list)

    def sent(self, text: str) -> None:
        """What we said."""
        self.lines.append(f"> {text}")

    def received(self, text: str) -> None:
        """What they said."""
        self.lines.append(f"< {text}")

    def remark(self, text: str) -> None:
        """What happened beside the words."""
        self.lines.append(f"# {text}")


def tls_context(legacy: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A context that accepts every certificate: the step ``certificate`` judges it, the others must not hide behind it.

    ``legacy`` offers nothing newer than that version (to see it refused).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if legacy is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = legacy
    return context


class Wire:
    """One connection. ``name`` is the server name of TLS (SNI)."""

    def __init__(
        self, host: str, port: int, deadline: Deadline, transcript: Transcript, *, tls: bool = False, name: str = ""
    ) -> None:
        self.deadline, self.transcript, self.name = deadline, transcript, name or host
        self.buffer = b""
        self.secure: ssl.SSLSocket | None = None
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        transcript.remark(f"connect {where}{' (TLS)' if tls else ''}")
        self.socket = self._guard(
            lambda: socket.create_connection((host, port), timeout=deadline.left()), f"no connection to {where}"
        )
        # one small write per line, answered one by one: without this each waits for the last one's acknowledgement (RFC 896)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.start_tls()

    def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        """The TLS handshake. What came in the clear before it is kept apart: the caller may look (STARTTLS injection)."""
        wrapped = self._guard(
            lambda: (context or tls_context()).wrap_socket(self.socket, server_hostname=self.name), "TLS handshake failed"
        )
        self.socket = self.secure = wrapped
        cipher = wrapped.cipher()
        self.transcript.remark(f"{wrapped.version()} {cipher[0] if cipher else ''}")

    def certificate(self) -> bytes:
        """The server's certificate, DER."""
        der = self.secure.getpeercert(binary_form=True) if self.secure else None
        if not der:
            raise WireError("the server showed no certificate")
        return der

    def send(self, data: bytes, shown: str | None = None) -> None:
        """Sends exactly these bytes; ``shown`` stands in the transcript instead (secrets, bulk)."""
        self.transcript.sent(
            shown if shown is not None else data.decode("utf-8", "backslashreplace").rstrip("\r\n").replace("\r\n", "\\r\\n")
        )
        self._guard(lambda: self.socket.sendall(data), "the connection broke while we sent")

    def line(self) -> str:
        """One line, without its end."""
        while b"\n" not in self.buffer:
            if len(self.buffer) > MAX_LINE:
                raise WireError("the server's line has no end")
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        text = line.rstrip(b"\r").decode("utf-8", "backslashreplace")
        self.transcript.received(text)
        return text

    def octets(self, count: int) -> bytes:
        """Exactly that many octets (an IMAP literal)."""
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        self.transcript.received(f"[{count} octets]")
        return data

    def until_closed(self) -> list[str]:
        """All remaining lines until the server closes."""
        lines: list[str] = []
        try:
            while True:
                lines.append(self.line())
        except WireError:
            return lines

    def close(self) -> None:
        """Closes without a word."""
        with contextlib.suppress(OSError):
            self.socket.close()

    def _more(self) -> None:
        data = self._guard(lambda: self.socket.recv(65536), "the connection broke while we waited")
        if not data:
            raise WireError("the server closed the connection")
        self.buffer += data

    def _guard(self, action: Callable[[], T], what: str) -> T:
        """Carries out one socket operation before the deadline; every failure is a WireError with a sentence."""
        if hasattr(self, "socket"):
            self.socket.settimeout(self.deadline.left())
        try:
            return action()
        except TimeoutError:
            raise WireError(f"{what}: no answer in time") from None
        except (OSError, ssl.SSLError) as why:
            raise WireError(f"{what}: {why.strerror or why}") from why
