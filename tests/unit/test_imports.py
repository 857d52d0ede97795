"""The arrow, held: imports run one way, and the pure rooms know no engine, no clock and no socket."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "appliance"

#: room → rooms that it may import (itself, errors and the names below always)
ALLOWED = {
    "errors": set(),
    "resources": {"errors"},
    "preflight": set(),
    "spec": {"errors", "catalog", "spec"},
    "catalog": {"errors", "spec", "render"},
    "people": {"spec", "keys"},
    "topology": {"errors", "catalog", "keys", "people", "render", "spec"},
    "render": {"errors", "catalog", "keys", "people", "topology", "spec"},
    "keys": {"errors", "render", "spec", "engines"},
    "dns": {"errors", "keys", "render", "spec"},
    "observed": {"render"},
    "plan": {"errors", "observed", "render"},
    "images": {"errors", "resources", "engines", "preflight"},
    "engines": {"errors", "observed", "plan", "render", "images", "catalog"},
    "verify": {"errors", "engines", "keys", "people", "render", "spec", "dns", "catalog", "resources", "topology"},
}
#: rooms that open no socket, read no clock and no disk: what they may not even import
PURE = {
    "people.py",
    "topology.py",
    "observed.py",
    "plan",
    "render",
    "catalog/role.py",
    "dns/wanted.py",
    "dns/records.py",
    "dns/zone.py",
}
WORLD = {
    "socket",
    "time",
    "subprocess",
    "docker",
    "requests",
    "dns.resolver",
    "dns.query",
    "ssl",
    "random",
    "secrets",
    "threading",
}


def modules() -> Iterator[Path]:
    yield from sorted(p for p in PACKAGE.rglob("*.py") if "_data" not in p.parts)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", list(modules()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_along_the_arrow(path: Path) -> None:
    here = room(path)
    if here in ("cli", "__main__", "__init__"):
        return
    found = {name.split(".")[1] for name in imports(path) if name.startswith("appliance.") and name.count(".") >= 1}
    rooms = {p.name.removesuffix(".py") for p in PACKAGE.iterdir()}
    wrong = {r for r in found & rooms if r not in ALLOWED[here] | {here, "errors", "__init__"}}
    assert not wrong, f"{here} may not know {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("path", list(modules()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pure_rooms_do_not_touch_the_world(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    if not any(name == p or name.startswith(f"{p}/") for p in PURE):
        return
    assert not set(imports(path)) & WORLD


HEAVY = "heavy = {'docker', 'dns', 'ansible_runner', 'jinja2', 'cryptography', 'pytest'} & set(sys.modules);"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("appliance ke", {"plain,keys"}),
        ("appliance up --wa", {"plain,--wait-timeout"}),
        ("appliance keys pu", {"plain,pull"}),
        ("appliance verify --suite ", {"plain,smoke", "plain,full"}),
    ],
)
def test_completion_loads_no_heavy_library(words: str, offered: set[str]) -> None:
    program = f"import sys; from appliance.cli.main import run; run();{HEAVY}sys.exit(f'loaded: {{heavy}}' if heavy else 0)"
    shell = {"_APPLIANCE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, env={**os.environ, **shell}, capture_output=True, text=True, check=False)
    assert (done.returncode, set(done.stdout.splitlines())) == (0, offered), done.stderr


@pytest.mark.parametrize("verb", [["--help"], ["validate", "--help"], ["explain", "--help"], ["--version"]])
def test_help_loads_no_heavy_library(verb: list[str]) -> None:
    program = (
        f"import sys; from appliance.cli.main import run; run(sys.argv[1:]);{HEAVY}sys.exit(f'loaded: {{heavy}}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *verb], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
