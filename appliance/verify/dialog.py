"""Protocol conversations as text files: what is said, what must be answered.

A file is made of blocks, separated by blank lines. Each block is a connection of its own and begins with a header::

    # a stranger is not relayed for
    [25]
    > MAIL FROM:<x@{outside}>
    < 250 2.1.0
    > RCPT TO:<y@{outside}>
    < 554 5.7.1 Relay access denied

``[SERVICE LOGIN]``: SERVICE is a port's usual number or its name in the spec (``25``, ``587``, ``imaps`` …). Without a LOGIN the
block begins after the greeting (and EHLO); ``tls`` as LOGIN means after TLS (and EHLO again), any other word after that login.
``> TEXT`` sends a line, ``>> TEXT`` sends bytes as they stand, with the escapes ``\\r \\n \\t \\0 \\\\`` and no line end added.
``< TEXT`` demands the next answer: of SMTP the code, the enhanced code where one is given (RFC 2034), and words that the answer
contains; of the other protocols a line that begins so (untagged IMAP lines that nobody asked about are passed over).
``< closed`` demands the end of the connection. ``# `` is a remark. ``{name}`` is filled in; ``names`` says which a file needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

SMTP = frozenset({"25", "587", "465", "10587", "24", "smtp", "submission", "submissions", "reinjection", "lmtp"})
CLOSED = "closed"
_NAME = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_CODES = re.compile(r"(\d{3})(?: (\d\.\d{1,3}\.\d{1,3}))?(?: (.+))?")


class Connection(Protocol):
    """An open connection, greeted, encrypted and logged in as the block's header says."""

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""

    def line(self) -> bytes:
        """The next line with its end, b"" at the end of the connection. Raises TimeoutError at the connection's own deadline."""


#: (service, login) → an open connection
Connect = Callable[[str, str], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Step:
    """One line of a block. ``kind`` is ``>``, ``>>`` or ``<``; ``number`` counts the file's lines from 1."""

    number: int
    kind: str
    text: str


@dataclass(frozen=True)
class Block:
    """One connection. ``title``: the remark above its header."""

    service: str
    login: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Mismatch:
    """An answer that was not as demanded, or a connection that could not be opened (``sent`` is empty)."""

    number: int
    block: str
    sent: str
    expected: str
    got: str

    def __str__(self) -> str:
        said = f" to {self.sent}" if self.sent else ""
        return f"line {self.number} [{self.block}]: expected {self.expected!r}{said}, got {self.got!r}"


def names(text: str) -> frozenset[str]:
    """The names that must be filled in before the file can be run."""
    return frozenset(name for line in text.splitlines() if not line.startswith("#") for name in _NAME.findall(line))


def parse(text: str, values: Mapping[str, str] | None = None) -> tuple[Block, ...]:
    """The file's blocks, filled in. Raises ValueError with the line for what does not follow the form."""
    blocks: list[Block] = []
    title = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        header = re.fullmatch(r"\[(\S+)(?: (\S+))?\]", line)
        if header:
            login = _fill(header[2] or "", values, number)
            blocks.append(Block(header[1], login, title, ()))
        elif line.startswith("#"):
            title = line[1:].strip()
        elif line:
            kind, _, rest = line.partition(" ")
            if kind not in (">", ">>", "<") or not blocks:
                raise ValueError(f"line {number}: expected [SERVICE LOGIN], '> ', '>> ', '< ' or '# ': {line}")
            last = blocks[-1]
            # what is sent may end in white space on purpose
            said = raw[len(kind) + 1 :] if kind != "<" else rest
            step = Step(number, kind, _fill(said, values, number))
            blocks[-1] = Block(last.service, last.login, last.title, (*last.steps, step))
    return tuple(blocks)


def run(text: str, connect: Connect, values: Mapping[str, str] | None = None) -> list[Mismatch]:
    """Holds every conversation of the file, and returns where the other side did not answer as demanded."""
    return [mismatch for block in parse(text, values) for mismatch in _talk(block, connect)]


def _fill(text: str, values: Mapping[str, str] | None, number: int) -> str:
    def value(match: re.Match[str]) -> str:
        if values is None:
            return match[0]
        if match[1] not in values:
            raise ValueError(f"line {number}: nothing fills in {match[0]}")
        return values[match[1]]

    return _NAME.sub(value, text)


def _talk(block: Block, connect: Connect) -> Iterator[Mismatch]:
    name = f"{block.service} {block.login}".strip()
    sent = ""
    try:
        with connect(block.service, block.login) as connection:
            for step in block.steps:
                if step.kind == "<":
                    got = _answer(connection, block.service in SMTP, step.text)
                    if not _fits(got, block.service in SMTP, step.text):
                        yield Mismatch(step.number, name, sent, step.text, got)
                else:
                    sent = step.text
                    _say(connection, step)
    except OSError as why:
        number = block.steps[0].number if block.steps else 0
        yield Mismatch(number, name, sent, "a connection", f"{type(why).__name__}: {why}")


def _say(connection: Connection, step: Step) -> None:
    text = f"{step.text}\r\n" if step.kind == ">" else _ESCAPE.sub(lambda m: _ESCAPES.get(m[1], m[0]), step.text)
    connection.send(text.encode("utf-8", "surrogateescape"))


def _answer(connection: Connection, smtp: bool, expected: str) -> str:
    """The next answer on one line, ``closed`` at the end of the connection, ``nothing`` when none came in time."""
    parts: list[str] = []
    try:
        while True:
            raw = connection.line()
            if not raw:
                return CLOSED
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if smtp:
                parts.append(line if not parts else line[4:])
                if line[3:4] != "-":
                    return " ".join(parts).replace("-", " ", 1) if len(parts) > 1 else line
            elif not line.startswith("* ") or (expected.startswith("* ") and line.startswith(expected)):
                return line
    except ConnectionError:
        return CLOSED
    except TimeoutError:
        return "nothing"


def _fits(got: str, smtp: bool, expected: str) -> bool:
    codes = _CODES.fullmatch(expected)
    if expected == CLOSED or not smtp or not codes:
        return got == expected if expected == CLOSED else got.startswith(expected)
    code, status, words = codes.groups()
    found = _CODES.fullmatch(got)
    if not found or found[1] != code:
        return False
    return (status is None or found[2] == status) and (words is None or words in got)
