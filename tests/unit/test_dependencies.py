"""The product alone, without the test tools, has what it imports and what its libraries import only when asked."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
#: imported only behind the extra `fleet`
OPTIONAL = {"ansible_runner"}
#: what a library imports when it is asked for something, without requiring it: why we ask
AT_NEED = {"pynacl": "dkimpy judges Ed25519 signatures (RFC 8463) with it"}


def _closure(wanted: list[str]) -> set[str]:
    found: set[tuple[str, str]] = set()
    open_ends = [(Requirement(text), "") for text in wanted]
    while open_ends:
        requirement, extra = open_ends.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for each in ("", *requirement.extras):
            if (name, each) not in found:
                found.add((name, each))
                open_ends += [(Requirement(text), each) for text in requires(name) or ()]
    return {name for name, _ in found}


def _product() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return _closure(project["dependencies"])


def _imported() -> Iterator[tuple[str, Path]]:
    for file in (ROOT / "appliance").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], file) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0], file


def test_what_is_imported_is_required() -> None:
    product, owners = _product(), packages_distributions()
    missing = {
        f"{module}, imported by {file.relative_to(ROOT)}"
        for module, file in _imported()
        if module not in sys.stdlib_module_names
        and module not in OPTIONAL | {"appliance"}
        and not {canonicalize_name(owner) for owner in owners.get(module, ())} & product
    }
    assert not missing


def test_what_is_imported_at_need_is_required() -> None:
    assert set(AT_NEED) <= _product(), AT_NEED
