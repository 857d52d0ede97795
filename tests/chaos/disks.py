"""File systems of our own on loop devices: small ones to fill, and some whose device can be copied in a moment. Needs root."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

MIB = 2**20


def run(*argv: str | Path) -> str:
    """A program of the system; what it printed. Raises RuntimeError with its words."""
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    end = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=path)
    if end.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {end.stderr.strip()}")
    return end.stdout


@contextmanager
def mounted(image: Path, *options: str) -> Iterator[Path]:
    """An image's file system, as long as it is needed."""
    place = Path(tempfile.mkdtemp(prefix="t-chaos-"))
    try:
        run("mount", "-o", ",".join(("loop", *options)), image, place)
        try:
            yield place
        finally:
            run("umount", place)
    finally:
        place.rmdir()


@contextmanager
def image(folder: Path, name: str, kind: str, size: int, *more: str) -> Iterator[Path]:
    """A new file system of ``size`` bytes, mounted; its file is ``folder/name``."""
    file = folder / name
    with file.open("wb") as new:
        new.truncate(size)
    run(f"mkfs.{kind}", "-q", *more, file)
    with mounted(file) as place:
        yield place
    file.unlink()


@contextmanager
def ext4(sizes: Mapping[str, int]) -> Iterator[Mapping[str, Path]]:
    """Name → where a file system of that many bytes is mounted."""
    folder = Path(tempfile.mkdtemp(prefix="t-chaos-"))
    try:
        with ExitStack() as stack:
            made = {n: stack.enter_context(image(folder, n, "ext4", size, "-m", "0")) for n, size in sizes.items()}
            yield made
    finally:
        shutil.rmtree(folder)


@contextmanager
def cuttable(size: int) -> Iterator[tuple[Path, Path]]:
    """(the image's file, where it is mounted): ext4 in a file on btrfs, whose reflink is the moment of a power cut."""
    folder = Path(tempfile.mkdtemp(prefix="t-chaos-"))
    try:
        with image(folder, "backing", "btrfs", 20 * size) as floor, image(floor, "disk", "ext4", size, "-m", "0") as place:
            yield floor / "disk", place
    finally:
        shutil.rmtree(folder)


def volumes(place: Path, names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """The local driver's options for volumes that are folders of a mounted file system."""
    for name in names:
        (place / name).mkdir()
    return {name: {"type": "none", "o": "bind", "device": str(place / name)} for name in names}
