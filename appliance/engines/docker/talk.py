"""Commands inside running containers, over the engine's own exec."""

from __future__ import annotations

import time
from collections.abc import Sequence

from appliance.engines.base import ExecResult
from appliance.engines.docker.api import Api
from appliance.engines.docker.stream import STDOUT, Stream
from appliance.errors import ApplianceError


class TimedOut(ApplianceError):
    """A command did not end in time. ``result``: what it said until then, code -1."""

    def __init__(self, what: str, seconds: float, result: ExecResult) -> None:
        super().__init__(f"{what} did not end within {seconds:.0f} s")
        self.result = result


def run(api: Api, container: str, argv: Sequence[str], *, stdin: bytes = b"", user: str = "", seconds: float = 60) -> ExecResult:
    """Runs a command in a running container; both streams apart. Raises TimedOut; Refused (404, 409) when it does not run."""
    asked = {
        "Cmd": list(argv),
        "User": user,
        "AttachStdin": bool(stdin),
        "AttachStdout": True,
        "AttachStderr": True,
    }
    made = str(api.post(f"/containers/{container}/exec", asked)["Id"])
    deadline = time.monotonic() + seconds
    stream = api.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": False})
    out: tuple[bytearray, bytearray] = (bytearray(), bytearray())
    try:
        _pump(stream, stdin, out, deadline)
    except TimeoutError:
        raise TimedOut(" ".join(argv), seconds, ExecResult(-1, bytes(out[0]), bytes(out[1]))) from None
    finally:
        stream.close()
    return ExecResult(_code(api, made, deadline), bytes(out[0]), bytes(out[1]))


def _pump(stream: Stream, stdin: bytes, out: tuple[bytearray, bytearray], deadline: float) -> None:
    """Feeds stdin while reading: a program that answers while it is fed must not block both sides."""
    left = memoryview(stdin)
    while left:
        readable, writable = stream.readable(deadline - time.monotonic(), writable=True)
        if not (readable or writable):
            raise TimeoutError
        if writable:
            try:
                left = left[stream.send_some(left) :]
            except OSError:
                break  # the program has closed its stdin: what it said still counts
        elif not _take(stream, out, deadline):
            return
    if stdin:
        stream.end_input()
    while _take(stream, out, deadline):
        pass


def _take(stream: Stream, out: tuple[bytearray, bytearray], deadline: float) -> bool:
    frame = stream.frame(deadline)
    if frame is not None:
        out[0 if frame[0] == STDOUT else 1].extend(frame[1])
    return frame is not None


def _code(api: Api, made: str, deadline: float) -> int:
    """The exit code; the engine may still say "running" for a moment after the stream's end."""
    while True:
        found = api.get(f"/exec/{made}/json")
        if not found["Running"] and found["ExitCode"] is not None:
            return int(found["ExitCode"])
        if time.monotonic() > deadline:
            return -1
        time.sleep(0.005)
