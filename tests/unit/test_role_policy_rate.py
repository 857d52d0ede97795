"""The count of recipients: a sliding hour that a restart does not empty. And tables that are read again when they are others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailpolicy.rate import Rate
from mailpolicy.tables import Table, addresses


class Clock:
    """Seconds that a test moves."""

    now = 6_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_hour_slides() -> None:
    clock = Clock()
    rate = Rate(clock)
    assert [rate.take("a", 2), rate.take("a", 2), rate.take("a", 2), rate.take("b", 2)] == [True, True, False, True]
    clock.now += 59 * 60
    assert not rate.take("a", 2)
    clock.now += 60
    assert rate.take("a", 2)


def test_a_restart_is_no_new_allowance(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "counts"
    rate = Rate(clock)
    rate.take("a", 2)
    rate.take("a", 2)
    rate.save(file)
    again = Rate(clock)
    again.load(file)
    assert not again.take("a", 2)
    assert again.take("a", 3)


def test_only_news_is_written_and_what_is_over_is_forgotten(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "counts"
    rate = Rate(clock)
    rate.save(file)
    assert not file.exists()
    rate.take("old", 5)
    rate.save(file)
    clock.now += 3601
    rate.take("new", 5)
    rate.save(file)
    assert "old" not in file.read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"x": 1}}'])
def test_a_damaged_file_does_not_stop_the_filter(tmp_path: Path, text: str) -> None:
    file = tmp_path / "counts"
    file.write_text(text)
    rate = Rate(Clock())
    rate.load(file)
    assert rate.take("a", 1)


def test_a_table_is_read_again_when_another_takes_its_name(tmp_path: Path) -> None:
    file = tmp_path / "senders"
    file.write_text("# remark\na@x.example a@x.example\nb@x.example\n")
    table = Table(str(file), addresses)
    assert table.get() == {"a@x.example": ("a@x.example",), "b@x.example": ()}
    assert table.get() is table.get()
    new = tmp_path / "new"
    new.write_text("c@x.example A@x.example, b@x.example\n")
    os.utime(new, ns=(1, 1))
    new.rename(file)
    assert table.get() == {"c@x.example": ("a@x.example", "b@x.example")}


def test_a_table_that_is_gone_is_an_error_and_no_old_answer(tmp_path: Path) -> None:
    file = tmp_path / "senders"
    file.write_text("a@x.example a@x.example\n")
    table = Table(str(file), addresses)
    table.get()
    file.unlink()
    with pytest.raises(FileNotFoundError):
        table.get()
