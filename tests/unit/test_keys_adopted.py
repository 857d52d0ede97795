"""The rings that a ring has taken over: remembered, shown to the plan, carried along, and garbled."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.keys import adopted
from appliance.keys.copies import export_to, from_tar, take
from tests.unit.keys_room import Told, ring, spec

ONE, TWO = "0123456789abcdef", "fedcba9876543210"


def test_remembered_for_ever_and_for_the_plan(tmp_path: Path) -> None:
    here = ring(tmp_path)
    assert here.adopted == frozenset()
    here.create(spec(), Told())
    adopted.remember(here.files, [TWO])
    adopted.remember(here.files, [ONE, TWO])
    assert (here.folder / "adopted").read_text() == f"{ONE}\n{TWO}\n"
    assert (here.folder / "adopted").stat().st_mode & 0o777 == 0o600
    assert here.adopted == here.view(spec()).adopted == {ONE, TWO}


def test_nothing_to_remember_writes_nothing(tmp_path: Path) -> None:
    here = ring(tmp_path)
    adopted.remember(here.files, [])
    assert not (here.folder / "adopted").exists()


def test_it_travels_with_the_ring(tmp_path: Path) -> None:
    for name in ("there", "here"):
        (tmp_path / name).mkdir()
    there, here = ring(tmp_path / "there"), ring(tmp_path / "here")
    there.create(spec(), Told())
    adopted.remember(there.files, [ONE])
    export_to(there, tmp_path / "ring.tar")
    assert adopted.ADOPTED in take(from_tar(tmp_path / "ring.tar"), here)
    assert here.adopted == {ONE}


def test_a_garbled_line_is_named(tmp_path: Path) -> None:
    here = ring(tmp_path)
    here.create(spec(), Told())
    here.files.replace("adopted", b"../../etc\n")
    with pytest.raises(ApplianceError, match=r"not the id of a key ring: '\.\./\.\./etc'"):
        here.view(spec())
