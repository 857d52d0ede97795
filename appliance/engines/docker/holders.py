"""Who holds a port of the host: containers that are not this instance's, and processes where the engine runs on this machine."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from appliance.engines.docker.labels import INSTANCE
from appliance.observed import PortHolder

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 compared, not bound
_LISTEN = "0A"  # proc(5), /proc/net/tcp: TCP_LISTEN


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket of this machine."""

    address: str
    port: int
    inode: int


def holders(
    instance: str, wanted: Sequence[tuple[str, int]], containers: Sequence[Mapping[str, Any]], *, local: bool
) -> tuple[PortHolder, ...]:
    """The holders of the wanted (address, port) pairs that are not this instance. ``containers``: of GET /containers/json."""
    if not wanted:
        return ()
    found: dict[tuple[str, int], PortHolder] = {}
    published: set[int] = set()
    for container in containers:
        ours = (container.get("Labels") or {}).get(INSTANCE) == instance
        for port in container.get("Ports") or ():
            number, address = port.get("PublicPort"), port.get("IP", "")
            if number and port.get("Type", "tcp") == "tcp":
                published.add(number)
                if not ours and _wanted(address, number, wanted):
                    found[address, number] = PortHolder(address, number, _container(container))
    if local:
        held = [s for s in _listeners() if s.port not in published and _wanted(s.address, s.port, wanted)]
        names = _processes({s.inode for s in held})
        for one in held:
            found[one.address, one.port] = PortHolder(one.address, one.port, names.get(one.inode, "another process"))
    return tuple(found[key] for key in sorted(found))


def _wanted(address: str, port: int, wanted: Iterable[tuple[str, int]]) -> bool:
    return any(port == p and (address == a or address in EVERYWHERE or a in EVERYWHERE) for a, p in wanted)


def _container(container: Mapping[str, Any]) -> str:
    name = str((container.get("Names") or ["/?"])[0]).lstrip("/")
    other = (container.get("Labels") or {}).get(INSTANCE)
    return f"the instance {other} (container {name})" if other else f"the container {name}"


def _listeners(folder: Path = Path("/proc/net")) -> Iterator[Listener]:
    for name in ("tcp", "tcp6"):
        try:
            lines = (folder / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                yield Listener(_address(address), int(port, 16), int(fields[9]))


def _address(text: str) -> str:
    """``0100007F`` → ``127.0.0.1``: words of four bytes in host byte order; an IPv4 address inside IPv6 reads as IPv4."""
    words = [bytes.fromhex(text[n : n + 8])[::-1] for n in range(0, len(text), 8)]
    if len(words) == 1:
        return str(IPv4Address(words[0]))
    address = IPv6Address(b"".join(words))
    return str(address.ipv4_mapped or address)


def _processes(inodes: set[int], folder: Path = Path("/proc")) -> dict[int, str]:
    """inode of a socket → ``exim4 (process 812)``, for those processes whose descriptors may be read (proc(5), /proc/PID/fd)."""
    found: dict[int, str] = {}
    for process in folder.iterdir() if inodes else ():
        if process.name.isdigit():
            for inode in _sockets(process) & inodes:
                with contextlib.suppress(OSError):
                    name = (process / "comm").read_text(encoding="utf-8").strip()
                    found[inode] = f"{name} (process {process.name})"
    return found


def _sockets(process: Path) -> set[int]:
    """The inodes of a process's sockets; none where we may not look. Descriptors come and go while they are listed."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                socket = re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink()))
                if socket:
                    found.add(int(socket.group(1)))
    return found
