"""``images.lock``, the file beside the spec that dates the packages in the images.

Without it the images hold the packages of the day on which they were first built. ``appliance build --refresh`` writes today's
date: every tag changes with it, so that ``plan`` shows the new images and their packages before anything is replaced.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from appliance.errors import ApplianceError, At, Exit

NAME = "images.lock"
_HEAD = "# Written by `appliance build --refresh`: the day (UTC) whose Debian packages the images hold. Keep it with the spec.\n"


@dataclass(frozen=True)
class Lock:
    """``refreshed``: the day (UTC) of the last refresh; None when there never was one.

    ``serial`` counts the refreshes of that day from 1, as a zone's serial does: a security update may come twice a day.
    """

    refreshed: date | None = None
    serial: int = 1

    @property
    def stamp(self) -> str:
        """What the tags count: ``2026-01-31``, ``2026-01-31.2`` for the second of a day, empty without a refresh."""
        if self.refreshed is None:
            return ""
        return self.refreshed.isoformat() + (f".{self.serial}" if self.serial > 1 else "")

    def next(self, today: date) -> Lock:
        """The lock of a refresh made today; never the same as this one."""
        return Lock(today, self.serial + 1) if self.refreshed == today else Lock(today)


def parse(text: str, file: str = NAME) -> Lock:
    """The lock that a text holds. Raises ApplianceError (invalid spec) with the line when it is none."""
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise _invalid(f"{file} cannot be read: {why}", file, text) from None
    value, serial = fields.pop("refreshed", None), fields.pop("serial", 1)
    if fields:
        raise _invalid(f"{file} has an unknown field {next(iter(fields))}", file, text)
    if value is not None and type(value) is not date:  # a datetime is a date to isinstance
        raise _invalid(f"{file}: refreshed is a date like 2026-01-31", file, text)
    if type(serial) is not int or serial < 1:
        raise _invalid(f"{file}: serial is a number from 1", file, text)
    return Lock(value, serial)


def read(folder: Path) -> Lock:
    """The lock beside the spec in ``folder``; without a file, no refresh date."""
    path = folder / NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock()
    except (OSError, UnicodeDecodeError) as why:
        raise ApplianceError(f"{path} cannot be read: {why}", code=Exit.INVALID_SPEC) from None
    return parse(text, str(path))


def write(folder: Path, lock: Lock) -> Path:
    """Writes the lock by rename, so that an interrupted refresh leaves the old file or the new one."""
    path, new = folder / NAME, folder / f".{NAME}.new"
    line = f"refreshed = {lock.refreshed.isoformat()}\n" if lock.refreshed else ""
    line += f"serial = {lock.serial}\n" if lock.serial > 1 else ""
    try:
        new.write_text(_HEAD + line, encoding="utf-8")
        new.replace(path)
    except OSError as why:
        new.unlink(missing_ok=True)
        raise ApplianceError(f"{path} cannot be written: {why.strerror}") from None
    return path


def _invalid(message: str, file: str, text: str) -> ApplianceError:
    lines = text.splitlines() or [""]
    at = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
    return ApplianceError(
        message,
        hint="`appliance build --refresh` writes it anew; without the file the images have no refresh date",
        at=At(file, at + 1, 1, lines[at]),
        code=Exit.INVALID_SPEC,
    )
