"""Every broken spec is refused with exactly the words that stand beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.badspecs.gallery import HERE, report, specs

#: specs that are valid and only get a word of warning
WARNED = {p.name for p in specs() if "-warn-" in p.name}


@pytest.mark.parametrize("path", specs(), ids=lambda p: p.stem)
def test_report(path: Path) -> None:
    """`make golden` rewrites the expected reports; read its diff before you commit it."""
    assert report(path) == path.with_suffix(".expected").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", specs(), ids=lambda p: p.stem)
def test_every_line_of_a_problem_has_its_place_and_no_secret(path: Path) -> None:
    said = report(path)
    heads = [line for line in said.splitlines() if re.match(r"\S+:\d+:\d+: (error|warning)\[", line)]
    assert heads, "a report without a place"
    assert said.endswith("valid\n") == (path.name in WARNED)
    assert "hunter2" not in said, "a password was printed"
    assert not re.search(r"argon2id\$|1yzZCqLl|1QhRN5MT", said), "a hash was printed"


def test_the_gallery_is_large_and_complete() -> None:
    assert len(specs()) >= 45
    numbers = [p.name[:3] for p in specs()]
    assert len(set(numbers)) == len(numbers), "two specs have one number"
    assert {p.stem for p in HERE.glob("*.expected")} == {p.stem for p in specs()}
