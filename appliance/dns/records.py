"""A DNS record as data, its text as it stands in a zone file (RFC 1035, section 5), and what a look-up answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from appliance.render.bundle import NEW_AT_UP

Type = Literal["MX", "A", "AAAA", "TXT", "PTR"]
TTL = 3600  # seconds: long enough to be cached, short enough to be corrected within the hour
#: a character-string has a length of one byte (RFC 1035, 3.3)
_STRING = 255


@dataclass(frozen=True)
class Record:
    """One record that is wanted.

    ``name`` is absolute, in A-labels, without the final dot. ``value`` is what it says: an address, a host name, ``10 host`` for
    MX, the whole text for TXT (it is split only where it is written). ``purpose`` names what it is for (mx, host, spf, dkim,
    dmarc, ptr); ``why`` is a sentence. ``provider``: not of the user's zone, to be asked for where the address comes from.
    """

    name: str
    type: Type
    value: str
    purpose: str
    why: str
    ttl: int = TTL
    provider: bool = False

    @property
    def complete(self) -> bool:
        """False while its key is made only at up."""
        return NEW_AT_UP not in self.value

    @property
    def rdata(self) -> str:
        """The value in a zone file's form: host names with their final dot, texts in quoted strings."""
        if self.type == "TXT":
            return " ".join(f'"{_quoted(part)}"' for part in strings(self.value))
        return f"{self.value}." if self.type in ("MX", "PTR") else self.value

    def __str__(self) -> str:
        return f"{self.name}. {self.ttl} IN {self.type} {self.rdata}"


@dataclass(frozen=True)
class Answer:
    """What is published at a name: ``values`` in the form of Record.value (TXT joined), none when there is no such record.

    ``failed``: why nothing can be said (time-out, SERVFAIL); then ``values`` mean nothing.
    """

    values: tuple[str, ...] = ()
    failed: str = ""


Lookup = Callable[[str, str], Answer]  # (name, type) → answer


def strings(text: str) -> tuple[bytes, ...]:
    """A text as character-strings of at most 255 bytes; readers join them without a space (RFC 7208, 3.3; RFC 6376, 3.6.2.2)."""
    data = text.encode("ascii")
    return tuple(data[i : i + _STRING] for i in range(0, len(data), _STRING)) or (b"",)


def _quoted(part: bytes) -> str:
    return "".join(f"\\{c}" if c in '"\\' else c if " " <= c <= "~" else f"\\{ord(c):03d}" for c in part.decode("ascii"))
