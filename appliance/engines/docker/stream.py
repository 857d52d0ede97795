"""A connection that the engine has handed over (attach, exec): bytes in, frames out, always with a deadline.

Frame format: Docker Engine API, "Attach to a container", stream format: one byte (1 stdout, 2 stderr), three zero bytes,
the length as four bytes big-endian, then the payload.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from typing import Any

import requests

from appliance.errors import Unavailable

STDOUT, STDERR = 1, 2
#: what a socket that does not block says when it would
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Stream:
    """Two-way byte stream; ``answer`` is kept because its collection would close the socket."""

    def __init__(self, sock: socket.socket, early: bytes = b"", answer: requests.Response | None = None) -> None:
        self._sock, self._buffer, self._answer = sock, early, answer
        self._sock.setblocking(False)

    @classmethod
    def of(cls, answer: requests.Response) -> Stream:
        """The stream below an HTTP answer, with the bytes that were read ahead together with its head."""
        reader: Any = answer.raw._fp.fp  # type: ignore[union-attr]
        sock: socket.socket = reader.raw._sock
        sock.setblocking(False)
        try:
            ahead = len(reader.peek(1))  # what is buffered; an empty buffer tries one read that does not block
        except ssl.SSLWantReadError:
            ahead = 0
        return cls(sock, reader.read(ahead) if ahead else b"", answer)

    def send(self, data: bytes, deadline: float) -> None:
        """Sends everything before ``deadline`` (time.monotonic); raises TimeoutError, or OSError when the other side is gone."""
        view = memoryview(data)
        while view:
            sent = self.send_some(view)
            if sent == 0:
                self._wait(select.POLLOUT, deadline)
            view = view[sent:]

    def send_some(self, view: memoryview) -> int:
        """Sends what the connection takes at once; 0 when it is full."""
        try:
            return self._sock.send(view[: 1 << 16])
        except NOT_NOW:
            return 0

    def end_input(self) -> None:
        """Tells the program that its stdin is at its end. Raises Unavailable over TLS, which cannot be closed by half."""
        if isinstance(self._sock, ssl.SSLSocket):
            raise Unavailable(
                "a command that reads its stdin cannot run over tcp with TLS", hint="use DOCKER_HOST=ssh://user@host"
            )
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def frame(self, deadline: float) -> tuple[int, bytes] | None:
        """The next (stream, payload), None at the end of the stream; raises TimeoutError at the deadline."""
        while (found := self._cut()) is None:
            if not self._fill(deadline):
                return None
        return found

    def frames(self, deadline: float) -> Iterator[tuple[int, bytes]]:
        """All frames until the end."""
        while (frame := self.frame(deadline)) is not None:
            yield frame

    def fileno(self) -> int:
        """For select."""
        return self._sock.fileno()

    def take(self) -> bool:
        """Reads what is there; False at the end of the stream."""
        return not self.ended()

    def ready_frames(self) -> Iterator[tuple[int, bytes]]:
        """The frames that have arrived whole."""
        while (found := self._cut()) is not None:
            yield found

    def rest(self) -> bytes:
        """What has arrived, of a stream without frames."""
        data, self._buffer = self._buffer, b""
        return data

    def ended(self) -> bool:
        """Whether the other side has closed, as far as can be seen now without waiting."""
        try:
            data = self._sock.recv(1 << 16)
        except NOT_NOW:
            return False
        except OSError:
            return True
        self._buffer += data
        return not data

    def readable(self, seconds: float, *, writable: bool = False) -> tuple[bool, bool]:
        """(something can be read, something can be written), after at most ``seconds``."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | (select.POLLOUT if writable else 0))
        events = dict(poll.poll(max(0.0, seconds) * 1000)).get(self._sock.fileno(), 0)
        return bool(events & ~select.POLLOUT) or len(self._buffer) >= 8, bool(events & select.POLLOUT)

    def close(self) -> None:
        """Closes the connection; a container made with StdinOnce ends then."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        if self._answer is not None:
            self._answer.close()

    def _cut(self) -> tuple[int, bytes] | None:
        if len(self._buffer) < 8:
            return None
        kind, size = struct.unpack(">BxxxL", self._buffer[:8])
        if len(self._buffer) < 8 + size:
            return None
        payload, self._buffer = self._buffer[8 : 8 + size], self._buffer[8 + size :]
        return kind, payload

    def _fill(self, deadline: float) -> bool:
        while True:
            try:
                data = self._sock.recv(1 << 16)
            except NOT_NOW:
                self._wait(select.POLLIN, deadline)
                continue
            except ConnectionResetError:
                return False
            self._buffer += data
            return bool(data)

    def _wait(self, event: int, deadline: float) -> None:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(self._sock, event)
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError
