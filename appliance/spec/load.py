"""The doorway: text → ``Loaded``. All errors at once, each with its place; a fault of the user is never a traceback.

Pure apart from the ``Reader`` that it is handed: what the spec names (included files, certificates, folders) goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as DiskPath
from typing import TYPE_CHECKING

from appliance.errors import At, InvalidSpec, Problem
from appliance.spec.checks_machine import machine_checks
from appliance.spec.checks_people import people_checks
from appliance.spec.complaints import judge
from appliance.spec.ground import Ground
from appliance.spec.model import Mailbox, Spec
from appliance.spec.names import address, domain, words_for
from appliance.spec.options import roles
from appliance.spec.planter import Planter
from appliance.spec.rows import read_rows
from appliance.spec.source import Source
from appliance.spec.syntax import Stop
from appliance.spec.tree import Path, Reader, Tree, rekey

if TYPE_CHECKING:
    from appliance.catalog.role import Role

__all__ = ["DiskReader", "FolderFiles", "Loaded", "Reader", "load"]

_SECTIONS: Mapping[str, Callable[[object], str]] = {"domains": domain, "routes": domain, "mailboxes": address, "aliases": address}


@dataclass(frozen=True)
class Loaded:
    """A valid spec. ``where`` gives the place of a path such as ``("mailboxes", "alice@example.org", "quota")``."""

    spec: Spec
    warnings: tuple[Problem, ...]
    where: Callable[[Path], At]


def load(text: str, file: str, catalog: Mapping[str, Role], reader: Reader) -> Loaded:
    """Reads a spec. ``file`` is its name in messages. Raises InvalidSpec with every problem, in the order of the text."""
    planter = Planter(reader)
    try:
        tree = _root(planter, file, text)
    except Stop as why:
        raise InvalidSpec((*planter.problems, why.problem)) from None
    problems = list(planter.problems)
    for name, normal in _SECTIONS.items():
        section = (tree.children or {}).get(name)
        if section is not None and section.children is not None and not section.listed:
            problems += rekey(section, normal, name)
    settings, found = roles((tree.children or {}).get("roles"), catalog, reader)
    problems += found
    spec, broken, found = judge(tree)
    problems += _first_at_each_place(problems, found)
    mailboxes = dict(spec.mailboxes)
    problems += _rows(tree, mailboxes)
    spec = spec.model_copy(update={"roles": settings, "mailboxes": mailboxes})
    ground = Ground(spec, tree, broken)
    problems += [*machine_checks(ground, reader), *people_checks(ground)]
    ordered = tuple(
        sorted(dict.fromkeys(problems), key=lambda p: (p.at.file != file, p.at.file, p.at.line, p.at.column, p.message))
    )
    if any(p.level == "error" for p in ordered):
        raise InvalidSpec(ordered)
    return Loaded(spec, ordered, ground.at)


def _root(planter: Planter, file: str, text: str) -> Tree:
    source = Source(file, text)
    tree = planter.plant(file, text)
    if tree is None:
        hint = "`appliance init example.org` writes a commented one"
        raise Stop(Problem("empty-spec", "the spec is empty", source.at(0, 0), hint))
    if tree.children is None or tree.listed:
        message = f"the spec is a map of fields, not {'a list' if tree.listed else words_for(tree.value)}"
        raise Stop(Problem("not-a-map", message, tree.at(), "it begins with version: 1"))
    return tree


def _first_at_each_place(before: list[Problem], found: list[Problem]) -> Iterator[Problem]:
    """What YAML already complained of at a place is not complained of twice."""
    places = {(p.at.file, p.at.line, p.at.column) for p in before if p.kind.startswith("yaml")}
    yield from (p for p in found if (p.at.file, p.at.line, p.at.column) not in places)


def _rows(tree: Tree, mailboxes: dict[str, Mailbox]) -> Iterator[Problem]:
    section = (tree.children or {}).get("mailboxes")
    if section is None:
        return
    inline = section.children or {}
    for number, source in enumerate(section.rows):
        found = list(read_rows(source, mailboxes, inline, section.rows[:number]))
        section.incomplete |= bool(found)
        yield from found


class DiskReader:
    """Reads what the spec names, relative to the spec's folder; ``~`` is the user's home."""

    def __init__(self, folder: DiskPath) -> None:
        self._folder = folder

    def _path(self, path: str) -> DiskPath:
        try:
            return self._folder / DiskPath(path).expanduser()
        except RuntimeError:  # ~somebody who does not exist
            raise FileNotFoundError(path) from None

    def file(self, path: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        return self._path(path).read_bytes()

    def folder(self, path: str) -> FolderFiles:
        """The files of a folder without its sub-folders and hidden files. Raises OSError."""
        return FolderFiles(self._path(path))


class FolderFiles(Mapping[str, bytes]):
    """Name → bytes. The bytes are read when they are asked for: a signature database has hundreds of megabytes."""

    def __init__(self, folder: DiskPath) -> None:
        self._folder = folder
        self._names = tuple(sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")))

    def __getitem__(self, name: str) -> bytes:
        if name not in self._names:
            raise KeyError(name)
        return (self._folder / name).read_bytes()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
