"""A text and the way from a place in it to what a user is shown: file, line, column, the line itself with secrets masked."""

from __future__ import annotations

import re
import sys
from functools import cached_property

from appliance.errors import At

#: the line breaks that YAML counts (YAML 1.1, 5.4); str.splitlines knows more
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
#: hashes, and what stands behind a word that smells of a password: never printed, wherever they stand
_WORD = r"(?:[^\s\"',}\]]|,(?=[tp]=\d))+"  # the commas are those of Argon2's parameters
_HASH = re.compile(rf"\{{[A-Za-z0-9.-]+\}}{_WORD}|\$(?:argon2id?|2[abxy]|[156])\${_WORD}")
#: the base64 inside of one that is damaged
_RUN = re.compile(r"(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[0-9])[A-Za-z0-9+/]{20,}")
_PASSWORD = re.compile(r"(?i)(?<=pass)(?:[a-z_-]*[\"']?\s*[:=]\s*)(?P<word>[^\s{},][^,}\n]*)")


class Source:
    """One file that was read. Lines and columns count from 0 inside, from 1 in an ``At``."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self._masks: dict[int, list[tuple[int, int]]] = {}  # line → (begin, end) of what is never shown

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        return _BREAK.split(self.text)

    def hide(self, line: int, column: int, end_line: int, end_column: int) -> None:
        """Marks a span that is never shown."""
        for number in range(line, end_line + 1):
            span = (column if number == line else 0, end_column if number == end_line else sys.maxsize)
            self._masks.setdefault(number, []).append(span)

    def at(self, line: int, column: int, length: int = 1) -> At:
        """The place as it is reported."""
        text = self.shown(line)
        return At(self.file, line + 1, column + 1, text, max(1, min(length, len(text) - column)))

    def shown(self, line: int) -> str:
        """A line, its secrets replaced by as many asterisks, so that columns stay."""
        if not 0 <= line < len(self.lines):
            return ""
        text = _HASH.sub(lambda m: "*" * len(m[0]), self.lines[line])
        text = _RUN.sub(lambda m: "*" * len(m[0]), text)
        text = _PASSWORD.sub(lambda m: m[0][: m.start("word") - m.start()] + "*" * len(m["word"]), text)
        for start, end in self._masks.get(line, ()):
            stop = min(end, len(text))
            text = text[:start] + "*" * max(0, stop - start) + text[stop:]
        return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)

    def offset(self, position: int) -> tuple[int, int]:
        """(line, column) of an offset into the text."""
        before = _BREAK.split(self.text[:position])
        return len(before) - 1, len(before[-1])


def path_text(path: tuple[str | int, ...]) -> str:
    """``mailboxes."alice@example.org".quota``, ``addresses[1]``."""
    words = ""
    for step in path:
        if isinstance(step, int):
            words += f"[{step}]"
        else:
            word = step if re.fullmatch(r"[A-Za-z0-9_<*-]+", step) else f'"{step[:80]}"'
            words += f".{word}" if words else word
    return words or "the spec"
