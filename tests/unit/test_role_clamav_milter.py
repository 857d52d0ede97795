"""The milter between Postfix and clamd: spoken to as Postfix does, in front of a clamd that these tests play."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from clamav_milter import QUIET, Session, Settings, listen, serve, settings, verdict

ALL = 0x1FFFFF  # every protocol option that Postfix offers
Answer = Callable[[bytes], bytes | None]


@dataclass
class Clamd:
    """Takes INSTREAM messages, keeps their bytes, answers as ``answer`` says (None: not at all)."""

    path: Path
    answer: Answer = lambda _: b"stream: OK\0"
    messages: list[bytes] = field(default_factory=list)

    def run(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                if stream.read(10) != b"zINSTREAM\0":
                    continue
                message = b""
                while (head := stream.read(4)) and (length := struct.unpack(">I", head)[0]):
                    message += stream.read(length)
                if not head:
                    continue  # the client went away
                self.messages.append(message)
                answer = self.answer(message)
                if answer is None:
                    stream.read(1)  # until the client has had enough
                else:
                    connection.sendall(answer)


@pytest.fixture
def clamd(tmp_path: Path) -> Iterator[Clamd]:
    played = Clamd(tmp_path / "clamd")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(played.path))
        listener.listen()
        thread = threading.Thread(target=played.run, args=(listener,), daemon=True)
        thread.start()
        yield played
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class Postfix:
    """The other end."""

    def __init__(self, scanner: Path, offered: int = ALL, timeout: float = 5) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.thread = threading.Thread(target=Session(theirs, Settings("", str(scanner), timeout)).run, daemon=True)
        self.thread.start()
        self.send(b"O", struct.pack(">III", 6, 0x1FF, offered))
        reply = self.reply()
        assert reply[:1] == b"O"
        self.version, self.actions, self.agreed = struct.unpack(">III", reply[1:])

    def send(self, command: bytes, payload: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">I", len(payload) + 1) + command + payload)

    def reply(self) -> bytes:
        (length,) = struct.unpack(">I", self.exactly(4))
        return self.exactly(length)

    def exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            assert piece, "the milter closed the connection"
            data += piece
        return data

    def message(self, headers: list[tuple[bytes, bytes]], *chunks: bytes, end: bytes = b"") -> bytes:
        self.send(b"D", b"Ei\0004XyZ\0")
        for name, value in headers:
            self.send(b"L", name + b"\0" + value + b"\0")
        self.send(b"N")
        for chunk in chunks:
            self.send(b"B", chunk)
        self.send(b"E", end)
        return self.reply()


HEADERS = [(b"From", b" a@example.org"), (b"Subject", b" one\n\ttwo")]
TEMPFAIL = b"y451 4.7.1 The virus scanner gives no verdict at the moment, try again later\0"


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("stream: OK", ""),
        ("stream: Own.Test-1 FOUND", "550 5.7.1 Message refused: it contains Own.Test-1"),
        ("stream: Odd%s\r\n250 ok FOUND", "550 5.7.1 Message refused: it contains Odds250ok"),
        (
            "stream: Heuristics.Limits.Exceeded.MaxScanSize FOUND",
            "550 5.7.1 Message refused: it could not be scanned completely (Heuristics.Limits.Exceeded.MaxScanSize)",
        ),
        (
            "INSTREAM size limit exceeded. ERROR",
            "550 5.7.1 Message refused: it could not be scanned completely (StreamMaxLength)",
        ),
        (
            "stream: Heuristics.Encrypted.Zip FOUND",
            "550 5.7.1 Message refused: it is encrypted and cannot be scanned (Heuristics.Encrypted.Zip)",
        ),
        (
            "stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND",
            "451 4.7.1 The message could not be scanned in time, try again later",
        ),
        ("stream: Can't allocate memory ERROR", "451"),
        ("INSTREAM: Can't write to temporary file. ERROR", "451"),
        ("UNKNOWN COMMAND", "451"),
        ("", "451"),
        ("stream: OK and more", "451"),
    ],
)
def test_what_clamd_says_is_told_in_its_own_words(said: str, reply: str) -> None:
    assert verdict(said).reply == reply or (len(reply) == 3 and verdict(said).reply.startswith(reply))


def test_the_message_reaches_clamd_whole_and_as_a_mail(clamd: Clamd) -> None:
    assert Postfix(clamd.path).message(HEADERS, b"first\r\n", b"second\r\n", end=b"third\r\n") == b"c"
    (scanned,) = clamd.messages
    assert scanned == b"From clamav-milter\r\nFrom: a@example.org\r\nSubject: one\r\n\ttwo\r\n\r\nfirst\r\nsecond\r\nthird\r\n"


def test_large_messages_pass_in_pieces(clamd: Clamd) -> None:
    chunks = [bytes([n]) * 65535 for n in range(80)]
    assert Postfix(clamd.path).message([], *chunks) == b"c"
    assert clamd.messages[0].endswith(b"".join(chunks))


def test_infected_mail_is_refused_and_the_next_one_passes(clamd: Clamd) -> None:
    clamd.answer = lambda message: b"stream: Own.Test FOUND\0" if b"bad" in message else b"stream: OK\0"
    postfix = Postfix(clamd.path)
    assert postfix.message(HEADERS, b"bad\r\n") == b"y550 5.7.1 Message refused: it contains Own.Test\0"
    assert postfix.message(HEADERS, b"good\r\n") == b"c"
    assert len(clamd.messages) == 2


def test_an_aborted_message_leaves_nothing_to_the_next(clamd: Clamd) -> None:
    postfix = Postfix(clamd.path)
    postfix.send(b"L", b"Subject\0 aborted\0")
    postfix.send(b"A")
    assert postfix.message(HEADERS, b"second\r\n") == b"c"
    assert [b"aborted" in m for m in clamd.messages] == [False]


def test_nothing_is_accepted_without_a_clamd(tmp_path: Path) -> None:
    assert Postfix(tmp_path / "nobody").message(HEADERS, b"x" * 200_000) == TEMPFAIL


@pytest.mark.parametrize("answer", [None, b"", b"stream: O", b"stream: OK", b"garbage\0"], ids=str)
def test_nothing_is_accepted_without_a_whole_answer(clamd: Clamd, answer: bytes | None) -> None:
    clamd.answer = lambda _: answer
    assert Postfix(clamd.path, timeout=0.3).message(HEADERS, b"x\r\n") == TEMPFAIL


def test_a_clamd_that_stops_reading_is_heard(tmp_path: Path) -> None:
    """Over its size limit clamd answers, and closes while we still write."""
    path = tmp_path / "clamd"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"INSTREAM size limit exceeded. ERROR\0")

        threading.Thread(target=refuse, daemon=True).start()
        reply = Postfix(path).message(HEADERS, *[b"x" * 65535] * 40)
    # a reset may swallow the answer: never accepted, whichever of the two
    assert reply == TEMPFAIL or reply.startswith(b"y550 5.7.1 Message refused: it could not be scanned completely")


def test_postfix_is_asked_for_no_more_than_is_needed(clamd: Clamd) -> None:
    postfix = Postfix(clamd.path)
    assert (postfix.version, postfix.actions, postfix.agreed) == (6, 0, QUIET)


def test_an_mta_that_knows_no_options_gets_its_answers(clamd: Clamd) -> None:
    postfix = Postfix(clamd.path, offered=0)
    for command, payload in [
        (b"C", b"host\0U"),
        (b"H", b"helo\0"),
        (b"M", b"<a@example.org>\0"),
        (b"R", b"<b@example.org>\0"),
        (b"L", b"Subject\0x\0"),
        (b"N", b""),
        (b"B", b"body\r\n"),
        (b"E", b""),
    ]:
        postfix.send(command, payload)
        assert postfix.reply() == b"c", command
    assert clamd.messages == [b"From clamav-milter\r\nSubject: x\r\n\r\nbody\r\n"]


@pytest.mark.parametrize(
    "garbage",
    [struct.pack(">I", 0), struct.pack(">I", 2**30), struct.pack(">I", 5) + b"Oabcd", struct.pack(">I", 4) + b"Labc"],
    ids=["empty", "huge", "short negotiation", "header without a value"],
)
def test_garbage_ends_the_connection_and_not_the_milter(tmp_path: Path, garbage: bytes) -> None:
    config = tmp_path / "conf"
    config.write_text(f"socket {tmp_path}/s\nscanner {tmp_path}/c\ntimeout 1\n")
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs, str(config)))
    thread.start()
    ours.sendall(garbage)
    ours.settimeout(5)
    assert ours.recv(1) == b""
    thread.join(5)
    assert not thread.is_alive()


def test_the_socket_is_for_owner_and_group_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "milter.sock"
    for _ in range(2):
        with closing(listen(str(path))):
            assert path.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "text", ["", "socket a\nscanner b\n", "socket a\nscanner b\ntimeout 1\nmore c\n", "socket a\nscanner b\ntimeout x\n"]
)
def test_settings_are_complete_or_refused(tmp_path: Path, text: str) -> None:
    config = tmp_path / "conf"
    config.write_text(text)
    with pytest.raises(ValueError, match=r"names|float"):
        settings(str(config))
