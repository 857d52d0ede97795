"""What differs on a terminal: the password is asked for twice and not echoed, long records are wrapped."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from appliance.spec.passwords import password_hash
from tests.unit.keys_room import Told, ring, spec
from tests.unit.test_keys_cli import SPEC


class Terminal:
    """The program on a pseudo terminal of 80 columns; with ``pipe`` its stdout is none."""

    def __init__(self, folder: Path, *words: str, pipe: bool = False) -> None:
        self.near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {**os.environ, "DOCKER_HOST": "unix:///nonexistent", "TERM": "xterm"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance", *words],
            cwd=folder,
            env=environment,
            stdin=far,
            stderr=far,
            stdout=subprocess.PIPE if pipe else far,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # getpass asks the controlling terminal
        )
        os.close(far)
        self.seen, self.read = "", 0

    def until(self, words: str) -> None:
        """Reads until these words stand on the terminal, after those of the call before."""
        deadline = time.monotonic() + 20
        while (place := self.seen.find(words, self.read)) < 0:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.near], [], [], 0.2)[0]:
                self.seen += os.read(self.near, 65536).decode()
        self.read = place + len(words)

    def type(self, line: str) -> None:
        os.write(self.near, f"{line}\n".encode())

    def end(self) -> int:
        """Reads what is left; the exit code."""
        while True:
            try:
                data = os.read(self.near, 65536)
            except OSError:  # EIO: the other side is closed
                data = b""
            if not data:
                os.close(self.near)
                return self.process.wait(20)
            self.seen += data.decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mail.yml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def test_the_password_is_asked_for_twice_and_never_shown(folder: Path) -> None:
    terminal = Terminal(folder, "keys", "hash", pipe=True)
    terminal.until("password: ")
    terminal.type("correct horse")
    terminal.until("once more: ")
    terminal.type("correct house")
    terminal.until("do not match")
    terminal.until("password: ")
    terminal.type("correct horse")
    terminal.until("once more: ")
    terminal.type("correct horse")
    assert terminal.end() == 0
    assert terminal.process.stdout is not None
    hashed = terminal.process.stdout.read().decode()
    assert password_hash(hashed) == hashed.strip()
    assert "hor" not in terminal.seen
    assert "one login costs" in terminal.seen


def test_long_records_are_wrapped_in_their_column(folder: Path) -> None:
    (folder / "mail.yml").write_text(SPEC.replace("ed25519", "rsa-2048", 1), encoding="utf-8")
    of = spec(("example.org", "bücher.example"), settings={"dkim": {"algorithms": ("rsa-2048", "ed25519")}})
    ring(folder).create(of, Told())
    terminal = Terminal(folder, "dns", "records")
    assert terminal.end() == 0
    lines = terminal.seen.splitlines()
    assert max(len(line) for line in lines if "note:" not in line) <= 80
    start = next(line.index('"v=DKIM1') for line in lines if '"v=DKIM1; k=rsa' in line)
    assert any(line.startswith(" " * start) and line[start] != " " for line in lines)
