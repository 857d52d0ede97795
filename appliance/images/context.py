"""Build contexts: the folders from which images are built, read into memory.

``images/<name>/`` belongs to the image of that name, ``roles/<role>/image/`` to the image of the role's name. What is
read is exactly what is sent to the engine and what the tag is a digest of, so nothing counts that is not built, or the other way
round.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.resources import folder, role_folders

#: the folder below images/ that all others are built from
BASE = "base"
#: traces of editors, interpreters and version control: neither sent nor counted, or two checkouts would give two tags
IGNORED = ("__pycache__", "*.py[co]", "*~", ".*.sw?", ".#*", "#*#", ".DS_Store", ".git*", ".mypy_cache", ".ruff_cache")


@dataclass(frozen=True)
class ContextFile:
    """One file of a build context; ``path`` is relative, with slashes."""

    path: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True)
class Context:
    """All that an image is built from, sorted by path. ``origin`` is the folder, for messages only."""

    name: str
    files: tuple[ContextFile, ...]
    origin: str = ""

    def file(self, path: str) -> bytes:
        """The bytes of one file. Raises KeyError when the context has no such file."""
        for entry in self.files:
            if entry.path == path:
                return entry.data
        raise KeyError(path)

    def tar(self) -> bytes:
        """The context as the engine takes it: owner root, one mode for files and one for programs, one time for all."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for entry in self.files:
                info = tarfile.TarInfo(entry.path)
                info.size, info.mode = len(entry.data), 0o755 if entry.executable else 0o644
                archive.addfile(info, io.BytesIO(entry.data))
        return out.getvalue()


def read(name: str, root: Path) -> Context:
    """The context in a folder. Raises ApplianceError when it has no Dockerfile or holds what cannot travel in a wheel."""
    files = tuple(_files(root, root))
    if not any(entry.path == "Dockerfile" for entry in files):
        raise ApplianceError(f"the image {name} has no Dockerfile in {root}")
    return Context(name, tuple(sorted(files, key=lambda entry: entry.path)), str(root))


def contexts(images: Path | None = None, roles: Iterable[Path] | None = None) -> Mapping[str, Context]:
    """Every context by the name of its image, ``base`` included. Defaults: those of this copy of the program.

    Raises ApplianceError when two folders make an image of one name.
    """
    found: dict[str, Context] = {}
    for name, root in _folders(folder("images") if images is None else images, role_folders() if roles is None else roles):
        if name in found:
            raise ApplianceError(f"the image {name} stands in {found[name].origin} and in {root}", hint="rename one of them")
        found[name] = read(name, root)
    return dict(sorted(found.items()))


def _folders(images: Path, roles: Iterable[Path]) -> Iterable[tuple[str, Path]]:
    for path in sorted(images.iterdir()):
        if path.is_dir() and not _ignored(path.name):
            yield path.name, path
    for room in roles:
        for path in sorted(room.iterdir()):
            if (path / "image").is_dir():
                yield path.name, path / "image"


def _files(path: Path, root: Path) -> Iterable[ContextFile]:
    for entry in sorted(path.iterdir()):
        if _ignored(entry.name):
            continue
        if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            raise ApplianceError(f"{entry} is neither a file nor a folder", hint="a build context holds nothing else")
        if entry.is_dir():
            yield from _files(entry, root)
        else:
            # the owner's bit alone: group and others depend on the umask of whoever made the checkout
            executable = bool(entry.stat().st_mode & 0o100)
            yield ContextFile(entry.relative_to(root).as_posix(), entry.read_bytes(), executable)


def _ignored(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in IGNORED)
