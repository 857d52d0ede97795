"""How dockerd was started, seen from its own host: whether ip6tables is on is nothing that its API would say. Only reads."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETTINGS = "/etc/docker/daemon.json"
#: from this version on ip6tables is on unless somebody switched it off; before, it is one of the experimental features
IP6TABLES_SINCE = 27
PATIENCE = 20  # seconds
#: Runs in a POSIX shell there. The pid file is as old as the daemon; what lies in a folder that is closed to us nobody knows.
LOOK = f"""
echo "machine $(uname -n)"
read -r line < /proc/net/if_inet6 && echo ipv6
[ {SETTINGS} -nt /run/docker.pid ] && echo changed
echo "arguments $(tr '\\000' ' ' < "/proc/$(cat /run/docker.pid)/cmdline")"
if [ -r {SETTINGS} ]; then echo settings; cat {SETTINGS}
elif [ ! -e /etc/docker ] || {{ [ -x /etc/docker ] && [ ! -e {SETTINGS} ]; }}; then echo settings; echo '{{}}'
fi
"""
UNSEEN = "nobody can see whether ip6tables is on"
SSH = "DOCKER_HOST=ssh://user@host"
RESTART = "`systemctl restart docker` (which stops every container for a moment)"


@dataclass(frozen=True)
class Daemon:
    """``machine``: its host's name. ``ipv6``: its kernel has IPv6. ``changed``: daemon.json is newer than the running daemon.

    ``settings``: daemon.json, ``arguments``: the command line; None for what may not be seen.
    """

    machine: str
    ipv6: bool = True
    changed: bool = False
    settings: Mapping[str, Any] | None = None
    arguments: tuple[str, ...] | None = None

    def on(self, name: str, *, default: bool) -> bool:
        """A switch, from the command line or daemon.json: dockerd refuses to start with both."""
        for word in self.arguments or ():
            if found := re.fullmatch(rf"--{name}(?:=(\w+))?", word):
                return (found[1] or "true").lower() in ("true", "1", "t")
        return bool((self.settings or {}).get(name, default))


def look(shell: Sequence[str]) -> Daemon | None:
    """Looks by a shell on the engine's host. None where there is no shell, or it says nothing."""
    if not shell:
        return None
    try:
        end = subprocess.run([*shell], input=LOOK.encode(), capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse(end.stdout.decode("utf-8", "replace"))


def parse(said: str) -> Daemon | None:
    """What LOOK printed."""
    head, found, text = said.partition("\nsettings\n")
    words = {word: rest for word, _, rest in (line.partition(" ") for line in head.splitlines())}
    if "machine" not in words:
        return None
    try:
        settings = json.loads(text.strip() or "{}") if found else None
    except ValueError:
        settings = None
    arguments = tuple(words.get("arguments", "").split())
    return Daemon(
        machine=words["machine"],
        ipv6="ipv6" in words,
        changed="changed" in words,
        settings=settings if isinstance(settings, dict) else None,
        arguments=arguments or None,
    )


def without_ipv6(info: Mapping[str, Any], daemon: Daemon | None) -> str:
    """Why a published port does not see the true client address over IPv6, and what brings it; "" where it does.

    What nobody can see counts as no. ``info``: of GET /info.
    """
    why = _without(info, daemon)
    return f"IPv6 is left out: {why}" if why else ""


def _without(info: Mapping[str, Any], daemon: Daemon | None) -> str:
    version = str(info.get("ServerVersion", ""))
    major = re.match(r"\d+", version)
    default = int(major.group()) >= IP6TABLES_SINCE if major else False
    hidden = f"Docker {version} gives every client the gateway's address there while ip6tables is off"
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        return "a rootless engine hides its clients' addresses; an engine that root runs does not"
    if not default and not info.get("ExperimentalBuild"):  # it refuses ip6tables then
        return f'{hidden}; {SETTINGS} needs "experimental": true, "ip6tables": true, then {RESTART}'
    if daemon is None:
        return f"{UNSEEN}: there is no shell on the engine's host to look with; {SSH} gives one"
    if unseen := _unseen(info, daemon):
        return f"{UNSEEN}: {unseen}"
    if not daemon.ipv6:
        return "the kernel of the engine's host has no IPv6"
    if not daemon.on("ip6tables", default=default):
        return f'{hidden}; {SETTINGS} needs "ip6tables": true{"" if default else " too"}, then {RESTART}'
    return f"{SETTINGS} has changed since dockerd started, and counts only after {RESTART}" if daemon.changed else ""


def _unseen(info: Mapping[str, Any], daemon: Daemon) -> str:
    """What hides dockerd's settings; "" when they can be seen."""
    if daemon.machine != info.get("Name"):
        return f"the engine's host is {info.get('Name')}, and the shell's is {daemon.machine}; {SSH} looks there"
    if daemon.arguments is None:
        return "/run/docker.pid names no process that you may look at"
    if any(word.split("=")[0] == "--config-file" for word in daemon.arguments):
        return f"dockerd was told of another file than {SETTINGS} (--config-file)"
    return "" if daemon.settings is not None else f"{SETTINGS} may not be read by you, or is not JSON"
