"""Instances that tests make, and their certain end."""

from __future__ import annotations

import contextlib
import random
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import docker

LABEL = "appliance.instance"
_given: set[int] = set()


class Instances:
    """A register of instance names. What carries one of them as a label is removed, whatever became of the test."""

    def __init__(self, client: Callable[[], docker.DockerClient]) -> None:
        self._client = client
        self._names: list[str] = []

    def new(self, room: str) -> str:
        """A name of its own for one instance of a test: ``t-<room>-<random>``."""
        return self.register(f"t-{room}-{secrets.token_hex(2)}")

    def register(self, name: str) -> str:
        """Notes a name that a test chose itself, so that it is cleaned up; returns it."""
        self._names.append(name)
        return name

    def remove(self, name: str) -> None:
        """Removes the containers, networks and volumes with the name's label. What is already gone is no fault."""
        from docker.errors import APIError

        client = self._client()
        filters: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={name}"}
        for container in client.containers.list(all=True, filters=filters):
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=filters):
            with contextlib.suppress(APIError):
                network.remove()
        for volume in client.volumes.list(filters=filters):
            with contextlib.suppress(APIError):
                volume.remove(force=True)
        if name in self._names:
            self._names.remove(name)

    def remove_all(self) -> None:
        """Removes what is left, newest first; asks no engine when no test made an instance."""
        for name in reversed(self._names.copy()):
            self.remove(name)


def free_ports(count: int) -> tuple[int, ...]:
    """Free TCP ports of loopback, below the ephemeral ones, so that no outgoing connection takes them meanwhile."""
    found: list[int] = []
    for _ in range(1000):
        port = random.randint(20000, 32000)  # noqa: S311
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise OSError(f"no {count} free ports")
