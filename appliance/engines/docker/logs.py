"""What services said: from running and stopped containers, and from those that were replaced."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import requests

from appliance.engines.docker import archive
from appliance.engines.docker.api import Api
from appliance.engines.docker.labels import PREVIOUS, SERVICE, of_instance
from appliance.engines.docker.stream import STDOUT
from appliance.errors import ApplianceError, Exit

LOGS = "logs"  # in the configuration volume: the last lines of replaced containers


def last_lines(api: Api, container: str, number: int) -> list[str]:
    """The last lines of a container, both streams, as the engine kept them."""
    return [line.decode(errors="replace") for line in lines_of(api, container, tail=number)]


def lines_of(api: Api, container: str, *, tail: int | None = None, since: float = 0, stamps: bool = False) -> list[bytes]:
    """The lines of a container until now. ``since``: seconds since the epoch; ``stamps``: each line begins with its time."""
    answer = api.call(
        "GET",
        f"/containers/{container}/logs",
        params={
            "stdout": True,
            "stderr": True,
            "tail": "all" if tail is None else tail,
            "since": since or None,
            "timestamps": stamps,
        },
        timeout=120,
    )
    return list(split(demultiplexed(answer.content)))


def demultiplexed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of a whole answer (stream.py says their form)."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        yield data[at], data[at + 8 : at + 8 + size]
        at += 8 + size


def split(frames: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    """Whole lines; each stream keeps its own unfinished line."""
    open_: dict[int, bytes] = {}
    for kind, payload in frames:
        *whole, open_[kind] = (open_.get(kind, b"") + payload).split(b"\n")
        yield from whole
    for rest in (open_.get(STDOUT, b""), *(v for k, v in open_.items() if k != STDOUT)):
        if rest:
            yield rest


Line = tuple[str, bytes]  # (service, line)


def logs(
    api: Api, instance: str, services: Sequence[str], *, follow: bool, tail: int | None, since: int | None
) -> Iterator[Line]:
    """Lines of several services merged by time, those of replaced containers included; ``follow`` goes on as they come.

    ``tail``: the last lines of each service, None for all; ``since``: seconds since the epoch. Raises ApplianceError for a
    service that is not there.
    """
    containers = _containers(api, instance, services)
    with ThreadPoolExecutor(8) as pool:
        past = pool.map(lambda c: _past(api, c[0], c[1], tail, since), containers.items())
        merged = sorted((line for lines in past for line in lines), key=lambda line: line[0])
    for _, service, line in merged:
        yield service, line
    if follow:
        yield from _coming(api, containers)


def _containers(api: Api, instance: str, services: Sequence[str]) -> dict[str, str]:
    """service → container, those that run under their own name."""
    listed = api.get("/containers/json", all=True, filters=of_instance(instance, "service"))
    found = {c["Labels"][SERVICE]: c["Id"] for c in listed if not any(n.endswith(PREVIOUS) for n in c["Names"])}
    for service in services:
        if service not in found:
            there = ", ".join(sorted(found)) or "nothing"
            raise ApplianceError(f"{instance} has no service {service}", hint=f"there is {there}", code=Exit.USAGE)
    return {s: c for s, c in sorted(found.items()) if not services or s in services}


def _past(api: Api, service: str, container: str, tail: int | None, since: int | None) -> list[tuple[bytes, str, bytes]]:
    lines = lines_of(api, container, tail=tail, since=since or 0, stamps=True)
    if tail is None or len(lines) < tail:
        older = [line for e in archive.get(api, container, f"/config/{LOGS}") or () for line in e.data.splitlines()]
        after = datetime.fromtimestamp(since or 0, UTC).isoformat().encode()
        lines = [line for line in older if line >= after] + lines
    stamped = [line.partition(b" ") for line in lines]
    wanted = stamped if tail is None else stamped[len(stamped) - min(tail, len(stamped)) :]
    return [(stamp, service, text.rstrip(b"\r")) for stamp, _, text in wanted]


def _coming(api: Api, containers: dict[str, str]) -> Iterator[Line]:
    """What the services say from now on, in the order in which it arrives."""
    arriving: queue.Queue[Line | None] = queue.Queue(1000)
    for service, container in containers.items():
        threading.Thread(target=_follow, args=(api, service, container, arriving), daemon=True).start()
    left = len(containers)
    while left:
        line = arriving.get()
        if line is None:
            left -= 1
        else:
            yield line


def _follow(api: Api, service: str, container: str, arriving: queue.Queue[Line | None]) -> None:
    params = {"stdout": True, "stderr": True, "follow": True, "tail": 0}
    try:
        answer = api.call("GET", f"/containers/{container}/logs", params=params, timeout=None, stream=True)
        for line in split(_frames(answer)):
            arriving.put((service, line.rstrip(b"\r")))
    except (ApplianceError, OSError):
        pass  # the container or the engine went: there is no more to say
    finally:
        arriving.put(None)


def _frames(answer: requests.Response) -> Iterator[tuple[int, bytes]]:
    buffer = b""
    for chunk in answer.iter_content(chunk_size=None):
        buffer += chunk
        while len(buffer) >= 8 and len(buffer) >= 8 + (size := int.from_bytes(buffer[4:8], "big")):
            yield buffer[0], buffer[8 : 8 + size]
            buffer = buffer[8 + size :]
