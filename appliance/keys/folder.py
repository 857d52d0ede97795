"""The ring's folder on disk: nothing in it is ever torn, overwritten by accident or readable by others."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
from pathlib import Path

from appliance.errors import ApplianceError

_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")
#: file systems without hard links (vfat, some shared folders of virtual machines) answer one of these
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Folder:
    """Files by reference (``dkim/example.org/s1-rsa.pem``) below ``root``; folders 0700, files 0600."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, ref: str) -> Path:
        """Where a reference lies. Raises ApplianceError for one that would leave the folder."""
        if not all(_PART.fullmatch(part) for part in ref.split("/")):
            hint = "a DKIM selector has letters, digits, '-' and '.' only"
            raise ApplianceError(f"{ref!r} cannot be the name of a key", hint=hint)
        return self.root / ref

    def has(self, ref: str) -> bool:
        """Whether there is such a file."""
        return self.path(ref).is_file()

    def read(self, ref: str) -> bytes:
        """The bytes. Raises ApplianceError when the file is missing, unreadable, or open to others."""
        path = self.path(ref)
        self.guard(path)
        return read(path)

    def guard(self, path: Path) -> None:
        """Raises ApplianceError when others than the owner may read or write ``path``."""
        try:
            mode = path.stat().st_mode
        except OSError as why:
            raise ApplianceError(f"cannot read {path}: {why.strerror}") from None
        if mode & 0o077:
            raise ApplianceError(
                f"{path} has mode {mode & 0o777:04o}: others than its owner can use it",
                hint=f"chmod -R go-rwx {shlex.quote(str(self.root))}",
            )

    def check(self) -> None:
        """Raises ApplianceError when the folder itself is open to others."""
        self.guard(self.root)

    def create(self, ref: str, data: bytes) -> bool:
        """Puts a new file there, whole or not at all. False when one exists: it stays as it is, in a race too."""
        path = self.path(ref)
        self._parents(path)
        tmp = _write_beside(path, data)
        try:
            os.link(tmp, path)  # unlike rename, a link never takes another file's place
        except FileExistsError:
            return False
        except OSError as why:
            if why.errno not in _NO_LINKS:
                raise ApplianceError(f"cannot write {path}: {why.strerror}") from None
            return _create_directly(path, data)
        finally:
            tmp.unlink()
            _sync(path.parent)
        return True

    def replace(self, ref: str, data: bytes) -> None:
        """Takes the place of a file (a certificate that is renewed; never a key), whole or not at all."""
        path = self.path(ref)
        self._parents(path)
        _write_beside(path, data).rename(path)
        _sync(path.parent)

    def _parents(self, path: Path) -> None:
        """The folders down to ``path``, and the ``keys`` folder that holds the ring, 0700 each."""
        inside = [p for p in path.parents if p == self.root or self.root in p.parents]
        for folder in reversed(inside):
            try:
                folder.parent.mkdir(mode=0o700, exist_ok=True)
                folder.mkdir(mode=0o700, exist_ok=True)
            except OSError as why:
                raise ApplianceError(f"cannot make the folder {folder}: {why.strerror}") from None


def read(path: Path) -> bytes:
    """A file's bytes; ApplianceError instead of OSError."""
    try:
        return path.read_bytes()
    except OSError as why:
        raise ApplianceError(f"cannot read {path}: {why.strerror}") from None


def _write_beside(path: Path, data: bytes) -> Path:
    """A complete, synced file of mode 0600 in the same folder, under a name that no reference has."""
    tmp = path.parent / f".new-{secrets.token_hex(8)}"
    _create_directly(tmp, data)
    return tmp


def _create_directly(path: Path, data: bytes) -> bool:
    """Exclusive too, but a machine that dies meanwhile leaves a short file, which is later refused as garbled."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except OSError as why:
        raise ApplianceError(f"cannot write {path}: {why.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as why:
        path.unlink()
        raise ApplianceError(f"cannot write {path}: {why.strerror}") from None
    return True


def _sync(folder: Path) -> None:
    """Makes a folder's entries survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
