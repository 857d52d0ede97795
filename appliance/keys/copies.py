"""A ring on its way between machines: written to a tar, read from a tar or a folder, taken over after every file was checked."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.keys import adopted, make, removed
from appliance.keys.folder import Folder, read
from appliance.keys.identity import HMAC_KEY, RING_JSON, Identity, parse, read_identity
from appliance.keys.ring import KeyRing

_KEY = re.compile(r"(dkim/[^/]+/[^/]+|tls/key|acme/account|internal/[a-z]+-key)\.pem")
_CERTIFICATE = re.compile(r"(tls/cert|internal/(ca|[a-z]+-cert))\.pem")
_LISTS = (adopted.ADOPTED, removed.REMOVED)
_LARGEST = 64 * 1024  # bytes; the longest chain of certificates is a tenth of it


@dataclass(frozen=True)
class Copy:
    """A ring's files as they came: reference → bytes; ``place`` is where from, for messages."""

    place: str
    files: Mapping[str, bytes] = field(repr=False)


def from_folder(path: Path) -> Copy:
    """The ring in a folder. Raises ApplianceError when it cannot be read."""
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_file() and _known(name):
            found[name] = read(file)
    return Copy(str(path), found)


def from_tar(path: Path) -> Copy:
    """The ring in a tar, read in memory: nothing of it is unpacked. Raises ApplianceError for what is no tar."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                stream = archive.extractfile(member) if member.isfile() and member.size <= _LARGEST and _known(name) else None
                if stream is not None:
                    found[name] = stream.read()
    except tarfile.TarError as why:
        raise ApplianceError(f"{path} is not a tar of a ring: {why}") from None
    except OSError as why:
        raise ApplianceError(f"cannot read {path}: {why.strerror}") from None
    return Copy(str(path), found)


def to_tar(ring: KeyRing) -> bytes:
    """The whole ring as a tar. Whoever has it can sign as the domains."""
    copy, data = from_folder(ring.folder), io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in copy.files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def export_to(ring: KeyRing, target: Path) -> None:
    """Writes the tar, mode 0600, to a file that is not there yet. Raises ApplianceError."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as why:
        raise ApplianceError(f"cannot write {target}: {why.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(to_tar(ring))
        os.fsync(file.fileno())


def take(copy: Copy, ring: KeyRing) -> tuple[str, ...]:
    """Puts a copy's files into the ring of the same instance and returns what is new here.

    Everything is checked before anything is written. Raises ApplianceError: no ring, another instance's, a garbled key, or a key
    that is here already and different.
    """
    identity = _identity(copy)
    if identity.instance != ring.folder.name:
        raise ApplianceError(
            f"{copy.place} is the key ring of {identity.instance!r}, this spec's name is {ring.folder.name!r}",
            hint="the names must be the same: containers and volumes carry the ring's id",
        )
    here = read_identity(ring.files)
    if here is not None and here.ring_id != identity.ring_id:
        raise ApplianceError(
            f"{ring.folder} is another ring already ({here.ring_id}; {copy.place} is {identity.ring_id})",
            hint="move that folder away first, if its keys are not in use",
        )
    files = {ref: data for ref, data in copy.files.items() if ref not in (RING_JSON, HMAC_KEY)}
    for ref, data in files.items():
        check(ref, data, f"{copy.place}: {ref}")
        if ring.files.has(ref) and ring.files.read(ref) != data and _KEY.fullmatch(ref):
            raise ApplianceError(f"{ref} is here already and another key than in {copy.place}", hint="no key is overwritten")
    return write(ring.files, files, identity)


def write(folder: Folder, files: Mapping[str, bytes], identity: Identity) -> tuple[str, ...]:
    """Writes the keys, then the identity: a ring is there only when all of it is."""
    folder.create(".gitignore", b"*\n")
    new = tuple(ref for ref, data in files.items() if folder.create(ref, data))
    folder.create(HMAC_KEY, identity.hmac_key)
    folder.create(RING_JSON, identity.header())
    return new


def check(ref: str, data: bytes, place: str) -> None:
    """Raises ApplianceError when a file is not the key, the certificate or the list that its name says."""
    if ref == removed.REMOVED:
        removed.parse(data, place)
    elif ref == adopted.ADOPTED:
        adopted.parse(data, place)
    elif _KEY.fullmatch(ref):
        make.parse_key(data, place, ours=False)
    else:
        make.parse_chain(data, place)


def _identity(copy: Copy) -> Identity:
    if RING_JSON not in copy.files or HMAC_KEY not in copy.files:
        hint = f"a ring is a folder with {RING_JSON} and {HMAC_KEY}, or the tar that `appliance keys export` wrote"
        raise ApplianceError(f"{copy.place} holds no key ring", hint=hint)
    return parse(copy.files[RING_JSON], copy.files[HMAC_KEY], copy.place)


def _known(name: str) -> bool:
    return name in (RING_JSON, HMAC_KEY, *_LISTS) or bool(_KEY.fullmatch(name) or _CERTIFICATE.fullmatch(name))
