"""What the engine says of its host, and what this machine adds when the engine runs here."""

from __future__ import annotations

import json
import os
import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import Any

from appliance.engines.docker.api import seconds_of
from appliance.observed import HostFacts
from appliance.render.bundle import NetworkBundle

#: from this version on ip6tables is on unless somebody switched it off
IP6TABLES_SINCE = 27
DAEMON_SETTINGS = Path("/etc/docker/daemon.json")


def host_facts(
    info: Mapping[str, Any],
    api: str,
    networks: Sequence[Mapping[str, Any]],
    ours: NetworkBundle | None,
    asked_at: tuple[float, float],
    *,
    local: bool,
) -> HostFacts:
    """The facts of /info and /networks. ``asked_at``: this machine's clock before and after /info."""
    settings = _daemon_settings() if local else {}
    memory_free, disk_free = _local_room(info) if local else (0, 0)
    system = seconds_of(str(info.get("SystemTime", "")))
    return HostFacts(
        engine=str(info.get("ServerVersion", "")),
        api=api,
        families=_families(info, settings, local=local),
        memory=int(info.get("MemTotal", 0)),
        memory_free=memory_free,
        disk_free=disk_free,
        routes=tuple(sorted(_routes(networks, ours, local=local))),
        clock_skew=round(sum(asked_at) / 2 - system, 3) if system else 0.0,
        warnings=tuple(_warnings(info)),
        architecture=str(info.get("Architecture", "")),
    )


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Whether the engine runs without root."""
    return any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def _families(info: Mapping[str, Any], settings: Mapping[str, Any], *, local: bool) -> tuple[int, ...]:
    """Those in which a published port sees the true client address. 4 always; 6 only with ip6tables (else a proxy hides it)."""
    major = re.match(r"\d+", str(info.get("ServerVersion", "")))
    default = bool(major) and int(major.group()) >= IP6TABLES_SINCE if major else False
    six = bool(settings.get("ip6tables", default)) and not is_rootless(info)
    if local and not _has_ipv6():
        six = False
    return (4, 6) if six else (4,)


def _warnings(info: Mapping[str, Any]) -> Iterator[str]:
    if is_rootless(info):
        yield "the engine is rootless: it usually hides the clients' addresses, so that limits, bans and SPF judge the wrong one"
    if not info.get("MemoryLimit", True):
        yield "the engine's kernel sets no memory limits: one service can take the whole machine's memory"
    if not info.get("PidsLimit", True):
        yield "the engine's kernel sets no limits of processes"


def _routes(networks: Sequence[Mapping[str, Any]], ours: NetworkBundle | None, *, local: bool) -> set[str]:
    mine = {ours.subnet, ours.subnet6} if ours else set()
    found = {
        str(pool["Subnet"])
        for network in networks
        if ours is None or network["Name"] != ours.name
        for pool in (network.get("IPAM") or {}).get("Config") or ()
        if pool.get("Subnet")
    }
    if local:
        found |= set(_kernel_routes())
    return {route for route in found if route not in mine and _is_network(route)}


def _is_network(text: str) -> bool:
    try:
        return ip_network(text, strict=False).prefixlen > 0
    except ValueError:
        return False


def _kernel_routes(table: Path = Path("/proc/net/route")) -> Iterator[str]:
    """The IPv4 routes of this machine (proc(5), /proc/net/route: hexadecimal, host byte order)."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        destination, mask = (IPv4Address(struct.pack("=I", int(fields[n], 16))) for n in (1, 7))
        yield str(IPv4Network(f"{destination}/{mask}", strict=False))


def _local_room(info: Mapping[str, Any]) -> tuple[int, int]:
    """(available memory, free disk below the engine's folder) in bytes; 0 for what may not be read."""
    memory = 0
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
        memory = int(found.group(1)) * 1024 if found else 0
        disk = os.statvfs(Path(str(info.get("DockerRootDir", ""))) / "volumes")
    except OSError:
        return memory, 0
    return memory, disk.f_bavail * disk.f_frsize


def _daemon_settings() -> Mapping[str, Any]:
    try:
        found = json.loads(DAEMON_SETTINGS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _has_ipv6() -> bool:
    try:
        return bool(Path("/proc/net/if_inet6").read_text(encoding="ascii").strip())
    except OSError:
        return False


def clock() -> float:
    """This machine's clock, seconds since the epoch."""
    return time.time()
