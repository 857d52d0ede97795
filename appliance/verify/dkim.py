"""DKIM signatures of a message, judged by dkimpy: a library that shares nothing with the signer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import dkim


@dataclass(frozen=True)
class Signature:
    """One DKIM-Signature field. ``why``: what is wrong with it, empty when it is valid."""

    domain: str
    selector: str
    algorithm: str
    why: str

    @property
    def valid(self) -> bool:
        """It verifies."""
        return not self.why

    def __str__(self) -> str:
        return f"DKIM-Signature a={self.algorithm} d={self.domain} s={self.selector}: {self.why or 'valid'}"


def signatures(message: bytes, lookup: Callable[..., bytes | None]) -> tuple[Signature, ...]:
    """All signatures of a message, topmost first. ``lookup``: dkimpy's ``dnsfunc``."""
    parsed = dkim.DKIM(message)
    fields = [value for name, value in parsed.headers if name.lower() == b"dkim-signature"]
    return tuple(_one(message, index, field, lookup) for index, field in enumerate(fields))


def _one(message: bytes, index: int, field: bytes, lookup: Callable[..., bytes | None]) -> Signature:
    tags = {m[1]: m[2].strip() for m in re.finditer(r"(?:^|;)\s*(\w+)\s*=\s*([^;]*)", field.decode("ascii", "replace"))}
    try:
        # RFC 8301: a key below 1024 bits is no signature
        valid = dkim.DKIM(message, minkey=1024).verify(idx=index, dnsfunc=lookup)
        why = "" if valid else "the signature does not match the message"
    except dkim.DKIMException as problem:
        why = str(problem) or problem.__class__.__name__
    if not why and b"from" not in (name.strip().lower() for name in tags.get("h", "").encode().split(b":")):
        why = "it does not cover From (RFC 6376, 5.4)"
    return Signature(tags.get("d", ""), tags.get("s", ""), tags.get("a", ""), why)
