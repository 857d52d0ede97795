"""The ring's folder: whole files, never overwritten, never open to others."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from appliance.errors import ApplianceError
from appliance.keys.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "keys" / "example")


def test_folders_are_0700_and_files_0600_whatever_the_umask(folder: Folder) -> None:
    before = os.umask(0)
    try:
        assert folder.create("dkim/example.org/s1-rsa.pem", b"key")
    finally:
        os.umask(before)
    modes = {p.name: p.stat().st_mode & 0o777 for p in (folder.root.parent, *folder.root.parent.rglob("*"))}
    assert modes == {"keys": 0o700, "example": 0o700, "dkim": 0o700, "example.org": 0o700, "s1-rsa.pem": 0o600}


@pytest.mark.parametrize("links", [True, False], ids=["by a hard link", "on a file system without hard links"])
def test_a_file_is_never_overwritten(folder: Folder, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refused(_old: object, _new: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("appliance.keys.folder.os.link", refused)
    assert folder.create("tls/key.pem", b"first")
    assert not folder.create("tls/key.pem", b"second")
    assert folder.read("tls/key.pem") == b"first"
    assert [p.name for p in folder.path("tls/key.pem").parent.iterdir()] == ["key.pem"]


def test_of_many_writers_at_once_exactly_one_wins(folder: Folder) -> None:
    candidates = [bytes([n]) * 4096 for n in range(32)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda data: Folder(folder.root).create("hmac.key", data), candidates))
    assert won.count(True) == 1
    assert folder.read("hmac.key") == candidates[won.index(True)]


@pytest.mark.parametrize("syncs", [0, 1], ids=["beside", "without hard links, in its place"])
def test_a_disk_that_is_full_leaves_no_half_file(folder: Folder, monkeypatch: pytest.MonkeyPatch, syncs: int) -> None:
    left = iter(range(syncs))

    def full(_descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def refused(_old: object, _new: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("appliance.keys.folder.os.link", refused)
    monkeypatch.setattr("appliance.keys.folder.os.fsync", full)
    monkeypatch.setattr("appliance.keys.folder._sync", lambda _folder: None)
    with pytest.raises(ApplianceError, match="No space left"):
        folder.create("tls/key.pem", b"key")
    assert not [p for p in folder.root.rglob("*") if p.is_file()]


@pytest.mark.parametrize("ref", ["../mail.yml", "dkim/../../x", "/etc/passwd", "dkim//x", "", "dkim/a b", "dkim/./x", "tls/k\n"])
def test_a_reference_does_not_leave_the_folder(folder: Folder, ref: str) -> None:
    with pytest.raises(ApplianceError, match="cannot be the name of a key"):
        folder.path(ref)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_use_is_refused_with_the_remedy(folder: Folder, mode: int) -> None:
    folder.create("tls/key.pem", b"key")
    folder.path("tls/key.pem").chmod(mode)
    with pytest.raises(ApplianceError, match=f"mode {mode:04o}") as refused:
        folder.read("tls/key.pem")
    assert refused.value.hint == f"chmod -R go-rwx {folder.root}"


def test_replace_takes_the_place_of_a_certificate(folder: Folder) -> None:
    folder.create("tls/cert.pem", b"old")
    folder.replace("tls/cert.pem", b"new")
    assert folder.read("tls/cert.pem") == b"new"


def test_a_missing_file_is_an_error_in_words(folder: Folder) -> None:
    with pytest.raises(ApplianceError, match="No such file"):
        folder.read("tls/cert.pem")
