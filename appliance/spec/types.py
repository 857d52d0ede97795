"""Field types of the spec and of role options: text in, one normal form out.

Every function takes what YAML (or CSV) gave and raises ``Fault``, a ValueError with a sentence for the user. Sizes and durations
have two doors: ``size`` also takes a plain number of bytes, as programs and ``role.yml`` write it; ``size_text`` refuses a number
without a unit, because in a spec it is nearly always a mistake.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from appliance.spec.names import Fault, address, domain, record_name, text, u_label, words_for
from appliance.spec.passwords import SCHEMES, password_hash

__all__ = ["SCHEMES", "Fault", "address", "domain", "password_hash", "record_name", "text", "u_label", "words_for"]

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZES = {unit.lower(): n for unit, n in _UNITS.items()}
_SHORT_SIZES = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB", "ki": "KiB", "mi": "MiB", "gi": "GiB", "ti": "TiB"}
_TIMES = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86400,
    "day": 86400,
    "week": 604800,
}
_LARGEST = 2**53  # what JSON and every daemon's configuration carry exactly


def size(value: object) -> int:
    """``25 MiB`` or a number of bytes → bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise Fault("a size is not negative")
        return value
    return size_text(value)


def size_text(value: object) -> int:
    """``25 MiB`` → bytes; a unit is required (0 has none)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Fault(f"expected a size such as 25 MiB, found {words_for(value)}")
    found = re.fullmatch(r"(\d{1,16}(?:\.\d{1,6})?)\s*([A-Za-z]*)", str(value).strip())
    if not found:
        raise Fault(f"expected a size such as 25 MiB, found {str(value).strip()[:40]!r}")
    number, unit = found[1], found[2]
    if not unit and number == "0":
        return 0
    if not unit:
        raise Fault(f"{number} has no unit", kind="no-unit", hint=f"write {number} MiB or {number} GiB")
    if unit.lower() not in _SIZES:
        near = _SHORT_SIZES.get(unit.lower())
        hint = f"did you mean {number} {near}?" if near else ""
        raise Fault(f"{unit} is not a unit of size (units: {', '.join(_UNITS)})", kind="unknown-unit", hint=hint)
    total = int(float(number) * _SIZES[unit.lower()]) if "." in number else int(number) * _SIZES[unit.lower()]
    if total > _LARGEST:
        raise Fault(f"{number} {unit} is larger than any disk")
    return total


def duration(value: object) -> int:
    """``14 days`` or a number of seconds → seconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise Fault("a time is not negative")
        return value
    return duration_text(value)


def duration_text(value: object) -> int:
    """``14 days`` → seconds; a unit is required."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Fault(f"expected a time such as 30 s, 12 h or 14 days, found {words_for(value)}")
    found = re.fullmatch(r"(\d{1,9})\s*([A-Za-z]*)", str(value).strip())
    if not found:
        raise Fault(f"expected a time such as 30 s, 10 min, 12 h or 14 days, found {str(value).strip()[:40]!r}")
    number, unit = found[1], found[2]
    if not unit:
        raise Fault(f"{number} has no unit", kind="no-unit", hint=f"write {number} s, {number} min, {number} h or {number} days")
    seconds = _TIMES.get(unit) or _TIMES.get(unit.removesuffix("s"))
    if seconds is None:
        raise Fault(f"{unit} is not a unit of time (units: s, min, h, days, weeks)", kind="unknown-unit")
    return int(number) * seconds


def ip(value: object) -> str:
    """An IP address in its normal form (RFC 5952 for IPv6)."""
    word = text(value, "an IP address such as 203.0.113.7")
    bare = word.strip("[]")
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        raise Fault(f"{word[:60]!r} is not an IP address", kind="not-an-address", hint=_ip_hint(word)) from None
    if isinstance(found, ipaddress.IPv6Address) and found.scope_id is not None:
        raise Fault(
            "an address with a zone belongs to one machine only", kind="not-an-address", hint="leave out what follows the %"
        )
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        raise Fault("this is an IPv4 address in IPv6 clothes", kind="not-an-address", hint=f"write {found.ipv4_mapped}")
    return str(found)


def _ip_hint(word: str) -> str:
    if "/" in word:
        return "one address, without the length of a network"
    if re.fullmatch(r"\d+(\.\d+){3}", word):
        return "each of the four numbers is at most 255 and has no leading zero"
    if re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", word.lower()):
        return "addresses, not names: a name would change under the running system"
    return ""


def port(value: object) -> int:
    """A TCP port number."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"\s*\d{1,7}\s*", str(value)):
        raise Fault(f"expected a port number, found {words_for(value)}", hint="null closes a listener")
    if not 1 <= int(value) <= 65535:
        raise Fault(f"{int(value)} is not a port: ports are 1 to 65535", kind="out-of-range", hint="null closes a listener")
    return int(value)


def boolean(value: object) -> bool:
    """true or false (YAML 1.1's yes, no, on and off arrive as these)."""
    if not isinstance(value, bool):
        quoted = isinstance(value, str) and value.lower() in ("yes", "no", "on", "off", "true", "false")
        hint = f"write {str(value).lower()} without quotes" if quoted else ""
        raise Fault(f"expected true or false, found {words_for(value)}", kind="wrong-type", hint=hint)
    return value


def one_or_many(value: object) -> object:
    """One value where a list is expected is a list of one."""
    return value if value is None or isinstance(value, list | tuple | dict) else (value,)


def unique(values: Iterable[Any]) -> tuple[Any, ...]:
    """A tuple whose entries are all different."""
    given = tuple(values)
    seen: set[Any] = set()
    for value in given:
        if value in seen:
            raise Fault(f"{value} stands here twice", kind="duplicate")
        seen.add(value)
    return given


def _in_text(strict: Callable[[object], int], lax: Callable[[object], int]) -> BeforeValidator:
    """The strict door while a text is read (``load`` says so in the validation context), the lax one for programs."""

    def choose(value: object, info: ValidationInfo) -> int:
        return strict(value) if (info.context or {}).get("text") else lax(value)

    return BeforeValidator(choose)


@dataclass(frozen=True)
class Kind:
    """What a type is called by people (``explain``) and how its text looks (``schema``)."""

    name: str
    words: str
    example: str
    pattern: str = ""


Size = Annotated[
    int,
    _in_text(size_text, size),
    Kind("size", "size with a unit", "25 MiB", r"^\s*[0-9]+(\.[0-9]+)?\s*([KMGTkmgt][iI]?)?[Bb]\s*$"),
]
Duration = Annotated[
    int,
    _in_text(duration_text, duration),
    Kind("duration", "time with a unit", "14 days", r"^\s*[0-9]+\s*(s|min|h|d|sec|(second|minute|hour|day|week)s?)\s*$"),
]
Domain = Annotated[str, BeforeValidator(domain), Kind("domain", "domain name", "example.org", r"^[^@\s/_*:]+\.[^@\s/_*:]+$")]
RecordName = Annotated[str, BeforeValidator(record_name), Kind("name", "name in DNS", "_spf.example.net", r"^\S+\.\S+$")]
Address = Annotated[
    str, BeforeValidator(address), Kind("address", "mail address", "alice@example.org", r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
]
PasswordHash = Annotated[
    str,
    BeforeValidator(password_hash),
    Kind("password", "password hash", "{ARGON2ID}$argon2id$…", rf"^\{{({'|'.join(SCHEMES)})(\.[A-Za-z0-9]+)?\}}\S+$"),
]
Ip = Annotated[str, BeforeValidator(ip), Kind("ip", "IP address", "203.0.113.7", r"^[0-9A-Fa-f:.\[\]]+$")]
PortNumber = Annotated[int, BeforeValidator(port), Kind("port", "port number", "2525")]
Text = Annotated[str, BeforeValidator(text), Kind("string", "text", "")]
Path = Annotated[str, BeforeValidator(text), Kind("path", "path of a file, relative to the spec", "tls/cert.pem")]
Flag = Annotated[bool, BeforeValidator(boolean), Kind("boolean", "true or false", "true")]
