"""`python -m benchmarks [ROOM…]`: measures, prints one table, writes it as JSON beside."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.table import Row, document, lines
from tests.instances import Instances

if TYPE_CHECKING:
    import docker

ROOMS = ("controller", "footprint", "delivery", "logins")


def main() -> int:
    """Runs the rooms; ends with 1 when a floor is missed or a control did not come out worse."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", default=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/out/bench.json"))
    asked = parser.parse_args()
    if wrong := set(asked.rooms) - set(ROOMS):
        parser.error(f"no room {', '.join(sorted(wrong))}")
    import docker

    client = docker.from_env()
    found = list(measured(client, asked.rooms))
    print("\n".join(lines(found)))
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(document(found, machine(client)) + "\n", encoding="utf-8")
    return int(any(r.verdict in ("MISSED", "no control") for r in found))


def measured(client: docker.DockerClient, rooms: list[str]) -> Iterator[Row]:
    """The rows of the rooms, told while they come; what was started is removed at the end."""
    instances = Instances(lambda: client)
    try:
        for room in rooms:
            print(f"… {room}", file=sys.stderr, flush=True)
            for row in importlib.import_module(f"benchmarks.{room}").rows(client, instances):
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
    sys.exit(main())
