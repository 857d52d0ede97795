"""Conversations as text files: how they are written, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.resources import folder
from appliance.verify import dialog
from appliance.verify.dialog import Block, Connection, Step


class Scripted:
    """A server that answers each line that it is sent with the next of its answers."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = [a.encode() for a in answers]
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def line(self) -> bytes:
        if not self.answers:
            raise TimeoutError
        return self.answers.pop(0)


def talk(text: str, *answers: str, values: dict[str, str] | None = None) -> tuple[list[str], list[bytes], list[tuple[str, str]]]:
    """(mismatches, what was sent, connections asked for)"""
    server, asked = Scripted(list(answers)), list[tuple[str, str]]()

    @contextmanager
    def connect(service: str, login: str) -> Iterator[Connection]:
        asked.append((service, login))
        yield server

    return [str(m) for m in dialog.run(text, connect, values or {})], server.sent, asked


def test_a_file_is_read_as_blocks() -> None:
    text = "# title\n[587 {who}]\n> NOOP\n< 250 2.0.0\n\n[25]\n>> a\\r\\n\n< closed\n"
    assert dialog.parse(text, {"who": "alice"}) == (
        Block("587", "alice", "title", (Step(3, ">", "NOOP"), Step(4, "<", "250 2.0.0"))),
        Block("25", "", "title", (Step(7, ">>", "a\\r\\n"), Step(8, "<", "closed"))),
    )
    assert dialog.names(text) == {"who"}


@pytest.mark.parametrize("text", ["> NOOP\n", "[25]\nNOOP\n", "[25]\n>NOOP\n", "[25]\n> {nobody}\n"])
def test_what_is_not_a_dialogue_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line [12]:"):
        dialog.parse(text, {})


@pytest.mark.parametrize(
    ("expected", "answer", "fits"),
    [
        ("250", "250 2.1.0 Ok\r\n", True),
        ("250 2.1.0", "250 2.1.0 Ok\r\n", True),
        ("250 2.1.5", "250 2.1.0 Ok\r\n", False),
        ("550 5.7.1", "250 2.1.0 Ok\r\n", False),
        ("554 5.7.1 Relay access denied", "554 5.7.1 <x@y>: Relay access denied\r\n", True),
        ("554 5.7.1 something else", "554 5.7.1 <x@y>: Relay access denied\r\n", False),
        ("closed", "", True),
        ("closed", "250 still here\r\n", False),
        ("250", "", False),
    ],
)
def test_an_smtp_answer(expected: str, answer: str, fits: bool) -> None:
    mismatches, sent, _ = talk(f"[25]\n> NOOP\n< {expected}\n", answer)
    assert (mismatches == []) is fits
    assert sent == [b"NOOP\r\n"]


def test_lines_of_one_answer_are_one_answer() -> None:
    text = "[25]\n> EHLO x\n< 250 SMTPUTF8\n> NOOP\n< 250 2.0.0\n"
    assert talk(text, "250-mail\r\n", "250-SMTPUTF8\r\n", "250 DSN\r\n", "250 2.0.0 Ok\r\n")[0] == []


def test_silence_is_a_mismatch_that_names_the_line() -> None:
    assert talk("[25]\n> NOOP\n< 250\n")[0] == ["line 3 [25]: expected '250' to NOOP, got 'nothing'"]


def test_untagged_lines_of_imap_are_passed_over() -> None:
    text = "[imaps alice]\n> a SELECT INBOX\n< * 3 EXISTS\n< a OK\n"
    assert talk(text, "* FLAGS ()\r\n", "* 3 EXISTS\r\n", "* 0 RECENT\r\n", "a OK done\r\n") == (
        [],
        [b"a SELECT INBOX\r\n"],
        [("imaps", "alice")],
    )
    refused = talk("[imaps]\n> a LOGIN x y\n< a OK\n", "a NO\r\n")[0]
    assert refused == ["line 3 [imaps]: expected 'a OK' to a LOGIN x y, got 'a NO'"]


def test_bytes_are_sent_as_they_stand() -> None:
    assert talk("[25]\n>> a\\r\\n.\\n\\0\\\\ü\n")[1] == ["a\r\n.\n\0\\ü".encode()]


def test_a_connection_that_cannot_be_made_is_a_mismatch_and_the_next_block_is_tried() -> None:
    @contextmanager
    def connect(service: str, login: str) -> Iterator[Connection]:
        raise ConnectionRefusedError("refused")
        yield

    found = dialog.run("[25]\n> NOOP\n< 250\n\n[587]\n> NOOP\n< 250\n", connect)
    assert [(m.number, m.block) for m in found] == [(2, "25"), (6, "587")]


FILES = sorted(folder("roles").glob("*/dialogs/*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.parent.name}/{p.stem}")
def test_every_dialogue_of_a_role_can_be_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    blocks = dialog.parse(text, dict.fromkeys(dialog.names(text), "x"))
    assert blocks
    assert all(any(step.kind == "<" for step in block.steps) for block in blocks)
