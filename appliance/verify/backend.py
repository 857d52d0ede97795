"""testinfra's ``Host`` over the engine's own exec: the docker command is never needed, and a fleet is no different.

Runs inside the child pytest; every command goes through the inherited socket to the process that holds the engine.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

CHANNEL = "APPLIANCE_CHECKS_FD"
PATIENCE = 60  # seconds for one command


class Channel:
    """The child's end of the socket: one JSON line out, one back where an answer is due."""

    def __init__(self, number: int) -> None:
        self.stream = socket.socket(fileno=number).makefile("rwb")

    @classmethod
    def inherited(cls) -> Channel:
        """The socket whose number the environment tells; it leaves the environment."""
        return cls(int(os.environ.pop(CHANNEL)))

    def tell(self, document: Mapping[str, Any]) -> None:
        """A line that nobody answers."""
        self.stream.write(json.dumps(document).encode() + b"\n")
        self.stream.flush()

    def ask(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A line and its answer."""
        self.tell(document)
        answer: dict[str, Any] = json.loads(self.stream.readline())
        return answer


class EngineBackend(BaseBackend):  # type: ignore[misc]
    """Commands inside one service, as its container's root unless the host is asked for another user."""

    NAME = "engine"

    def __init__(self, channel: Channel, service: str, user: str = "0:0") -> None:
        super().__init__(service)
        self.channel, self.service, self.user = channel, service, user
        self._encoding = "utf-8"  # asking would look for Python in every image

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Runs a shell command; raises RuntimeError when the engine could not run it at all."""
        text = self.get_command(command, *args)
        answer = self.channel.ask(
            {
                "type": "exec",
                "service": self.service,
                "text": text,
                "user": self.user,
                "timeout": PATIENCE,
            }
        )
        if "error" in answer:
            raise RuntimeError(answer["error"])
        out, err = base64.b64decode(answer["stdout"]), base64.b64decode(answer["stderr"])
        return self.result(answer["code"], self.encode(text), out, err)


def host(channel: Channel, service: str, user: str = "0:0") -> Host:
    """testinfra's Host of a service; ``user`` "" is the container's own."""
    return Host(EngineBackend(channel, service, user))
