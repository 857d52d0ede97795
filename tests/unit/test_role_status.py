"""What the services say of themselves to `appliance status`: each program on files that are made for it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.unit.roles_room import bundle, catalog, text

HOUR, DAY = 3600, 86400
LOCAL = "roles: {clamav: {signatures: ./sigs}}\n"


def said(program: str, *arguments: str, path: Path | None = None) -> tuple[int, str]:
    """Exit code and words of a rendered Perl program."""
    env = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    done = subprocess.run(
        ["perl", "-", *arguments], input=program, capture_output=True, text=True, check=False, env=env, timeout=20
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout.strip()


def test_who_says_something_has_the_program_it_names() -> None:
    speakers = {s.name: s for r in catalog().values() for s in r.services if s.status}
    assert set(speakers) >= {"postfix", "clamd", "resolver"}
    for name, service in speakers.items():
        assert service.status[-1].removeprefix("/config/current/") in {f.path for f in service.files}, name


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "the queue is empty"),
        (
            '{"queue_name": "deferred", "queue_id": "A", "arrival_time": @7200, "recipients": []}',
            "1 message in the queue, the oldest for 2 h",
        ),
        (
            '{"queue_name": "active", "queue_id": "A", "arrival_time": @60, "recipients": []}\n'
            '{"queue_name": "hold", "queue_id": "B", "arrival_time": @432000, "recipients": []}',
            "2 messages in the queue, the oldest for 5 days, 1 on hold",
        ),
        # a recipient's words are no field of the message
        (
            '{"queue_name": "active", "queue_id": "A", "arrival_time": @60,'
            ' "recipients": [{"address": "\\"arrival_time\\": 1"}]}',
            "1 message in the queue, the oldest for 1 min",
        ),
    ],
)
def test_the_queue(tmp_path: Path, lines: str, words: str) -> None:
    for ago in (60, 7200, 432000):
        lines = lines.replace(f"@{ago},", f"{int(time.time()) - ago},")
    (tmp_path / "lines").write_text(lines + "\n" if lines else "")
    postqueue(tmp_path, f'[ "$1" = -j ] && exec cat {tmp_path}/lines')
    assert said(text(bundle(""), "postfix", "status.pl"), path=tmp_path) == (0, words)


def test_a_queue_that_cannot_be_read_is_not_well(tmp_path: Path) -> None:
    postqueue(tmp_path, "exit 69")
    assert said(text(bundle(""), "postfix", "status.pl"), path=tmp_path) == (1, "the queue cannot be read")


def postqueue(folder: Path, body: str) -> None:
    """A postqueue that says what the test wants, and a disk with room."""
    program(folder, "postqueue", body)
    disk(folder)


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def disk(folder: Path, free: int = 50 << 30, files: int = 1000, unused: int = 900) -> None:
    """A df that says so of a disk of 100 GiB: bytes for -B1, files for -i."""
    lines = {"-B1": f"{100 << 30} 0 {free} 1% /", "-i": f"{files} 0 {unused} 1% /"}
    program(folder, "df", f"echo Filesystem; case $2 in {' '.join(f'{k}) echo /dev/x {v};;' for k, v in lines.items())} esac")


ROOM = {"free": 12 << 10}, {"unused": 3}


@pytest.mark.parametrize(("full", "free", "unused"), [(ROOM[0], "0.0", "900"), (ROOM[1], "51200.0", "3")])
def test_a_full_disk_below_the_queue_is_not_well(tmp_path: Path, full: dict[str, int], free: str, unused: str) -> None:
    postqueue(tmp_path, "true")
    disk(tmp_path, **full)
    code, words = said(text(bundle(""), "postfix", "status.pl"), path=tmp_path)
    assert (code, words.partition(", mail is")[0]) == (1, f"no room: {free} MiB and {unused} files free")
    assert words.endswith("; the queue is empty")


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        ({}, (0, "50 % of the disk is used")),
        ({"files": 0, "unused": 0}, (0, "50 % of the disk is used")),  # btrfs counts no files
        ({"free": 12 << 10}, (1, "no room for mail: 0.0 MiB and 900 files free; it waits in the queue until there is")),
        ({"unused": 3}, (1, "no room for mail: 51200.0 MiB and 3 files free; it waits in the queue until there is")),
    ],
)
def test_the_disk_below_the_mail(tmp_path: Path, room: dict[str, int], expected: tuple[int, str]) -> None:
    disk(tmp_path, **room)
    assert said(text(bundle(""), "dovecot", "status.pl"), path=tmp_path) == expected


@pytest.mark.parametrize(
    ("name", "age", "expected"),
    [
        ("daily.cvd", 5 * HOUR, (0, "signatures 27800, 5 h old")),
        ("daily.cld", 6 * DAY, (0, "signatures 27800, 6 days old")),
        ("main.cvd", 5 * HOUR, (0, "signatures 27800, 5 h old")),
        ("daily.cvd", 8 * DAY, (1, "signatures 27800, 8 days old")),
        ("other.ndb", HOUR, (1, "waiting for the first signatures; mail is answered 4xx until then")),
    ],
)
def test_signatures_that_are_fetched(tmp_path: Path, name: str, age: int, expected: tuple[int, str]) -> None:
    head = f"ClamAV-VDB:21 Nov 2026 09-26 -0500:27800:2077000:90:{'a' * 32}:{'b' * 60}:raynman:{int(time.time()) - age}"
    (tmp_path / name).write_bytes(head.encode().ljust(512) + b"\x1f\x8b\xff")
    assert said(text(bundle(""), "clamd", "status.pl"), str(tmp_path)) == expected


def test_signatures_of_an_old_form_have_the_files_age(tmp_path: Path) -> None:
    (tmp_path / "daily.cvd").write_bytes(b"ClamAV-VDB:words:12:1:1:a:b:c".ljust(512))
    os.utime(tmp_path / "daily.cvd", (time.time() - 3 * HOUR,) * 2)
    assert said(text(bundle(""), "clamd", "status.pl"), str(tmp_path)) == (0, "signatures 12, 3 h old")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), (1, "no signatures")),
        (("a.ndb",), (0, "1 signature file of the spec's folder")),
        (("a.ndb", "b.hdb"), (0, "2 signature files of the spec's folder")),
    ],
)
def test_signatures_of_a_folder(tmp_path: Path, files: tuple[str, ...], expected: tuple[int, str]) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    program = text(bundle(LOCAL, {"./sigs": {"own.ndb": b"Own.Test:0:*:6f776e\n"}}), "clamd", "status.pl")
    assert said(program, str(tmp_path)) == expected


ANCHOR = ". 86400 IN DNSKEY 257 3 8 AwEA ;{id = 20326 (ksk), size = 2048b} ;;state=2 [  VALID  ] ;;count=0\n"


@pytest.mark.parametrize(
    ("remark", "touched", "expected"),
    [
        (None, 2 * HOUR, (0, "trust anchor as it came with the image, 2 h old")),
        (None, 31 * DAY, (1, "trust anchor as it came with the image, 31 days old")),
        (0, 2 * HOUR, (0, "trust anchor as it came with the image, 2 h old")),  # asked, and never answered
        (5 * HOUR, 0, (0, "trust anchor confirmed 5 h ago")),
        (31 * DAY, 0, (1, "trust anchor confirmed 31 days ago")),  # written today, because it was asked again in vain
    ],
)
def test_the_trust_anchor(tmp_path: Path, remark: int | None, touched: int, expected: tuple[int, str]) -> None:
    now = int(time.time())
    success = "" if remark is None else f";;last_success: {now - remark if remark else 0} ;;Sat Nov 21 08:00:00 2026\n"
    queried = "" if remark is None else f"; autotrust trust anchor file\n;;id: . 1\n;;last_queried: {now} ;;today\n"
    (tmp_path / "root.key").write_text(queried + success + ANCHOR)
    os.utime(tmp_path / "root.key", (now - touched,) * 2)
    assert said(text(bundle(""), "resolver", "status.pl"), str(tmp_path / "root.key")) == expected


def test_a_trust_anchor_that_is_gone(tmp_path: Path) -> None:
    code, words = said(text(bundle(""), "resolver", "status.pl"), str(tmp_path / "root.key"))
    assert code == 1
    assert words.startswith("the trust anchor cannot be read")
