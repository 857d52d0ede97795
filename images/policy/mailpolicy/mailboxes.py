"""Reads the addresses of a From, Sender or Resent-* field, strictly: what two programs could read in two ways is refused.

The grammar is RFC 5322, 3.4 (``mailbox-list``) with UTF-8 (RFC 6532), less its obsolete forms: no routes, no groups, no white
space or comment inside an address. A dot in an unquoted display name is allowed (``John Q. Public``): everybody writes it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# RFC 5322, 3.2.3 and RFC 6532, 3.2: an atom's characters; everything beyond ASCII that is not a control or a line separator
_ATEXT = r"[^\x00-\x20\x7f-\xa0\u2028\u2029\ufeff()<>\[\]:;@\\,.\"]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_WORD = re.compile(rf"(?:{_ATEXT}|\.)+")
_QUOTED = re.compile(r'"((?:[^"\\\r\n]|\\[^\r\n])*)"')
_BLANK = re.compile(r"[ \t]*")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_COMMENTS = 8  # deepest nesting that is still read


@dataclass(frozen=True)
class Mailbox:
    """One address. ``domain`` is empty where none was written; ``end`` is the offset in the value at which one belongs."""

    local: str
    domain: str
    end: int

    @property
    def address(self) -> str:
        """The address in the one spelling that tables have."""
        return normal(f"{self.local}@{self.domain}" if self.domain else self.local)


def normal(address: str) -> str:
    """Lower case in Unicode's composed form. Domains stay A- or U-label: the tables have a line for each."""
    return unicodedata.normalize("NFC", address).lower()


def unfold(value: str) -> str:
    """A field's value on one line (RFC 5322, 2.2.3). Raises ValueError for what is left of line breaks and controls."""
    flat = _FOLD.sub("", value)
    if _CONTROL.search(flat):
        raise ValueError("a control character")
    return flat


def mailboxes(value: str) -> tuple[Mailbox, ...]:
    """The addresses of an unfolded value, one or more. Raises ValueError with the reason."""
    scanner = _Scanner(value)
    found = [scanner.mailbox()]
    while scanner.take(","):
        found.append(scanner.mailbox())
    if not scanner.ended:
        raise ValueError(f"something after an address at character {scanner.at + 1}")
    return tuple(found)


class _Scanner:
    """A cursor over one value."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    @property
    def ended(self) -> bool:
        return self.at >= len(self.text)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> bool:
        if self.peek() != character:
            return False
        self.at += 1
        return True

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def space(self) -> None:
        """White space and comments (CFWS)."""
        self.match(_BLANK)
        while self.take("("):
            self._comment()
            self.match(_BLANK)

    def _comment(self) -> None:
        depth = 1
        while depth:
            character = self.peek()
            if not character:
                raise ValueError("a comment without an end")
            self.at += 2 if character == "\\" else 1
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth > _COMMENTS:
                raise ValueError("comments within comments")

    def mailbox(self) -> Mailbox:
        """``display name <address>`` or ``address``."""
        self.space()
        start = self.at
        bare = self._address()
        self.space()
        if bare and self.peek() in ("", ","):
            return bare
        self.at = start
        while self.match(_QUOTED) or self.match(_WORD):
            self.space()
        if not self.take("<"):
            raise ValueError("not an address")
        self.match(_BLANK)
        inner = self._address()
        self.match(_BLANK)
        if not inner or not self.take(">"):
            raise ValueError("not an address between < and >")
        self.space()
        return inner

    def _address(self) -> Mailbox | None:
        """``local@domain`` or ``local`` without a gap; None where neither stands."""
        quoted = self.match(_QUOTED)
        if quoted:
            local = re.sub(r"\\(.)", r"\1", quoted[1])
            # "alice"@ is alice@ (RFC 5321, 4.1.2); anything else stays quoted and is in no table
            local = local if _DOT_ATOM.fullmatch(local) else f'"{local}"'
        else:
            atom = self.match(_DOT_ATOM)
            if not atom:
                return None
            local = atom[0]
        end = self.at
        if not self.take("@"):
            return Mailbox(local, "", end)
        domain = self.match(_DOT_ATOM)
        if not domain:
            raise ValueError("an address without a readable domain")
        return Mailbox(local, domain[0], self.at)
