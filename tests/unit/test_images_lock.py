"""images.lock: the date beside the spec."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Exit
from appliance.images.lock import NAME, Lock, parse, read, write

TODAY, TOMORROW = date(2026, 1, 31), date(2026, 2, 1)


@pytest.mark.parametrize(
    ("text", "lock", "stamp"),
    [
        ("", Lock(), ""),
        ("# only a comment\n", Lock(), ""),
        ("refreshed = 2026-01-31\n", Lock(TODAY), "2026-01-31"),
        ("refreshed = 2026-01-31\nserial = 2\n", Lock(TODAY, 2), "2026-01-31.2"),
    ],
)
def test_read(text: str, lock: Lock, stamp: str) -> None:
    assert parse(text) == lock
    assert lock.stamp == stamp


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("refreshed = yesterday", "cannot be read", 1),
        ('refreshed = "2026-01-31"', "refreshed is a date", 1),
        ("refreshed = 2026-01-31T10:00:00Z", "refreshed is a date", 1),
        ("# a comment\n\nrefresh = 2026-01-31", "unknown field refresh", 3),
        ("refreshed = 2026-01-31\nserial = 0", "serial is a number from 1", 1),
    ],
)
def test_refused(text: str, says: str, line: int) -> None:
    with pytest.raises(ApplianceError, match=says) as caught:
        parse(text, "images.lock")
    assert caught.value.code == Exit.INVALID_SPEC
    assert caught.value.at is not None
    assert (caught.value.at.file, caught.value.at.line) == ("images.lock", line)


@pytest.mark.parametrize(
    ("old", "new"), [(Lock(), Lock(TOMORROW)), (Lock(TODAY, 3), Lock(TOMORROW)), (Lock(TOMORROW), Lock(TOMORROW, 2))]
)
def test_a_refresh_always_changes_the_stamp(old: Lock, new: Lock) -> None:
    assert old.next(TOMORROW) == new
    assert old.stamp != new.stamp


def test_no_file_is_no_refresh(tmp_path: Path) -> None:
    assert read(tmp_path) == Lock()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for lock in (Lock(TODAY), Lock(TODAY, 2), Lock()):
        write(tmp_path, lock)
        assert read(tmp_path) == lock
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match=r"images\.lock cannot be written"):
        write(tmp_path / "missing", Lock(TODAY))
