"""The milter between Postfix and clamd.

Postfix sends a message when it has it whole; it is passed on to clamd as it comes (INSTREAM, clamd(8)), so no copy of it is here.
Infected: 550. Not scanned completely, or encrypted where that is refused: 550 in other words. No verdict, for any reason: 451.

The milter protocol is spoken as Postfix speaks it (version 6, https://www.postfix.org/MILTER_README.html): a length of four
bytes, one letter, the payload. Only headers, body and the ends are asked for, and only the end is answered.

Usage: clamav_milter.py CONFIG. The file has lines ``name value`` (see ``Settings``) and is read anew for each connection.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

# SMFIP_*: what we ask not to be sent (connect, helo, mail, rcpt, unknown, data) and not to answer (header, end of headers, body);
# and that header values keep the space after the colon.
QUIET = 0x1 | 0x2 | 0x4 | 0x8 | 0x100 | 0x200 | 0x80 | 0x40000 | 0x80000 | 0x100000
#: commands that get no answer when the flag was agreed on
UNANSWERED = {b"L": 0x80, b"N": 0x40000, b"B": 0x80000}
#: no packet of Postfix is larger (MILTER_CHUNK_SIZE is 65535)
PACKET_LIMIT = 2**20

# Names of what clamd says where it found no virus; the first that fits counts.
#: a limit of time depends on how busy the machine is: another day it may hold
TOO_SLOW = "Heuristics.Limits.Exceeded.MaxScanTime"
LIMITS = "Heuristics.Limits.Exceeded"
ENCRYPTED = "Heuristics.Encrypted"


@dataclass(frozen=True)
class Settings:
    """``socket``: where Postfix finds us. ``scanner``: clamd's socket. ``timeout``: seconds for clamd's verdict."""

    socket: str
    scanner: str
    timeout: float


def settings(path: str) -> Settings:
    """The settings in a file; raises ValueError when one is missing or unknown."""
    lines = (line.split(None, 1) for line in Path(path).read_text().splitlines() if line.strip() and not line.startswith("#"))
    said = {name: value.strip() for name, value in lines}
    if set(said) != {"socket", "scanner", "timeout"}:
        raise ValueError(f"{path} must name socket, scanner and timeout, and names {', '.join(sorted(said)) or 'nothing'}")
    return Settings(said["socket"], said["scanner"], float(said["timeout"]))


@dataclass(frozen=True)
class Verdict:
    """``reply``: the SMTP answer, empty when the message may pass. ``why``: for the log."""

    reply: str
    why: str


CLEAN = Verdict("", "")


def failed(why: str) -> Verdict:
    """No verdict: the message is not accepted now."""
    return Verdict("451 4.7.1 The virus scanner gives no verdict at the moment, try again later", why)


def incomplete(name: str) -> Verdict:
    """Nothing was found in what was scanned, and not everything was."""
    return Verdict(f"550 5.7.1 Message refused: it could not be scanned completely ({name})", f"not scanned completely: {name}")


def verdict(answer: str) -> Verdict:
    """What clamd's answer to INSTREAM means for the message."""
    if answer == "stream: OK":
        return CLEAN
    if "size limit exceeded" in answer:
        return incomplete("StreamMaxLength")
    if not (answer.startswith("stream: ") and answer.endswith(" FOUND")):
        return failed(f"the scanner says: {answer!r}")
    name = "".join(c for c in answer[8:-6] if c.isascii() and (c.isalnum() or c in "._-"))
    if name.startswith(TOO_SLOW):
        return Verdict("451 4.7.1 The message could not be scanned in time, try again later", f"not scanned in time: {name}")
    if name.startswith(LIMITS):
        return incomplete(name)
    if name.startswith(ENCRYPTED):
        return Verdict(f"550 5.7.1 Message refused: it is encrypted and cannot be scanned ({name})", f"encrypted: {name}")
    return Verdict(f"550 5.7.1 Message refused: it contains {name}", f"contains {name}")


class Scan:
    """One message on its way to clamd."""

    def __init__(self, scanner: str, timeout: float) -> None:
        """Connects. Failures are kept for the verdict: headers and body have no answer that could carry them."""
        self._broken = ""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(scanner)
            # the mbox line makes clamd take what follows for a mail, whatever its first header is
            self._socket.sendall(b"zINSTREAM\0")
            self.write(b"From clamav-milter\r\n")
        except OSError as why:
            self._broken = f"the scanner cannot be reached: {why}"

    def write(self, data: bytes | memoryview) -> None:
        """Passes a piece on. After a failure nothing more is sent: clamd may have said already why it closes."""
        if self._broken or not data:
            return
        try:
            self._socket.sendall(struct.pack(">I", len(data)))
            self._socket.sendall(data)
        except OSError as why:
            self._broken = f"the scanner stopped reading: {why}"

    def verdict(self) -> Verdict:
        """Ends the message and waits for clamd's word."""
        try:
            if not self._broken:
                self._socket.sendall(struct.pack(">I", 0))
            answer = b""
            while not answer.endswith(b"\0") and len(answer) < 4096 and (piece := self._socket.recv(4096)):
                answer += piece
        except OSError as why:
            return failed(self._broken or f"the scanner does not answer: {why}")
        if not answer.endswith(b"\0"):
            return failed(self._broken or "the scanner closed the connection without a verdict")
        return verdict(answer[:-1].decode("utf-8", "replace"))

    def close(self) -> None:
        """Lets go; clamd forgets an unfinished stream."""
        self._socket.close()


class Session:
    """One connection of Postfix, with any number of messages."""

    def __init__(self, connection: socket.socket, chosen: Settings) -> None:
        self._connection = connection
        self._settings = chosen
        self._agreed = 0
        self._queue_id = "?"
        self._scan: Scan | None = None

    def run(self) -> None:
        """Until Postfix quits. What breaks ends the connection, and Postfix answers 4xx (milter_default_action = tempfail)."""
        try:
            while (packet := self._packet()) is not None:
                command, payload = packet
                if command == b"Q":
                    break
                reply = self._handle(command, payload)
                if reply:
                    self._connection.sendall(struct.pack(">I", len(reply)) + reply)
        finally:
            self._reset()
            self._connection.close()

    def _packet(self) -> tuple[bytes, memoryview] | None:
        head = self._read(4)
        if head is None:
            return None
        length: int = struct.unpack(">I", head)[0]
        if not 1 <= length <= PACKET_LIMIT:
            raise ValueError(f"a packet of {length} bytes")
        body = self._read(length)
        if body is None:
            return None
        return bytes(body[:1]), memoryview(body)[1:]

    def _read(self, length: int) -> bytearray | None:
        """Exactly so many bytes, None when Postfix has gone."""
        buffer = bytearray(length)
        view, have = memoryview(buffer), 0
        while have < length:
            got = self._connection.recv_into(view[have:])
            if not got:
                return None
            have += got
        return buffer

    def _handle(self, command: bytes, payload: memoryview) -> bytes:
        """The answer to one command, empty for none."""
        if command == b"O":
            version, _, offered = struct.unpack(">III", payload[:12])
            self._agreed = QUIET & offered
            return b"O" + struct.pack(">III", min(6, version), 0, self._agreed)
        if command == b"E":
            return self._end(payload)
        if command == b"D":
            self._macros(bytes(payload[1:]))
        elif command == b"L":
            name, value = bytes(payload).split(b"\0")[:2]
            space = b"" if self._agreed & 0x100000 else b" "
            self._message().write(name + b":" + space + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n")
        elif command == b"N":
            self._message().write(b"\r\n")
        elif command == b"B":
            self._message().write(payload)
        elif command in (b"A", b"K"):
            self._reset()
        silent = command in (b"A", b"D", b"K") or bool(UNANSWERED.get(command, 0) & self._agreed)
        return b"" if silent else b"c"

    def _end(self, payload: memoryview) -> bytes:
        scan = self._message()
        scan.write(payload)
        found = scan.verdict()
        self._reset()
        if found.why:
            print(f"{self._queue_id}: {found.reply[:3]}: {found.why}", flush=True)
        return b"y" + found.reply.encode() + b"\0" if found.reply else b"c"

    def _macros(self, text: bytes) -> None:
        pairs = text.split(b"\0")
        for name, value in zip(pairs[::2], pairs[1::2], strict=False):
            if name in (b"i", b"{i}"):
                self._queue_id = value.decode("ascii", "replace")

    def _message(self) -> Scan:
        if self._scan is None:
            self._scan = Scan(self._settings.scanner, self._settings.timeout)
        return self._scan

    def _reset(self) -> None:
        if self._scan:
            self._scan.close()
        self._scan = None


def serve(connection: socket.socket, config: str) -> None:
    """One connection in its own thread."""
    try:
        Session(connection, settings(config)).run()
    except (OSError, ValueError, struct.error) as why:
        print(f"a connection ended: {why}", flush=True)
        connection.close()


def listen(path: str) -> socket.socket:
    """The socket at a path, also where a killed predecessor left its own. Postfix is in the folder's group (2770)."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o117)
    listener.bind(path)
    os.umask(before)
    listener.listen(256)
    return listener


def main(config: str) -> None:
    """Serves until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.stack_size(2**18)
    listener = listen(settings(config).socket)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, config), daemon=True).start()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, ValueError) as why:
        sys.exit(str(why))
