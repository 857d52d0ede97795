"""Problems as a user reads them: ``file:line:column: error[kind]: message``, the source line, a caret, what to do."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from appliance.errors import At, Problem

_WIDTH = 110  # columns of a source line that are shown; the rest is cut on both sides of the caret
_MASKED = re.compile(r"\*{8,}")
_RED, _YELLOW, _BOLD, _DIM, _END = "\033[31m", "\033[33m", "\033[1m", "\033[2m", "\033[0m"


def render_problems(problems: Iterable[Problem], color: bool = False) -> str:
    """All problems in the order given, each ending in a newline. Colour only when asked for."""
    return "".join(render_problem(p, color) for p in problems)


def render_problem(problem: Problem, color: bool = False) -> str:
    """One problem: its line, the source line and the caret, the hint. A did-you-mean stands in the first line."""
    inline = problem.hint.startswith("did you mean")
    level = _paint(f"{problem.level}[{problem.kind}]", _RED if problem.level == "error" else _YELLOW, color)
    first = f"{_paint(f'{problem.at}:', _BOLD, color)} {level}: {problem.message}{'; ' + problem.hint if inline else ''}\n"
    return first + _excerpt(problem, color) + (f"  hint: {problem.hint}\n" if problem.hint and not inline else "")


def _excerpt(problem: Problem, color: bool) -> str:
    at = problem.at
    if not at.text.strip():
        return ""
    # what is masked is long and says nothing: eight asterisks stand for it
    before, marked, after = (_MASKED.sub("*" * 8, part) for part in _parts(at))
    start, text = _window(before + marked + after, len(before))
    before, marked = before[start:], marked[: max(1, len(text) - len(before) + start)]
    # tabs stay tabs, so that the caret stands below its character whatever the terminal makes of them
    pad = "".join(c if c == "\t" else " " * _cells(c) for c in before)
    caret = "^" * max(1, sum(_cells(c) for c in marked))
    margin = _paint(f"{at.line:5} |", _DIM, color)
    return f"{margin} {text}\n{_paint('      |', _DIM, color)} {pad}{_paint(caret, _RED, color)}\n"


def _parts(at: At) -> tuple[str, str, str]:
    """The line before the place, the place, and what follows."""
    start, end = at.column - 1, at.column - 1 + at.length
    return at.text[:start], at.text[start:end], at.text[end:]


def _window(text: str, column: int) -> tuple[int, str]:
    """(where the shown part begins, the shown part) of a long line."""
    if len(text) <= _WIDTH:
        return 0, text.rstrip()
    start = max(0, min(column - _WIDTH // 2, len(text) - _WIDTH))
    shown = text[start : start + _WIDTH]
    if start + _WIDTH < len(text):
        shown = shown[:-1] + "…"
    if start:
        shown = "…" + shown[1:]
    return start, shown.rstrip()


def _cells(char: str) -> int:
    """Columns that a character takes on a terminal."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{_END}" if color else text
