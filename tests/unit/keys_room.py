"""What the tests of keys and DNS share: small specs, rings that are quick to make, a report that keeps what it was told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from appliance.keys.ring import KeyRing
from appliance.spec.model import DomainSpec, Spec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: RSA keys take their time; one test makes them
QUICK: dict[str, Any] = {"dkim": {"algorithms": ("ed25519",)}}


def spec(domains: tuple[str, ...] = ("example.org",), settings: dict[str, Any] | None = None, **fields: Any) -> Spec:
    """A spec named ``example`` with these domains, each with the same settings."""
    each = DomainSpec(**(QUICK if settings is None else settings))
    base: dict[str, Any] = {
        "version": 1,
        "name": "example",
        "hostname": "mail.example.org",
        "addresses": ("203.0.113.7", "2001:db8::7"),
        "postmaster": "alice@example.org",
        "domains": dict.fromkeys(domains, each),
    }
    return Spec(**{**base, **fields})


def ring(folder: Path, *, after: timedelta = timedelta(0), name: str = "example") -> KeyRing:
    """The ring of the spec in ``folder``, at ``NOW`` and ``after``."""
    return KeyRing(folder / "keys" / name, now=lambda: NOW + after)


class Told:
    """A Report that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def start(self, step: str, text: str) -> None:
        self.lines.append(("start", text))

    def done(self, step: str, text: str = "") -> None:
        self.lines.append(("done", text))

    def failed(self, step: str, text: str) -> None:
        self.lines.append(("failed", text))

    def note(self, text: str) -> None:
        self.lines.append(("note", text))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
