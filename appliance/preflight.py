"""What this machine lacks, in one message with one apt line, before anything else is done.

Runs with the standard library alone, before there is a virtual environment: ``python3 appliance/preflight.py [MODE]``.
Ends with 0 when nothing is missing and with 69 (EX_UNAVAILABLE, sysexits.h) otherwise. The image builder asks it as well.
"""

from __future__ import annotations

import getpass
import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PYTHON = (3, 11)
PULLED = "debian:trixie-slim"
KEYRINGS = ("/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp")
#: program → Debian package; the real clients that the integration tests speak with
CLIENTS = {"swaks": "swaks", "mbsync": "isync", "msmtp": "msmtp", "openssl": "openssl", "/usr/sbin/sshd": "openssh-server"}
#: what `make chaos` makes its disks with
DISKS = {"/usr/sbin/mkfs.btrfs": "btrfs-progs", "/usr/sbin/mkfs.ext4": "e2fsprogs"}
UNAVAILABLE = 69


class Missing(NamedTuple):
    """One thing that is not there: what it is, the Debian packages that bring it, and what to do where no package helps."""

    what: str
    packages: tuple[str, ...] = ()
    advice: str = ""


def report(lacking: list[Missing], purpose: str) -> str:
    """The one message: what is missing, one apt line, and the rest as lines of advice."""
    lines = [f"error: {purpose} needs what this machine does not have:"]
    lines += [f"  - {item.what}" for item in lacking]
    packages = list(dict.fromkeys(name for item in lacking for name in item.packages))
    if packages:
        lines.append(f"  {_sudo()}apt-get install {' '.join(packages)}")
    lines += [f"  {item.advice}" for item in lacking if item.advice]
    return "\n".join(lines)


def python() -> list[Missing]:
    """Python itself and its venv module, which Debian keeps in a package of its own."""
    version = "{}.{}".format(*sys.version_info[:2])
    if sys.version_info[:2] < PYTHON:
        return [Missing(f"Python 3.11 or newer (python3 is {version})", ("python3.11", "python3.11-venv"))]
    if importlib.util.find_spec("ensurepip") is None:
        own = sys.executable in ("/usr/bin/python3", f"/usr/bin/python{version}")
        return [Missing("Python's venv module", ("python3-venv" if own else f"python{version}-venv",))]
    return []


def engine() -> list[Missing]:
    """A Docker engine that answers this user. A remote one (ssh://) is asked by the program itself, later."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        return []
    path = host[len("unix://") :]
    try:
        _get(path, "/_ping", 10)
    except PermissionError:
        advice = f"{_sudo()}usermod -aG docker {getpass.getuser()}   # then log in again"
        return [Missing(f"the right to use the Docker engine's socket {path}", (), advice)]
    except (OSError, http.client.HTTPException) as why:
        if shutil.which("dockerd") is None and "DOCKER_HOST" not in os.environ:
            return [Missing("a Docker engine", ("docker.io",))]
        named = "start that engine, or take DOCKER_HOST out of the environment"
        advice = named if "DOCKER_HOST" in os.environ else f"{_sudo()}systemctl start docker"
        return [Missing(f"a Docker engine that answers at {path} ({why})", (), advice)]
    return []


def base(needed: bool | None = None) -> list[Missing]:
    """What a bootstrap of the base image needs. ``needed``: None asks the engine whether there is to be a bootstrap."""
    if needed is None:
        needed = not _base_at_hand()
    if not needed:
        return []
    lacking = []
    if shutil.which("mmdebstrap") is None:
        why = "no registry gives the base image, so it is made from Debian's packages"
        lacking.append(Missing(f"mmdebstrap ({why})", ("mmdebstrap",)))
    if os.geteuid() != 0:
        if shutil.which("newuidmap") is None:
            lacking.append(Missing("newuidmap, by which mmdebstrap runs without root", ("uidmap",)))
        if not _has_subordinate_ids():
            user = getpass.getuser()
            advice = f"{_sudo()}usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
            lacking.append(Missing(f"subordinate user ids of {user} in /etc/subuid and /etc/subgid", (), advice))
    if not any(Path(path).exists() for path in KEYRINGS):
        lacking.append(Missing("Debian's archive keys", ("debian-archive-keyring",)))
    if not _has_mirror():
        lacking.append(Missing("a Debian mirror in apt's sources", (), "APPLIANCE_MIRROR=URL in the environment names one"))
    return lacking


def clients() -> list[Missing]:
    """The mail clients that the tests drive."""
    return _without(CLIENTS)


def disks() -> list[Missing]:
    """What fills disks and cuts their power."""
    root = [] if os.geteuid() == 0 else [Missing("root, who may mount disks and kill by the host's pid", (), "sudo make chaos")]
    return root + _without(DISKS)


def _without(programs: dict[str, str]) -> list[Missing]:
    return [Missing(program, (package,)) for program, package in programs.items() if shutil.which(program) is None]


def main(arguments: list[str]) -> int:
    """``setup`` (default), ``venv``: Python alone, ``test``: with the tests' clients, ``chaos``: with its disks too."""
    mode = arguments[0] if arguments else "setup"
    if mode not in ("setup", "venv", "test", "chaos"):
        print("usage: preflight.py [setup|venv|test|chaos]", file=sys.stderr)
        return 64
    lacking = python()
    if mode != "venv":
        without_engine = engine()
        # without an engine nobody can ask whether it would get the base: what a bootstrap needs is then named as well, so that
        # the message is the only one
        lacking += without_engine + base(True if without_engine else None)
    if mode in ("test", "chaos"):
        lacking += clients()
    if mode == "chaos":
        lacking += disks()
    if lacking:
        print(report(lacking, f"make {'setup' if mode == 'venv' else mode}"), file=sys.stderr)
    return UNAVAILABLE if lacking else 0


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def _get(path: str, url: str, timeout: float) -> tuple[int, bytes]:
    connection = _Unix(path, timeout)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _base_at_hand() -> bool:
    """Whether the engine has a base, or a registry answers it; a remote engine is believed to have one."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        return True
    path = host[len("unix://") :]
    try:
        status, body = _get(path, "/images/json", 30)
        images = json.loads(body) if status == 200 else []
        names = [tag for image in images for tag in image.get("RepoTags") or ()]
        if PULLED in names or any(name.startswith("appliance/base:") for name in names):
            return True
        return _get(path, f"/distribution/{PULLED}/json", 15)[0] == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _has_subordinate_ids() -> bool:
    owners = (getpass.getuser(), str(os.getuid()))
    for file in ("/etc/subuid", "/etc/subgid"):
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        if not any(line.split(":")[0] in owners for line in lines):
            return False
    return True


def _has_mirror() -> bool:
    """Whether a Debian mirror is named, or apt has one. Before the first `apt-get update` apt does not know its sources' origin;
    then the builder looks closer (images/mirror.py)."""
    if os.environ.get("APPLIANCE_MIRROR"):
        return True
    if shutil.which("apt-get") is None:
        return False
    argv = ["apt-get", "indextargets", "--format", "=$(ORIGIN)", "Created-By: Packages"]
    origins = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout.split()
    return bool({"=Debian", "="} & set(origins))


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
