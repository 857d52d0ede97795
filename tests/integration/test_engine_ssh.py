"""DOCKER_HOST=ssh://: one ssh for the whole run, through a real sshd of this user on a port of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from appliance.engines.docker.engine import connect
from appliance.engines.docker.lock import acquire
from tests.integration.engine_room import Room, base_image, until
from tests.reports import Recorder

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(SSHD is None, reason="not run: needs openssh-server")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: Callable[[int], tuple[int, ...]]) -> Iterator[str]:
    """A DOCKER_HOST that leads through ssh to this machine's engine. The user's configuration of ssh is one of the test's own."""
    (port,) = ports(1)
    for name in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "authorized").write_text((tmp_path / "user_key.pub").read_text())
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host_key\nAuthorizedKeysFile {tmp_path}/authorized\n"
        f"StrictModes no\nUsePAM no\nPidFile none\n"
    )
    (tmp_path / "config").write_text(
        f"Host engine.test\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {tmp_path}/user_key\n"
        f"  UserKnownHostsFile {tmp_path}/known\n  StrictHostKeyChecking accept-new\n"
    )
    program = tmp_path / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/config "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd of root confines its children
    server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), "sshd answers")
        yield f"ssh://{getpass.getuser()}@engine.test"
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_an_apply_through_ssh(host: str, engine: docker.DockerClient, instance: str) -> None:
    hands = connect(host)
    assert hands.where == "ssh"
    room = Room(hands, instance, base_image(engine))
    wanted = room.bundle(room.service("store", users="alice"))
    room.up(wanted)
    assert room.plan(wanted).empty
    assert hands.exec(instance, "store", ["wc", "-c"], stdin=b"x" * 300_000).stdout.strip() == b"300000"
    hands.close()


def test_ssh_ends_with_the_engine_and_leaves_no_folder(host: str) -> None:
    hands = connect(host)
    ours = [p for p in _ssh_processes() if str(os.getpid()) in p]
    folders = set(Path("/tmp").glob("appliance-*/docker.sock"))  # noqa: S108
    assert len(ours) == 1
    hands.close()
    assert not [p for p in _ssh_processes() if str(os.getpid()) in p]
    assert len(set(Path("/tmp").glob("appliance-*/docker.sock"))) < len(folders)  # noqa: S108


def test_a_killed_controller_takes_ssh_and_the_lock_along(host: str, engine: docker.DockerClient, instance: str) -> None:
    room = Room(connect(), instance, base_image(engine))
    room.up(room.bundle(room.service("store")))
    child = os.fork()
    if child == 0:
        try:
            hands = connect(host)
            acquire(hands.api, instance, room.image, ("store",), Recorder(), who="eve", why="up", ring=None, break_lock=False)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    until(lambda: not [p for p in _ssh_processes() if "engine.test" in p], "ssh is gone")
    until(lambda: f"{instance}-writer" not in room.containers(), "the lock is free")


def _ssh_processes() -> list[str]:
    """``parent command line`` of each ssh that forwards a socket of ours."""
    listed = subprocess.run(["ps", "-ewwo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if "-nNT" in line and "/appliance-" in line]
