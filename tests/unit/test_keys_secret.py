"""A secret never prints itself."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from appliance.keys.secret import Secret

WORD = "correct-horse"

PRINTED: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda s: f"{s}",
    "f-string, padded": lambda s: f"{s:>40}",
    "%s": lambda s: "%s" % s,  # noqa: UP031 - that form is under test
    "%r in a list": lambda s: "%r" % [s],
    "json with default": lambda s: json.dumps({"password": s}, default=str),
    "a log record": lambda s: logging.LogRecord("x", 20, "f", 1, "login %s", (s,), None).getMessage(),
}


@pytest.mark.parametrize("way", PRINTED)
def test_printed_it_reads_redacted(way: str) -> None:
    text = PRINTED[way](Secret(WORD))
    assert "[REDACTED]" in text
    assert "horse" not in text


@pytest.mark.parametrize("leave", [json.dumps, pickle.dumps, copy.copy, hash, bytes, len])
def test_it_does_not_leave_the_program_unasked(leave: Callable[[object], object]) -> None:
    with pytest.raises(TypeError) as refused:
        leave(Secret(WORD))
    assert "horse" not in str(refused.value)


def test_a_traceback_with_locals_does_not_show_it() -> None:
    def fails(password: Secret) -> None:
        raise ValueError(f"cannot use {password}")

    try:
        fails(Secret(WORD))
    except ValueError as why:
        shown = "".join(traceback.TracebackException.from_exception(why, capture_locals=True).format())
    assert "[REDACTED]" in shown
    assert f"'{WORD}'" not in shown.replace(f"WORD = '{WORD}'", "")


def test_its_bytes_come_out_only_when_asked_for() -> None:
    assert Secret(WORD).reveal() == WORD.encode()
    assert Secret(WORD) == Secret(WORD.encode())
    assert Secret(WORD) != Secret("other")
    assert Secret(WORD) != WORD
    with pytest.raises(ValueError, match="not UTF-8") as refused:
        Secret(b"\xffhorse").text()
    assert refused.value.__cause__ is None
