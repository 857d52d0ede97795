"""Who had a mailbox once: the list in the ring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.keys import removed
from appliance.keys.folder import Folder

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "ring")


def text(folder: Folder) -> str:
    return folder.read(removed.REMOVED).decode()


def test_nobody_went_and_nothing_is_written(folder: Folder) -> None:
    removed.remember(folder, (), {"alice@example.org"}, DAY)
    assert removed.read(folder) == ()
    assert not folder.has(removed.REMOVED)


def test_the_day_is_that_on_which_it_really_went(folder: Folder) -> None:
    """An apply that failed has left the mailbox in place: its 30 days begin with the one that took it away."""
    removed.remember(folder, ("bob@example.org",), (), DAY)
    removed.remember(folder, ("abel@example.org",), (), DAY + timedelta(days=3))
    assert text(folder) == "abel@example.org 2026-03-04\nbob@example.org 2026-03-01\n"
    removed.remember(folder, ("bob@example.org",), (), DAY + timedelta(days=40))
    assert removed.due(folder, (), DAY + timedelta(days=41)) == ("abel@example.org",)


def test_who_is_back_is_off_the_list(folder: Folder) -> None:
    removed.remember(folder, ("bob@example.org",), (), DAY)
    removed.remember(folder, (), {"bob@example.org"}, DAY)
    assert removed.read(folder) == ()


@pytest.mark.parametrize(("days", "due"), [(0, ()), (29, ()), (30, ("bob@example.org",)), (300, ("bob@example.org",))])
def test_mail_is_kept_30_days(folder: Folder, days: int, due: tuple[str, ...]) -> None:
    removed.remember(folder, ("bob@example.org",), (), DAY)
    assert removed.due(folder, (), DAY + timedelta(days=days)) == due
    assert removed.due(folder, {"bob@example.org"}, DAY + timedelta(days=days)) == (), "who is in the spec keeps it"


def test_ended_once_and_kept_from_a_catch_all_for_ever(folder: Folder) -> None:
    removed.remember(folder, ("bob@example.org",), (), DAY)
    removed.end(folder, ("bob@example.org", "stranger@example.org"))
    assert text(folder) == "bob@example.org 2026-03-01 ended\n"
    assert removed.due(folder, (), DAY + timedelta(days=60)) == ()
    # a mailbox that came back and went again has its own 30 days
    removed.remember(folder, ("bob@example.org",), (), DAY + timedelta(days=90))
    assert text(folder) == "bob@example.org 2026-05-30\n"


@pytest.mark.parametrize("line", ["bob@example.org", "bob@example.org yesterday", "bob@example.org 2026-13-01"])
def test_a_line_that_is_none_of_ours(folder: Folder, line: str) -> None:
    folder.create(removed.REMOVED, f"\nabel@example.org 2026-03-01\n{line}\n".encode())
    with pytest.raises(ApplianceError, match=r"people/removed:3: not a removed mailbox: 'bob@"):
        removed.read(folder)
