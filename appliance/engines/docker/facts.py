"""What the engine says of its host, and what this machine adds when the engine runs here."""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from appliance.engines.docker.api import seconds_of
from appliance.engines.docker.daemon import Daemon, without_ipv6
from appliance.observed import HostFacts
from appliance.render.bundle import NetworkBundle


def host_facts(
    info: Mapping[str, Any],
    api: str,
    networks: Sequence[Mapping[str, Any]],
    ours: NetworkBundle | None,
    asked_at: tuple[float, float],
    daemon: Daemon | None = None,
    *,
    local: bool,
) -> HostFacts:
    """The facts of /info and /networks. ``asked_at``: this machine's clock before and after /info."""
    without = _without_ipv6(info, ours, daemon)
    memory_free, disk_free = _local_room(info) if local else (0, 0)
    system = seconds_of(str(info.get("SystemTime", "")))
    return HostFacts(
        engine=str(info.get("ServerVersion", "")),
        api=api,
        families=(4,) if without else (4, 6),
        memory=int(info.get("MemTotal", 0)),
        memory_free=memory_free,
        disk_free=disk_free,
        routes=tuple(sorted(_routes(networks, ours, local=local))),
        clock_skew=round(sum(asked_at) / 2 - system, 3) if system else 0.0,
        warnings=tuple(_warnings(info, daemon)),
        without_ipv6=without,
        architecture=str(info.get("Architecture", "")),
    )


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Whether the engine runs without root."""
    return any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def _without_ipv6(info: Mapping[str, Any], ours: NetworkBundle | None, daemon: Daemon | None) -> str:
    """Why a published port does not see the true client address over IPv6. The network counts: without IPv6 in it a proxy carries
    IPv6 clients into it, under its gateway's address.
    """
    if why := without_ipv6(info, daemon):
        return why
    if ours and not ours.subnet6:
        return (
            f"IPv6 is left out: the network {ours.name} was made without it; `appliance down` (data stays), then `appliance up`"
        )
    return ""


def _warnings(info: Mapping[str, Any], daemon: Daemon | None) -> Iterator[str]:
    if daemon and daemon.machine == info.get("Name") and not daemon.on("iptables", default=True):
        yield "dockerd runs with iptables off: it hides the clients' addresses, so that limits, bans and SPF judge the wrong one"
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
        found |= {*_kernel_routes(), *_kernel_routes6()}
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


def _kernel_routes6(table: Path = Path("/proc/net/ipv6_route")) -> Iterator[str]:
    """The IPv6 networks that this machine has routes to; single addresses, link-local and multicast are left out."""
    try:
        lines = table.read_text(encoding="ascii").splitlines()
    except OSError:
        return
    for line in lines:
        destination, length = line.split()[:2]
        network = IPv6Network((bytes.fromhex(destination), int(length, 16)))
        if network.prefixlen < 128 and not network.is_link_local and not network.is_multicast:
            yield str(network)


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


def clock() -> float:
    """This machine's clock, seconds since the epoch."""
    return time.time()
