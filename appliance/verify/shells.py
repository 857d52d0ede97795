"""Shell commands inside services, many of them cheaply: one exec per service that stays open and reads command after command.

An exec of its own costs an engine some 60 ms of processor time; a check suite of a hundred commands would spend more on asking
than on answering. Engines that cannot keep an exec open run each command by itself: slower, and the same.
"""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.engines.base import Engine, ExecResult
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.engines.docker.stream import Stream


class Shell:
    """One open ``/bin/sh`` in a container. The stream keeps stdout and stderr apart."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def run(self, text: str, timeout: float) -> ExecResult:
        """A command in a shell of its own, its stdin empty. Raises ApplianceError when it does not end, or the shell is gone."""
        mark = secrets.token_hex(12)
        script = f"/bin/sh -c {shlex.quote(text)} </dev/null; printf '\\n%s %s\\n' {mark} $?; printf '\\n%s\\n' {mark} >&2\n"
        deadline = time.monotonic() + timeout
        heard: Mapping[int, bytearray] = {1: bytearray(), 2: bytearray()}
        try:
            self.stream.send(script.encode(), deadline)
            while not all(_ended(bytes(heard[n][-200:]), mark) for n in heard):
                frame = self.stream.frame(deadline)
                if frame is None:
                    raise ApplianceError("the service ended while a command ran in it")
                heard[frame[0]].extend(frame[1])
        except TimeoutError:
            raise ApplianceError(f"{text} did not end within {timeout:.0f} s") from None
        except OSError as why:
            raise ApplianceError(f"the service is gone: {why}") from None
        out, _, code = bytes(heard[1]).rpartition(f"\n{mark} ".encode())
        return ExecResult(int(code), out, bytes(heard[2]).rpartition(f"\n{mark}\n".encode())[0])

    def close(self) -> None:
        """Ends the shell."""
        self.stream.close()


def _ended(tail: bytes, mark: str) -> bool:
    return tail.endswith(b"\n") and f"\n{mark}".encode() in tail


@dataclass
class Shells:
    """Shells of an instance by service and user, opened when they are first used."""

    engine: Engine
    instance: str
    open: dict[tuple[str, str], Shell] = field(default_factory=dict)

    def run(self, service: str, text: str, *, user: str, timeout: int) -> ExecResult:
        """Runs a shell command in a service."""
        api = getattr(self.engine, "api", None)
        if api is None:
            return self.engine.exec(self.instance, service, ("/bin/sh", "-c", text), user=user, timeout=timeout)
        key = (service, user)
        if key not in self.open:
            self.open[key] = _opened(api, self.instance, service, user)
        try:
            return self.open[key].run(text, timeout)
        except ApplianceError:
            self.open.pop(key).close()
            raise

    def close(self) -> None:
        """Ends all of them."""
        while self.open:
            self.open.popitem()[1].close()


def _opened(api: Any, instance: str, service: str, user: str) -> Shell:
    """Raises ApplianceError when the service does not run."""
    from appliance.engines.docker.api import Refused
    from appliance.engines.docker.labels import container

    asked = {"Cmd": ["/bin/sh"], "User": user, "AttachStdin": True, "AttachStdout": True, "AttachStderr": True}
    try:
        made = api.post(f"/containers/{container(instance, service)}/exec", asked)["Id"]
        return Shell(api.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": False}))
    except Refused as why:
        if why.status in (404, 409):
            raise ApplianceError(f"{service} does not run in {instance}", hint="`appliance ps` shows what does") from None
        raise
