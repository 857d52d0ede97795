"""Field types of the spec and of role options: text in, one normal form out. Each raises ValueError with a sentence for the user.

Addresses and domains are kept in one spelling: lower case, domains as A-labels (RFC 5891); an internationalised local part stays UTF-8
(RFC 6531), in NFC.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Annotated, Any

import idna
from pydantic import BeforeValidator, Field

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_TIMES = {"s": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hour": 3600, "d": 86400, "day": 86400, "week": 604800}
_SCHEMES = ("ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "PBKDF2", "SSHA512", "SSHA256", "SSHA", "SCRAM-SHA-256")


def size(value: object) -> int:
    """``25 MiB`` → bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size is not negative")
        return value
    m = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", str(value).strip())
    unit = {u.lower(): n for u, n in _UNITS.items()}.get(m[2].lower()) if m else None
    if not m or unit is None:
        raise ValueError(f"expected a size such as 25 MiB (units: {', '.join(_UNITS)})")
    return int(float(m[1]) * unit)


def duration(value: object) -> int:
    """``14 days`` → seconds."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    m = re.fullmatch(r"(\d+)\s*([A-Za-z]+?)s?", str(value).strip())
    unit = (_TIMES.get(m[2]) or _TIMES.get(m[2] + "s")) if m else None
    if not m or unit is None:
        raise ValueError("expected a time such as 30 s, 10 min, 12 h or 14 days")
    return int(m[1]) * unit


def domain(value: object) -> str:
    """A fully qualified domain name as A-labels, lower case, without a final dot."""
    text = unicodedata.normalize("NFC", str(value).strip().rstrip(".").lower())
    if "." not in text or "@" in text:
        raise ValueError("expected a domain such as example.org")
    try:
        return idna.encode(text, uts46=True).decode()
    except idna.IDNAError as why:
        raise ValueError(f"not a domain name: {why}") from None


def address(value: object) -> str:
    """A mail address: local part lower case (NFC), domain as A-labels."""
    local, at, host = str(value).strip().rpartition("@")
    if not at or not local:
        raise ValueError("expected an address such as alice@example.org")
    local = unicodedata.normalize("NFC", local).lower()
    if re.search(r"[\s\x00-\x1f\x7f\"(),:;<>@\[\]\\]", local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValueError("the part before the @ has a character or a dot that mail programs do not agree on")
    if len(local.encode()) > 64:
        raise ValueError("the part before the @ is longer than 64 bytes (RFC 5321, 4.5.3.1.1)")
    return f"{local}@{domain(host)}"


def password_hash(value: object) -> str:
    """A Dovecot scheme hash, ``{SCHEME}…``."""
    text = str(value).strip()
    m = re.fullmatch(r"\{([A-Z0-9-]+)(?:\.(?:B64|HEX))?\}(\S+)", text)
    if not m:
        raise ValueError("expected a hash such as {ARGON2ID}…, not a password; `appliance keys hash` makes one")
    if m[1] not in _SCHEMES:
        raise ValueError(f"the scheme {m[1]} is not supported; use one of {', '.join(_SCHEMES)}")
    return text


def ip(value: object) -> str:
    """An IP address in its normal form."""
    return str(ipaddress.ip_address(str(value).strip()))


def u_label(name: str) -> str:
    """The Unicode spelling of a domain kept as A-labels (for people to read, and for SMTPUTF8 tables)."""
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


Size = Annotated[int, BeforeValidator(size)]
Duration = Annotated[int, BeforeValidator(duration)]
Domain = Annotated[str, BeforeValidator(domain)]
Address = Annotated[str, BeforeValidator(address)]
PasswordHash = Annotated[str, BeforeValidator(password_hash)]
Ip = Annotated[str, BeforeValidator(ip)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Anything = Any
