"""What the mail store says of its mailboxes, and the one answer that follows for a recipient."""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Sequence

from mailpolicy.tables import Addresses

#: seconds for one answer of the store
TIMEOUT = 5
#: connections to the store that are kept; each is a process there
KEPT = 4

UNKNOWN = "451 4.3.0 Mailbox status is not known at the moment, try again later"
FULL = "552 5.2.2 Mailbox is full"
PARTLY_FULL = "452 4.2.2 A mailbox behind this address is full, try again later"


def reached(recipient: str, members: Addresses, delimiter: str = "+") -> tuple[str, ...]:
    """The mailboxes behind a recipient: the address itself, without its extension, then the domain's catch-all (Postfix's order).

    An address that is known and reaches no mailbox here has none.
    """
    local, at, domain = recipient.rpartition("@")
    for key in (recipient, f"{local.partition(delimiter)[0]}{at}{domain}", f"@{domain}"):
        if key in members:
            return members[key]
    return ()


def answer(full: Sequence[bool]) -> str:
    """Postfix's action: 552 where nobody could get the mail, 452 where somebody could not (a later bounce is backscatter)."""
    if not any(full):
        return "DUNNO"
    return FULL if all(full) else PARTLY_FULL


class Store:
    """The mail store's own policy socket, asked for one mailbox at a time over a few connections that stay open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._idle: queue.LifoQueue[socket.socket] = queue.LifoQueue()
        self._busy = threading.BoundedSemaphore(KEPT)

    def full(self, mailbox: str, size: str) -> bool:
        """Whether a mail of that size (bytes, as text) does not fit. Raises OSError or ValueError where that is not known."""
        if "\n" in mailbox or not size.isascii() or not size.isdecimal():
            raise ValueError("not a mailbox and a size")
        request = f"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient={mailbox}\nsize={size}\n\n".encode()
        if not self._busy.acquire(timeout=TIMEOUT):
            raise TimeoutError("the mail store is busy")
        try:
            return meaning(self._ask(request))
        finally:
            self._busy.release()

    def _ask(self, request: bytes) -> str:
        try:
            kept = self._idle.get_nowait()
        except queue.Empty:
            return self._exchange(self._connect(), request)
        try:
            return self._exchange(kept, request)
        except (ConnectionError, EOFError):
            # the store was restarted while the connection slept; a second failure is one
            return self._exchange(self._connect(), request)

    def _connect(self) -> socket.socket:
        new = socket.socket(socket.AF_UNIX)
        new.settimeout(TIMEOUT)
        try:
            new.connect(self.path)
        except OSError:
            new.close()
            raise
        return new

    def _exchange(self, connection: socket.socket, request: bytes) -> str:
        """One question; the connection is kept only after a whole answer."""
        whole = b""
        try:
            connection.sendall(request)
            while not whole.endswith(b"\n\n"):
                part = connection.recv(4096)
                if not part:
                    raise ConnectionResetError("the mail store closed the connection")
                whole += part
                if len(whole) > 4096:
                    raise ValueError("an endless answer of the mail store")
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        return whole.decode("utf-8", "replace")


def meaning(reply: str) -> bool:
    """Whether the store's answer means full. Raises ValueError for any answer that is neither that nor "there is room"."""
    match = re.fullmatch(r"action=(\S+)([^\n]*)\n\n", reply)
    if match:
        if match[1].upper() in ("DUNNO", "OK"):
            return False
        if match[1] in ("552", "452") or re.match(r" [45]\.2\.2\b", match[2]):
            return True
    raise ValueError(f"the mail store answered {reply.strip()!a}")
