"""`python -m benchmarks [ROOM…]`: measures, prints one table, writes it as JSON beside."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Row, document, lines
from tests.instances import Instances

if TYPE_CHECKING:
    import docker

ROOMS = ("controller", "footprint", "delivery", "logins")


def main(package: str, rooms: Sequence[str], output: Path, about: str | None) -> int:
    """Runs rooms, modules of a package; ends with 1 when a floor is missed or a control did not come out worse."""
    parser = argparse.ArgumentParser(prog=f"python -m {package}", description=about)
    parser.add_argument("rooms", nargs="*", default=rooms, metavar="ROOM", help=", ".join(rooms))
    parser.add_argument("-o", "--output", type=Path, default=output)
    asked = parser.parse_args()
    if wrong := set(asked.rooms) - set(rooms):
        parser.error(f"no room {', '.join(sorted(wrong))}")
    import docker

    client = docker.from_env()
    found = list(measured(client, package, asked.rooms))
    print("\n".join(lines(found)))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(document(found, machine(client)) + "\n", encoding="utf-8")
    return int(any(r.verdict in ("MISSED", "no control") for r in found))


def measured(client: docker.DockerClient, package: str, rooms: Sequence[str]) -> Iterator[Row]:
    """The rows of the rooms, told while they come; what was started is removed at the end."""
    instances = Instances(lambda: client)
    try:
        for room in rooms:
            print(f"… {room}", file=sys.stderr, flush=True)
            for row in importlib.import_module(f"{package}.{room}").rows(client, instances):
                print(f"  {lines([row])[1]}", file=sys.stderr, flush=True)
                yield row
    finally:
        instances.remove_all()


def machine(client: docker.DockerClient) -> dict[str, object]:
    """On what it was measured: context only."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "engine": client.version()["Version"],
    }


if __name__ == "__main__":
    sys.exit(main("benchmarks", ROOMS, Path("benchmarks/out/bench.json"), __doc__))
