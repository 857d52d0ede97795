"""Files into and out of containers by the archive calls, which work on stopped containers too and need no program inside."""

from __future__ import annotations

import base64
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from appliance.engines.docker.api import Api, Refused


@dataclass(frozen=True)
class Entry:
    """One file of an archive; ``path`` is relative."""

    path: str
    data: bytes
    mode: int = 0o444
    owner: tuple[int, int] = (0, 0)
    link: str = ""  # a symbolic link to this, instead of a file


def pack(entries: Iterable[Entry], *, time: float, folders: Iterable[str] = ()) -> bytes:
    """A tar with numeric owners, all folders (0755, root) before their files, every mtime ``time``.

    TarInfo's own mtime is 0, with which a daemon that compares times would keep an old file.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        made: set[str] = set()
        for folder in folders:
            _folders(tar, folder + "/x", made, time)
        for entry in entries:
            _folders(tar, entry.path, made, time)
            info = tarfile.TarInfo(entry.path)
            info.size, info.mode, info.mtime = len(entry.data), entry.mode, int(time)
            info.uid, info.gid = entry.owner
            if entry.link:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            tar.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def _folders(tar: tarfile.TarFile, path: str, made: set[str], time: float) -> None:
    parts = path.split("/")[:-1]
    for n in range(1, len(parts) + 1):
        folder = "/".join(parts[:n])
        if folder not in made:
            made.add(folder)
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, int(time)
            tar.addfile(info)


def unpack(data: bytes) -> Iterator[Entry]:
    """The regular files of a tar, paths without its first component (the folder or file that was asked for)."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if member.isfile():
                _, slash, rest = member.name.partition("/")
                content = tar.extractfile(member)
                path = rest if slash else member.name
                yield Entry(path, content.read() if content else b"", member.mode, (member.uid, member.gid))


def moved(entries: Iterable[Entry], folder: str) -> Iterator[Entry]:
    """The same files below another folder."""
    for entry in entries:
        yield replace(entry, path=posixpath.join(folder, entry.path))


def put(api: Api, container: str, folder: str, tar: bytes) -> None:
    """Extracts a tar into a folder of a container. Not atomic: only for what nobody reads yet."""
    # without noOverwriteDirNonDir, copyUIDGID: owners are taken from the tar as they stand there
    api.call("PUT", f"/containers/{container}/archive", params={"path": folder}, data=tar, timeout=300)


def get(api: Api, container: str, path: str) -> list[Entry] | None:
    """The files at a path of a container, running or not; None when there is nothing."""
    try:
        return list(unpack(api.call("GET", f"/containers/{container}/archive", params={"path": path}, timeout=300).content))
    except Refused as why:
        if why.status == 404:
            return None
        raise


def link(api: Api, container: str, path: str) -> str | None:
    """The target of a symbolic link, by the stat header of a HEAD (3 ms, no exec); None when it is not there or no link."""
    try:
        answer = api.call("HEAD", f"/containers/{container}/archive", params={"path": path})
    except Refused as why:
        if why.status == 404:
            return None
        raise
    stat: Mapping[str, Any] = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
    return str(stat.get("linkTarget") or "") or None


def digest_of_link(target: str | None) -> str | None:
    """``gen/0123456789abcdef`` → the live digest; the engine answers with the target resolved (``/config/gen/…``)."""
    return posixpath.basename(target) if target and posixpath.basename(posixpath.dirname(target)) == "gen" else None
