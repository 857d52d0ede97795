"""Domains and mail addresses in one spelling: lower case, domains as A-labels (RFC 5891); an internationalised local part stays
UTF-8 (RFC 6531) in NFC. Raises ``Fault`` with a sentence for the user.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

#: local part, RFC 5321 atext without what daemons read as routing, comments, paths or separators of their tables
_LOCAL = re.compile(r"[a-z0-9$&'*+=?^_`{|}~][a-z0-9$&'*+=?^_`{|}~#-]*(?:\.[a-z0-9$&'*+=?^_`{|}~#-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RECORD_LABEL = re.compile(r"_?[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_FORBIDDEN = re.compile(r"[\s\"(),:;<>@\[\]\\/!%]")


class Fault(ValueError):
    """A value that cannot be used. ``kind`` is the problem's short name, ``hint`` what to do."""

    def __init__(self, message: str, *, kind: str = "wrong-value", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.kind, self.hint = message, kind, hint

    def __reduce__(self) -> tuple[object, ...]:
        """Kept whole through a copy."""
        return (_fault, (self.message, self.kind, self.hint))


def _fault(message: str, kind: str, hint: str) -> Fault:
    return Fault(message, kind=kind, hint=hint)


def words_for(value: object) -> str:
    """What a value is, for people; long texts are not repeated."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int | float):
        return f"the number {value}"
    return f"the text {str(value)[:40]!r}"


def text(value: object, expected: str = "text") -> str:
    """A text of one line without control characters. Whole numbers are taken as they are written."""
    if isinstance(value, bool | float) or not isinstance(value, int | str):
        raise Fault(f"expected {expected}, found {words_for(value)}", kind="wrong-type")
    word = str(value).strip()
    bad = next((c for c in word if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")), "")
    if bad:
        raise Fault(f"the character U+{ord(bad):04X} cannot be seen and does not belong here", kind="control-character")
    if not word:
        raise Fault(f"expected {expected}, found an empty text", kind="empty-value")
    return word


def domain(value: object) -> str:
    """A fully qualified domain name as A-labels, lower case, without a final dot."""
    return _domain(text(value, "a domain such as example.org"))


@lru_cache(maxsize=4096)
def _domain(word: str) -> str:
    name = unicodedata.normalize("NFC", word.rstrip(".").lower())
    if "@" in name:
        raise Fault(f"{word!r} is an address", kind="not-a-domain", hint=f"did you mean {name.rpartition('@')[2]}?")
    if "://" in name:
        raise Fault(
            f"{word!r} is a URL, not a domain",
            kind="not-a-domain",
            hint=f"did you mean {name.partition('://')[2].partition('/')[0]}?",
        )
    if name.startswith("*"):
        raise Fault("a wildcard is not a domain", kind="not-a-domain", hint="name each domain")
    if "." not in name:
        raise Fault(
            f"{word!r} is not fully qualified: it has no dot", kind="not-a-domain", hint="did you leave out .example.org?"
        )
    if re.fullmatch(r"[\d.]+", name):
        raise Fault(f"{word!r} is an IP address, not a domain", kind="not-a-domain")
    return _checked(name if name.isascii() else _a_labels(name), word, _LABEL)


def record_name(value: object) -> str:
    """A name of DNS that may have labels with an underscore (RFC 8552), such as ``_spf.example.net``."""
    word = text(value, "a name such as _spf.example.net")
    name = word.rstrip(".").lower()
    if "_" not in name:
        return _domain(word)
    return _checked(name, word, _RECORD_LABEL)


def _checked(name: str, word: str, label: re.Pattern[str]) -> str:
    if len(name) > 253:
        raise Fault(f"the domain is {len(name)} bytes long; 253 is the most (RFC 1035, 2.3.4)", kind="too-long")
    for part in name.split("."):
        if len(part) > 63:
            raise Fault(f"the label {part[:20]}… is {len(part)} bytes long; 63 is the most (RFC 1035, 2.3.4)", kind="too-long")
        if not label.fullmatch(part):
            raise Fault(f"{word!r} is not a domain name: {_label_fault(part)}", kind="not-a-domain")
        if part.startswith("xn--"):
            _decoded(part, word)
    if name.rpartition(".")[2].isdigit():
        raise Fault(f"{word!r} is not a domain name: the last label is a number", kind="not-a-domain")
    return name


def _label_fault(part: str) -> str:
    if not part:
        return "two dots follow each other"
    if part.startswith("-") or part.endswith("-"):
        return f"{part} begins or ends with a hyphen"
    bad = next((c for c in part if not re.fullmatch(r"[a-z0-9-]", c)), "")
    return f"{bad!r} does not belong in it"


def _a_labels(name: str) -> str:
    import idna  # only where it is needed: its tables cost 15 ms

    try:
        return idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as why:
        raise Fault(f"{name!r} is not an international domain name: {why}", kind="not-a-domain") from None


def _decoded(part: str, word: str) -> None:
    import idna

    try:
        idna.decode(part)
    except (idna.IDNAError, UnicodeError) as why:
        raise Fault(f"{word!r} is not a domain name: {part} is not an A-label (RFC 5891): {why}", kind="not-a-domain") from None


def address(value: object) -> str:
    """A mail address: local part lower case (NFC), domain as A-labels."""
    word = value if isinstance(value, str) else text(value, "an address such as alice@example.org")
    local, at, host = word.rpartition("@")
    if at and _LOCAL.fullmatch(local) and len(local) <= 64 and len(host) < 180:  # the common case, fast
        return f"{local}@{_domain(host)}" if host.isascii() and host.isprintable() and " " not in host else _slow(word)
    return _slow(word)


def _slow(raw: str) -> str:
    word = text(raw, "an address such as alice@example.org")
    if word.startswith("<") or "<" in word:
        inner = re.search(r"<([^<>\s]+)>", word)
        raise Fault(
            "the address alone, without a name and angle brackets",
            kind="not-an-address",
            hint=f"write {inner[1]}" if inner else "",
        )
    if word.count("@") > 1 and re.search(r"[,;\s]", word):
        hint = "several addresses are a list: [a@example.org, b@example.org]"
        raise Fault(f"{word[:60]!r} is not one address", kind="not-an-address", hint=hint)
    local, at, host = word.rpartition("@")
    if not at or not local or not host:
        raise Fault(f"{word[:60]!r} is not an address such as alice@example.org", kind="not-an-address")
    local = unicodedata.normalize("NFC", local).lower()
    _check_local(local)
    found = f"{local}@{_domain(host)}"
    if len(found.encode()) > 254:
        raise Fault(f"the address is {len(found.encode())} bytes long; 254 is the most (RFC 5321, 4.5.3.1.3)", kind="too-long")
    return found


def _check_local(local: str) -> None:
    if len(local.encode()) > 64:
        raise Fault(
            f"the part before the @ is {len(local.encode())} bytes long; 64 is the most (RFC 5321, 4.5.3.1.1)", kind="too-long"
        )
    bad = _FORBIDDEN.search(local)
    if bad:
        what = "a space" if bad[0].isspace() else bad[0]
        raise Fault(f"{what} before the @ is something that mail programs do not agree on", kind="not-an-address")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise Fault("a dot begins or ends the part before the @, or follows another (RFC 5321, 4.1.2)", kind="not-an-address")
    if local[0] in "-#":
        raise Fault(
            f"an address that begins with {local[0]} is read as an option or a comment by some daemons", kind="not-an-address"
        )


def u_label(name: str) -> str:
    """The Unicode spelling of a domain kept as A-labels (for people to read, and for SMTPUTF8 tables)."""
    if "xn--" not in name:
        return name
    import idna

    try:
        return idna.decode(name)
    except (idna.IDNAError, UnicodeError):
        return name
