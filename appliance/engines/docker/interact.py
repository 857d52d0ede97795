"""A command inside a container on the controller's own stdin, stdout and stderr, with a terminal where there is one."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty as terminal
from collections.abc import Iterator, Sequence

from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.stream import STDERR, STDOUT, Stream

FOREVER = 10**9


def interact(api: Api, container: str, argv: Sequence[str], *, user: str, tty: bool) -> int:
    """Runs the command until it ends; returns its exit code."""
    asked = {
        "Cmd": list(argv),
        "User": user,
        "Tty": tty,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Env": [f"TERM={os.environ.get('TERM', 'xterm')}"] if tty else [],
    }
    made = str(api.post(f"/containers/{container}/exec", asked)["Id"])
    stream = api.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": tty})
    try:
        with _raw_terminal(api, made) if tty else contextlib.nullcontext():
            _pump(stream, framed=not tty)
    finally:
        stream.close()
    return _code(api, made)


def _pump(stream: Stream, *, framed: bool) -> None:
    """Both ways until the command ends. ``framed``: the answer comes in frames, a terminal's as plain bytes."""
    source: int | None = sys.stdin.fileno()
    _show(stream, framed=framed)  # what came together with the engine's answer
    while True:
        ready, _, _ = select.select([stream.fileno(), *([source] if source is not None else [])], [], [])
        if source is not None and source in ready:
            data = os.read(source, 1 << 16)
            if data:
                with contextlib.suppress(OSError):  # the command has closed its stdin
                    stream.send(data, time.monotonic() + FOREVER)
            else:
                stream.end_input()
                source = None
        if stream.fileno() in ready:
            more = stream.take()
            _show(stream, framed=framed)
            if not more:
                return


def _show(stream: Stream, *, framed: bool) -> None:
    for kind, payload in stream.ready_frames() if framed else [(STDOUT, stream.rest())]:
        out = sys.stderr.buffer if kind == STDERR else sys.stdout.buffer
        out.write(payload)
        out.flush()


@contextlib.contextmanager
def _raw_terminal(api: Api, made: str) -> Iterator[None]:
    """Keys go to the command as they are pressed; the size of the window follows."""

    def resize(*_: object) -> None:
        size = shutil.get_terminal_size()
        with contextlib.suppress(Refused):
            api.post(f"/exec/{made}/resize", h=size.lines, w=size.columns)

    before, handler = termios.tcgetattr(sys.stdin), signal.signal(signal.SIGWINCH, resize)
    try:
        terminal.setraw(sys.stdin)
        resize()
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)


def _code(api: Api, made: str) -> int:
    for _ in range(100):
        found = api.get(f"/exec/{made}/json")
        if not found["Running"] and found["ExitCode"] is not None:
            return int(found["ExitCode"])
        time.sleep(0.02)
    return 1
