"""What each role renders is what its golden folder shows. `make golden` rewrites it and prints the diff."""

from __future__ import annotations

import pytest

from tests.golden import golden


@pytest.mark.parametrize("name", golden.SPECS)
def test_what_is_rendered_is_what_the_golden_files_show(name: str) -> None:
    lines = [line for path, data in golden.files(name) for line in golden.difference(path, data)]
    assert not lines, "\n".join(["`make golden` rewrites these:", *lines])


@pytest.mark.parametrize("name", golden.SPECS)
def test_no_golden_file_is_left_behind(name: str) -> None:
    assert not golden.stale(name)


def test_every_role_has_golden_files() -> None:
    for role in golden.catalog().values():
        assert list((role.folder / "golden").glob("*/*/*")), role.name
