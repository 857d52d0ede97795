"""``DOCKER_HOST=ssh://``: one ssh process that forwards the engine's socket to a private one here, for the whole run.

A call costs 3 ms this way; a new ssh for each call costs 300. The user's own ssh configuration, agent and known hosts apply.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import SplitResult, unquote

from appliance.errors import Unavailable

REMOTE_SOCKET = "/var/run/docker.sock"
DEADLINE = 30  # seconds until the forwarded socket must be there; a passphrase may be typed meanwhile
_PR_SET_PDEATHSIG = 1  # prctl(2)


def command(url: SplitResult, local: str) -> list[str]:
    """The ssh command line: ssh://[user@]host[:port][/path/of/the/remote/socket]."""
    remote = url.path if url.path not in ("", "/") else REMOTE_SOCKET
    options = [
        "-o",
        "ExitOnForwardFailure=yes",
        "-o",
        "ServerAliveInterval=15",
        "-o",
        "ControlMaster=yes",
        "-o",
        "ControlPersist=no",
        "-o",
        f"ControlPath={control(local)}",
    ]
    port, target = _target(url)
    return ["ssh", "-nNT", *options, *port, "-L", f"{local}:{remote}", "--", target]


def session(url: SplitResult, local: str) -> list[str]:
    """A shell on the other side, which reads its commands from standard input: through the connection of :func:`command`."""
    port, target = _target(url)
    options = ["-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", f"ControlPath={control(local)}"]
    return ["ssh", "-T", *options, *port, "--", target, "sh -s"]


def _target(url: SplitResult) -> tuple[list[str], str]:
    """(-p PORT, [user@]host)."""
    target = f"{unquote(url.username)}@{url.hostname}" if url.username else str(url.hostname)
    return ["-p", str(url.port)] if url.port else [], target


def control(local: str) -> str:
    """The socket beside the forwarded one by which a second session uses the same connection: nobody logs in twice."""
    return f"{local}.ssh"


class Tunnel:
    """A running ssh. ``socket``: the path of the local end, in a folder that only this user may enter.

    ``shell``: argv of a shell on the other side, through the same connection.
    """

    def __init__(self, url: SplitResult) -> None:
        if not url.hostname:
            raise Unavailable("DOCKER_HOST names no host", hint="ssh://user@host")
        if shutil.which("ssh") is None:
            raise Unavailable("DOCKER_HOST is ssh://, and there is no ssh here", hint="sudo apt-get install openssh-client")
        # not TMPDIR: a socket's path has at most 107 bytes (unix(7))
        self.folder = Path(tempfile.mkdtemp(prefix="appliance-", dir="/tmp"))
        self.socket = str(self.folder / "docker.sock")
        self.shell = tuple(session(url, self.socket))
        self._errors = (self.folder / "ssh.log").open("w+b")
        self._ssh = subprocess.Popen(
            command(url, self.socket), stdin=subprocess.DEVNULL, stderr=self._errors, preexec_fn=_die_with_us
        )
        atexit.register(self.close)
        try:
            self._wait(str(url.hostname))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends ssh and removes the folder; a second call does nothing."""
        atexit.unregister(self.close)
        if self._ssh.poll() is None:
            self._ssh.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._ssh.wait(5)
            if self._ssh.poll() is None:
                self._ssh.kill()
                self._ssh.wait()
        self._errors.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self, host: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not Path(self.socket).exists():
            if self._ssh.poll() is not None:
                raise Unavailable(f"ssh to {host} failed: {self._said()}", hint=f"does `ssh {host} true` work for you?")
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"ssh to {host} did not come up within {DEADLINE} s", hint=f"does `ssh {host} true` work for you?"
                )
            time.sleep(0.02)

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with {self._ssh.returncode}"


def _die_with_us() -> None:
    """In the child: a controller that is killed takes its ssh along, and with it the lock (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
