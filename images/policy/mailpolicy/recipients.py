"""Can a recipient take mail? A policy server for Postfix (https://www.postfix.org/SMTPD_POLICY_README.html).

The mail store knows its mailboxes and no aliases; this server expands aliases, catch-alls and extensions to the mailboxes behind
them and asks the store for each. It says DUNNO or 4xx or 552, and never OK: Postfix's own tables decide who exists.

``python3 -I -m mailpolicy.recipients SOCKET MEMBERS [STORE]`` — without STORE nobody knows, and the answer is DUNNO.
"""

from __future__ import annotations

import os
import signal
import socketserver
import sys
from pathlib import Path
from typing import BinaryIO

from mailpolicy.mailboxes import normal
from mailpolicy.status import UNKNOWN, Store, answer, reached
from mailpolicy.tables import Addresses, Table, addresses

#: longest request that is read, in bytes
LONGEST = 64 * 1024


def read(stream: BinaryIO) -> dict[str, str] | None:
    """One request, None at the end of the connection. Raises ValueError for anything that is not one."""
    found: dict[str, str] = {}
    size = 0
    while True:
        line = stream.readline(LONGEST)
        size += len(line)
        if not line and not found:
            return None
        if not line.endswith(b"\n") or size > LONGEST:
            raise ValueError("a request without an end")
        if line == b"\n":
            return found
        name, equal, value = line[:-1].decode("utf-8").partition("=")
        if not equal:
            raise ValueError("a line without =")
        found[name] = value


class Server(socketserver.ThreadingUnixStreamServer):
    """One thread for each of Postfix's processes; they keep their connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, members: Table[Addresses], store: Store | None) -> None:
        self.members, self.store = members, store
        super().__init__(path, Handler)

    def decide(self, request: dict[str, str]) -> str:
        """The action for one request; whatever goes wrong is 451."""
        try:
            if request.get("request") != "smtpd_access_policy":
                raise ValueError("not a request of Postfix's smtpd")
            if self.store is None:
                return "DUNNO"
            mailboxes = reached(normal(request["recipient"]), self.members.get())
            return answer([self.store.full(mailbox, request.get("size", "0")) for mailbox in mailboxes])
        except (OSError, ValueError, KeyError) as why:
            print(f"recipient={request.get('recipient', '')!a} {UNKNOWN}: {why}", flush=True)
            return UNKNOWN


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        """Requests one after the other, until the client goes or says what is no request."""
        while True:
            try:
                request = read(self.rfile)  # type: ignore[arg-type]  # a buffered reader
                if request is None:
                    return
                action = self.server.decide(request)
            except ValueError as why:
                print(f"not a request: {why}", flush=True)
                self.wfile.write(f"action={UNKNOWN}\n\n".encode())
                return
            self.wfile.write(f"action={action}\n\n".encode())


def main() -> None:
    """Runs until it is stopped."""
    path, members_path, *store = sys.argv[1:]
    members = Table(members_path, addresses)
    members.get()  # a file that cannot be read is said at start
    Path(path).unlink(missing_ok=True)
    os.umask(0o007)  # the socket is for its group
    # the kernel gives PID 1 no default action
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server(path, members, Store(store[0]) if store else None) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
