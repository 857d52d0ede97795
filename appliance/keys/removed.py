"""Who had a mailbox and has none any more: a list in the ring, because people are never rolled back and no spec names them.

Their addresses stay out of a catch-all, and `tend` ends their mail when its time is over. One line each in ``people/removed``:
``address day`` or, once the mail is gone, ``address day ended``. The list holds no secret; without it nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from appliance.errors import ApplianceError
from appliance.keys.folder import Folder

REMOVED = "people/removed"
#: how long a removed mailbox's mail stays in the store
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Removed:
    """``since``: the day (UTC) of the `up` that took the mailbox away. ``ended``: its mail is gone too."""

    address: str
    since: date
    ended: bool = False


def parse(data: bytes, place: str) -> tuple[Removed, ...]:
    """The lines of the list. Raises ApplianceError for a line that is none of ours."""
    found = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            address, day, *more = line.split()
            found.append(Removed(address, date.fromisoformat(day), more == ["ended"]))
        except ValueError:
            hint = "a line is `address YYYY-MM-DD`; delete the line if it cannot be read any more"
            raise ApplianceError(f"{place}:{number}: not a removed mailbox: {line!r}", hint=hint) from None
    return tuple(found)


def read(folder: Folder) -> tuple[Removed, ...]:
    """The list, empty where there is none."""
    return parse(folder.read(REMOVED), str(folder.path(REMOVED))) if folder.has(REMOVED) else ()


def remember(folder: Folder, gone: Iterable[str], back: Container[str], now: datetime) -> None:
    """Adds who goes now and drops who comes ``back``.

    Who is in the list already and goes now was here until now (an apply had failed, or the mailbox had come back): the time
    begins anew.
    """
    before = {r.address: r for r in read(folder)}
    new = {a: Removed(a, now.date()) for a in gone}
    _write(folder, before, {a: r for a, r in {**before, **new}.items() if a not in back})


def due(folder: Folder, here: Container[str], now: datetime) -> tuple[str, ...]:
    """Addresses whose mail has been kept for its whole time."""
    return tuple(r.address for r in read(folder) if not r.ended and r.address not in here and now.date() - r.since >= KEPT)


def end(folder: Folder, addresses: Iterable[str]) -> None:
    """Notes that their mail is gone; they stay out of a catch-all."""
    before = {r.address: r for r in read(folder)}
    ended = {a: replace(before[a], ended=True) for a in addresses if a in before}
    _write(folder, before, {**before, **ended})


def _write(folder: Folder, before: dict[str, Removed], after: dict[str, Removed]) -> None:
    if after != before:
        lines = (f"{r.address} {r.since}{' ended' if r.ended else ''}\n" for _, r in sorted(after.items()))
        folder.replace(REMOVED, "".join(lines).encode())
