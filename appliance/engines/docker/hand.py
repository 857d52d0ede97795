"""A hand: a hardened container without network that has configuration volumes writable, and a shell on its attached stdin.

It ends when its controller does (StdinOnce: the engine closes its stdin with the connection; AutoRemove clears it away).
One script at a time goes in; its output and exit code come back behind a marker that no script can guess.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from appliance.engines.docker import archive
from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.stream import Stream
from appliance.errors import ApplianceError, Locked, Unavailable

VOLUMES = "/volumes"  # /volumes/<service>: the service's configuration volume
MOMENT = 60.0  # seconds for file work
LONG = 600.0  # seconds for a build of tables
#: root without DAC_OVERRIDE could not read a file of mode 0400 that belongs to a daemon; CHOWN and FOWNER keep owners in a copy
CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER"]


class HandLost(Locked):
    """The hand is gone in the middle of an apply: its lock was broken, or its container was ended."""


class ScriptFailed(ApplianceError):
    """A script ended with another code than 0. ``output``: what it said."""

    def __init__(self, code: int, output: str, what: str) -> None:
        super().__init__(f"{what} failed ({code}): {output.strip() or 'without a word'}")
        self.status, self.output = code, output


class Hand:
    """A running hand. Used by one thread at a time."""

    def __init__(self, api: Api, container: str, name: str, stream: Stream) -> None:
        self.api, self.container, self.name, self._stream = api, container, name, stream

    @classmethod
    def start(cls, api: Api, name: str, body: Mapping[str, Any]) -> Hand:
        """Creates, attaches, starts. Raises Refused, with status 409 when a container of that name exists."""
        container = str(api.post("/containers/create", body, name=name)["Id"])
        try:
            # attached before it starts: from its first moment it ends with this connection
            stream = api.hijack(f"/containers/{container}/attach", stream=True, stdin=True, stdout=True, stderr=True)
            api.post(f"/containers/{container}/start")
        except BaseException:
            api.delete(f"/containers/{container}", force=True, v=True)
            raise
        return cls(api, container, name, stream)

    def run(self, script: str, what: str, seconds: float = MOMENT) -> str:
        """Runs a script with ``set -e``; returns its output (both streams).

        Raises ScriptFailed with the output, HandLost when the hand is gone, Unavailable when it does not answer in time.
        """
        marker = secrets.token_hex(16)
        deadline = time.monotonic() + seconds
        # stdin is the script's own source: what runs inside must not eat it
        sent = f"(\nset -e\n{script}\n) </dev/null 2>&1; printf '\\n{marker} %s\\n' $?\n"
        output = b""
        try:
            self._stream.send(sent.encode(), deadline)
            while True:
                frame = self._stream.frame(deadline)
                if frame is None:
                    raise self._lost()
                output += frame[1]
                body, found, rest = output.rpartition(f"\n{marker} ".encode())
                if found and rest.endswith(b"\n"):
                    break
        except TimeoutError:
            raise Unavailable(f"{what} did not end within {seconds:.0f} s") from None
        except OSError:
            raise self._lost() from None
        text = body.decode(errors="replace")
        if int(rest) != 0:
            raise ScriptFailed(int(rest), text, what)
        return text

    def put(self, folder: str, tar: bytes) -> None:
        """Extracts a tar below a folder of the hand. Raises HandLost when it is gone."""
        try:
            archive.put(self.api, self.container, folder, tar)
        except Refused as why:
            if why.status == 404 and not self.alive():
                raise self._lost() from None
            raise

    def alive(self) -> bool:
        """Whether the connection still stands, as far as can be seen without waiting."""
        return not self._stream.ended()

    def close(self) -> None:
        """Ends the hand and waits until its name is free again."""
        self._stream.close()
        remove(self.api, self.container)

    def _lost(self) -> HandLost:
        return HandLost(
            f"the container {self.name} was ended by somebody else, or with the engine, and with it this apply",
            hint="`appliance plan` shows what is left to do",
        )


def remove(api: Api, container: str) -> None:
    """Removes a container whatever its state, and returns when its name is free; one that goes by itself is waited for."""
    deadline = time.monotonic() + 15
    while True:
        try:
            api.delete(f"/containers/{container}", force=True, v=True)
        except Refused as why:
            if why.status != 409 or time.monotonic() > deadline:  # 409: its removal is already in progress
                raise
        try:
            api.get(f"/containers/{container}/json")
        except Refused as why:
            if why.status == 404:
                return
            raise
        if time.monotonic() > deadline:
            raise Unavailable(f"the container {container} cannot be removed")
        time.sleep(0.02)


def body(image: str, labels: Mapping[str, str], volumes: Mapping[str, tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
    """The creation of a hand. ``volumes``: service → (volume, labels it gets if it does not exist yet)."""
    return {
        "Image": image,
        "Cmd": ["sh"],
        "Entrypoint": [],
        "User": "0:0",
        "Labels": dict(labels),
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "AutoRemove": True,
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": CAPABILITIES,
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 64,
            # /config: where a program that makes tables looks for the settings of its service
            "Tmpfs": {"/tmp": "mode=1777,size=64m", "/config": "mode=0755,size=1m"},  # noqa: S108 inside the container
            "LogConfig": {"Type": "none"},
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": volume,
                    "Target": f"{VOLUMES}/{service}",
                    "VolumeOptions": {"NoCopy": True, "Labels": dict(marks)},
                }
                for service, (volume, marks) in sorted(volumes.items())
            ],
        },
    }
