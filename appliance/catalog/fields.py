"""Typed access to a role.yml: takes each field once, says what does not fit, and refuses what nobody took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from appliance.errors import ApplianceError
from appliance.spec import types

_MISSING = object()


class Fields:
    """One mapping of a role.yml. ``place`` is its name in messages, e.g. ``postfix/role.yml: services.postfix``."""

    def __init__(self, raw: object, place: str) -> None:
        self.place = place
        if not isinstance(raw, Mapping):
            self.fail("", "expected a mapping")
        self.raw: Mapping[str, Any] = raw
        self.taken: set[str] = set()

    def fail(self, field: str, why: str) -> NoReturn:
        """Refuses the role."""
        raise ApplianceError(f"{self.place}{': ' if field else ''}{field}: {why}", hint="see CONTRIBUTING.md, how to add a role")

    def sub(self, name: str, raw: object) -> Fields:
        """A mapping inside this one; its place is said in full."""
        return Fields({} if raw is None else raw, f"{self.place}: {name}" if ": " not in self.place else f"{self.place}.{name}")

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.raw

    def anything(self, name: str, default: object = _MISSING) -> Any:
        """The field as it stands."""
        self.taken.add(name)
        if name in self.raw:
            return self.raw[name]
        if default is _MISSING:
            self.fail(name, "is missing")
        return default

    def _typed(self, name: str, kind: type, words: str, default: object) -> Any:
        value = self.anything(name, default)
        if name in self.raw and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            self.fail(name, f"expected {words}")
        return value

    def text(self, name: str, default: object = _MISSING) -> str:
        """A string."""
        return str(self._typed(name, str, "a text", default))

    def boolean(self, name: str, default: bool) -> bool:
        """True or false."""
        return bool(self._typed(name, bool, "true or false", default))

    def whole(self, name: str, default: int | None) -> int | None:
        """A whole number."""
        value: int | None = self._typed(name, int, "a whole number", default)
        return value

    def size(self, name: str) -> int:
        """A size such as 256 MiB, in bytes; 0 when it is not there."""
        try:
            return types.size(self.anything(name, 0))
        except ValueError as why:
            self.fail(name, str(why))

    def mapping(self, name: str) -> dict[str, Any]:
        """A mapping, empty when it is not there."""
        value: dict[str, Any] = self._typed(name, dict, "a mapping", {})
        return value

    def sequence(self, name: str) -> Sequence[Any]:
        """A list, empty when it is not there."""
        value: Sequence[Any] = self._typed(name, list, "a list", [])
        return value

    def texts(self, name: str, among: Sequence[str] = ()) -> tuple[str, ...]:
        """A list of strings (numbers are taken as text), each one ``among`` the given words when there are any."""
        found = tuple(str(v) for v in self.sequence(name))
        for word in found:
            if among and word not in among:
                self.fail(name, f"{word} is none of {', '.join(among)}")
        return found

    def choice(self, name: str, among: Sequence[str], default: object = _MISSING) -> str:
        """One of the given words."""
        value = self.text(name, default)
        if value not in among:
            self.fail(name, f"{value} is none of {', '.join(w for w in among if w)}")
        return value

    def end(self) -> None:
        """Refuses fields that nobody took."""
        for name in self.raw:
            if name not in self.taken:
                self.fail(str(name), "is not a field that a role has here")
