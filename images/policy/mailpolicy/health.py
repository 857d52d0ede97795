"""Health of both programs: each is asked once, as Postfix asks, with a deadline.

``python3 -I -m mailpolicy.health milter SOCKET PROBE`` goes as far as MAIL, so that the tables are read;
``python3 -I -m mailpolicy.health recipients SOCKET PROBE`` asks for the probe's mailbox; a store that is away is not its illness;
``--wait SECONDS`` before the rest waits for the socket first.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

TIMEOUT = 10
# libmilter's mfdef.h: commands, answers, and version 6 with every action and no protocol step left out
NEGOTIATE, MACRO, MAIL, QUIT, CONTINUE = b"O", b"D", b"M", b"Q", b"c"
VERSION, ACTIONS, STEPS = 6, 0x1FF, 0x1FFFFF


def packet(command: bytes, data: bytes = b"") -> bytes:
    """Length, command, data."""
    return struct.pack("!I", len(data) + 1) + command + data


def strings(*texts: str) -> bytes:
    """NUL-terminated strings."""
    return b"".join(text.encode() + b"\0" for text in texts)


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = connection.recv(size - len(data))
            if not part:
                raise ConnectionResetError("the connection was closed")
            data += part
        return data

    data = exactly(struct.unpack("!I", exactly(4))[0])
    return data[:1], data[1:]


def ask_milter(connection: socket.socket, probe: str) -> None:
    """Negotiates and sends the probe's MAIL as the submission service does. Raises ValueError for another answer than "go on"."""
    connection.sendall(packet(NEGOTIATE, struct.pack("!III", VERSION, ACTIONS, STEPS)))
    command, _ = _receive(connection)
    if command != NEGOTIATE:
        raise ValueError(f"no negotiation: {command!r}")
    macros = b"M" + strings("{daemon_name}", "submission", "{auth_authen}", probe)
    connection.sendall(packet(MACRO, macros) + packet(MAIL, strings(f"<{probe}>")))
    command, data = _receive(connection)
    if command != CONTINUE:
        raise ValueError(f"MAIL of the probe: {command!r} {data!r}")
    connection.sendall(packet(QUIT))


def ask_recipients(connection: socket.socket, probe: str) -> None:
    """One request. Raises ValueError for anything that is no action."""
    connection.sendall(f"request=smtpd_access_policy\nrecipient={probe}\nsize=0\n\n".encode())
    reply = connection.recv(4096)
    if not reply.startswith(b"action=") or not reply.endswith(b"\n\n"):
        raise ValueError(f"no action: {reply!r}")


def main() -> None:
    """Ends with 0 or with the reason."""
    arguments = sys.argv[1:]
    deadline = time.monotonic()
    if arguments[0] == "--wait":
        deadline += float(arguments[1])
        arguments = arguments[2:]
    kind, path, probe = arguments
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(path)
                {"milter": ask_milter, "recipients": ask_recipients}[kind](connection, probe)
            return
        except (FileNotFoundError, ConnectionRefusedError) as why:
            if time.monotonic() >= deadline:
                sys.exit(f"{path}: {why}")
            time.sleep(0.1)
        except (OSError, ValueError) as why:
            sys.exit(f"{path}: {why}")


if __name__ == "__main__":
    main()
