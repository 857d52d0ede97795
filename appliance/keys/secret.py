"""Bytes that never print themselves."""

from __future__ import annotations

import hmac
from typing import NoReturn

REDACTED = "[REDACTED]"


class Secret:
    """A secret value. However it is printed, formatted, logged or shown in a traceback's locals, it reads ``[REDACTED]``.

    The bytes come out by ``reveal()`` and ``text()`` only, so that a reader of the code sees where. It has no length and no
    hash, is not pickled, and not copied into JSON: ``json.dumps`` refuses it, with ``default=str`` it writes ``[REDACTED]``.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def text(self) -> str:
        """The bytes as UTF-8 text; UnicodeDecodeError (which would quote them) becomes a ValueError that does not."""
        try:
            return self._value.decode()
        except UnicodeDecodeError:
            raise ValueError("the secret is not UTF-8 text") from None

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(REDACTED, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
