"""The running roles' own checks: a child pytest that the user's folder cannot disturb, fed with testinfra hosts.

The child reaches nothing by itself. It has one socket, inherited, to this process: it asks for commands to be run inside
services (``backend``) and tells what its tests found (``plugin``). So it is the same for every engine, needs no second
connection, and every command of a test becomes evidence here.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from appliance.errors import ApplianceError
from appliance.verify.proof import Status, Step
from appliance.verify.shells import Shells
from appliance.verify.target import Target

CHANNEL = "APPLIANCE_CHECKS_FD"  # number of the inherited socket
PATIENCE = 180.0  # seconds for all checks together
STATUS: Mapping[str, Status] = {"passed": "ok", "failed": "failed", "skipped": "not-run"}
REMEDY = "the role's README explains its settings; `appliance logs` and `appliance plan` show whether it runs as rendered"


def folders(target: Target) -> Mapping[str, Path]:
    """Role → its folder of checks, for the roles that run and have one."""
    roles = {node.role.name: node.role.folder / "checks" for node in target.topology.nodes}
    return {name: path for name, path in sorted(roles.items()) if any(path.glob("test_*.py"))}


def facts(target: Target) -> dict[str, Any]:
    """What the fixture ``facts`` holds: instance, hostname, services, and the spec without password hashes."""
    spec = target.spec.model_dump(mode="json", fallback=lambda value: getattr(value, "__dict__", str(value)))
    for mailbox in spec.get("mailboxes", {}).values():
        mailbox.pop("password", None)
    return {
        "instance": target.instance,
        "hostname": target.spec.hostname,
        "services": [s.name for s in target.bundle.services],
        "spec": json.loads(json.dumps(spec, default=_plain)),
    }


def _plain(value: Any) -> Any:
    return "[bytes]" if isinstance(value, bytes) else getattr(value, "__dict__", str(value))


def carry_out(target: Target, ended: Callable[[Step], object], only: frozenset[str]) -> None:
    """Runs the checks; ``ended`` gets a step for each as it ends. ``only``: names ``<role>/<test>``, empty means all."""
    found = folders(target)
    if not found or (only and not any(name.partition("/")[0] in found for name in only)):
        return
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory(prefix="appliance-checks-") as scratch, ours, theirs, tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            arguments(scratch, found, only),
            cwd=scratch,
            env=environment(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        with _killed_when_late(child):
            server = Server(target, ended, {str(path): role for role, path in found.items()})
            server.serve(ours)
            code = child.wait()
        output.seek(0)
        told = output.read().decode("utf-8", "replace")
    problem = verdict(code, server.count, told, selected=bool(only))
    if problem:
        ended(problem)


def arguments(scratch: str, found: Mapping[str, Path], only: frozenset[str]) -> list[str]:
    """The child's command line: isolated Python (no PYTHON*, no user site, no present folder), no configuration but ours."""
    words = [sys.executable, "-I", "-B", "-m", "pytest", "-c", os.devnull, "--rootdir", scratch, "--confcutdir", scratch]
    words += ["--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider", "-p", "appliance.verify.plugin"]
    words += ["-q", "--no-header", "--tb=short", "-o", "python_files=test_*.py"]
    words += ["-k", " or ".join(sorted(name.rpartition("/")[2] for name in only))] if only else []
    return [*words, *map(str, found.values())]


def environment(channel: int) -> dict[str, str]:
    """The child's environment: ours without what would change pytest or Python."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON", "PY_", "COV_", "COVERAGE"))}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", CHANNEL: str(channel), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}


class _killed_when_late:  # noqa: N801 - reads as a word after `with`
    """Ends a child that hangs: nobody waits for a check for ever."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.timer = threading.Timer(PATIENCE, child.kill)

    def __enter__(self) -> None:
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def verdict(code: int, count: int, told: str, *, selected: bool) -> Step | None:
    """A failed step when the child as a whole did not do its work: 0 and 1 are pytest's words for that it did."""
    if code in (0, 1) and (count or selected):
        return None
    if code == 5 and selected:
        return None
    tail = tuple(told.strip().splitlines()[-30:])
    reason = f"took longer than {PATIENCE:.0f} s" if code < 0 else f"pytest ended with {code} after {count} checks"
    return Step(
        "checks", "the roles' checks can be run", "roles", "failed", time.time(), 0.0, received=tail, reason=reason,
        remedy="a check of a role cannot be loaded: the lines above say which",
    )  # fmt: skip


class Stream(Protocol):
    """What answers are written to."""

    def write(self, data: bytes, /) -> int | None:
        """Buffers bytes."""

    def flush(self) -> None:
        """Sends what is buffered."""


@dataclass
class Server:
    """Answers the child: runs its commands, turns its reports into steps. ``count``: tests that ended."""

    target: Target
    ended: Callable[[Step], object]
    roles: Mapping[str, str]  # folder of checks → role
    count: int = 0
    shells: Shells = field(init=False)
    sent: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shells = Shells(self.target.engine, self.target.instance)

    def serve(self, channel: socket.socket) -> None:
        """One JSON line at a time until the child closes."""
        with channel.makefile("rwb") as stream, closing(self.shells):
            for line in stream:
                request = json.loads(line)
                if request["type"] == "exec":
                    self.execute(request, stream)
                elif request["type"] == "facts":
                    _say(stream, facts(self.target))
                else:
                    self.test_ended(request)

    def execute(self, request: Mapping[str, Any], stream: Stream) -> None:
        """A command inside a service."""
        self.sent.append(f"{request['service']}: {request['text']}")
        try:
            end = self.shells.run(request["service"], request["text"], user=request["user"], timeout=request["timeout"])
        except ApplianceError as why:
            self.received.append(str(why))
            _say(stream, {"error": str(why)})
            return
        text = (end.stdout or end.stderr).decode("utf-8", "backslashreplace").strip()
        self.received.append(f"{end.code}: {text[:400]}" if text else str(end.code))
        _say(stream, {"code": end.code, "stdout": _coded(end.stdout), "stderr": _coded(end.stderr)})

    def test_ended(self, report: Mapping[str, Any]) -> None:
        """A test's outcome becomes a step, with the commands that it ran."""
        self.count += 1
        role = self.roles.get(str(Path(report["path"]).parent), Path(report["path"]).parent.parent.name)
        status = STATUS[report["outcome"]]
        self.ended(
            Step(
                name=f"{role}/{report['name']}",
                title=f"{role}: {report['title']}",
                group="roles",
                status=status,
                started=report["started"],
                seconds=report["seconds"],
                sent=tuple(self.sent),
                received=tuple(self.received),
                reason="" if status == "ok" else report["reason"],
                remedy=REMEDY if status == "failed" else "",
            )
        )
        self.sent, self.received = [], []


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _say(stream: Stream, document: Mapping[str, Any]) -> None:
    stream.write(json.dumps(document).encode() + b"\n")
    stream.flush()
