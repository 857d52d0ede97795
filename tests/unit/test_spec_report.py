"""How a problem is printed."""

from __future__ import annotations

import pytest

from appliance.errors import At, Problem
from appliance.spec.report import render_problem, render_problems
from appliance.spec.source import Source, path_text


def test_the_form() -> None:
    problem = Problem(
        "unknown-field", "quotta: there is no such field", At("mail.yml", 14, 7, "      quotta: 2 GiB", 6), "did you mean quota?"
    )
    assert render_problem(problem) == (
        "mail.yml:14:7: error[unknown-field]: quotta: there is no such field; did you mean quota?\n"
        "   14 |       quotta: 2 GiB\n"
        "      |       ^^^^^^\n"
    )


def test_other_hints_stand_below() -> None:
    problem = Problem("k", "m", At("f", 1, 1, "x"), "do this", level="warning")
    assert render_problem(problem) == "f:1:1: warning[k]: m\n    1 | x\n      | ^\n  hint: do this\n"


def test_a_place_without_a_line() -> None:
    assert render_problem(Problem("k", "m", At("f", 1, 1))) == "f:1:1: error[k]: m\n"


@pytest.mark.parametrize(
    ("text", "column", "length", "caret"),
    [
        ("\tkey: x", 7, 1, "\t     ^"),  # a tab stays one, whatever the terminal makes of it
        ("漢字: x", 5, 1, "      ^"),  # wide characters take two columns
        ("e\u0301: x", 5, 1, "   ^"),  # combining ones none
        ("a: " + "*" * 40 + ", b: x", 49, 1, "   ********, b: ^".replace("*", " ").replace(",", " ").replace("b:", "  ")),
        ("a: " + "*" * 40, 4, 40, "   ^^^^^^^^"),
    ],
)
def test_the_caret_stands_below_its_character(text: str, column: int, length: int, caret: str) -> None:
    said = render_problem(Problem("k", "m", At("f", 1, column, text, length))).splitlines()
    assert said[2].partition("| ")[2] == caret


@pytest.mark.parametrize("column", [1, 100, 200, 399])
def test_a_long_line_is_cut_around_the_caret(column: int) -> None:
    text = "".join(chr(33 + i % 90) for i in range(400))
    _, line, caret = render_problem(Problem("k", "m", At("f", 1, column, text))).splitlines()
    shown, below = line.partition("| ")[2], caret.partition("| ")[2]
    assert len(shown) <= 110
    assert shown[below.index("^")] == text[column - 1]


def test_colour_only_when_asked_for() -> None:
    problem = Problem("k", "m", At("f", 1, 1, "x"))
    assert "\033" not in render_problems([problem])
    assert "\033[31m" in render_problems([problem], color=True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("mailboxes", "alice@example.org", "quota"), 'mailboxes."alice@example.org".quota'),
        (("addresses", 1), "addresses[1]"),
        (("domains", "example.org", "dkim", "algorithms", 0), 'domains."example.org".dkim.algorithms[0]'),
        ((), "the spec"),
    ],
)
def test_path_text(path: tuple[str | int, ...], said: str) -> None:
    assert path_text(path) == said


@pytest.mark.parametrize(
    "line",
    [
        'x: "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$c2VjcmV0c2FsdA$c2VjcmV0"',
        "x: $6$saltsecret$hashsecret",
        "password: secret word",
        "Passwort: 'secret'",
        '{pass: secret, quota: 1}',
    ],
)  # fmt: skip
def test_lines_are_masked_whatever_they_are(line: str) -> None:
    shown = Source("f", line).shown(0)
    assert "ecret" not in shown
    assert len(shown) == len(line)
