"""Places from which a stranger would come: loopback and bridges always wear the gateway's address, these do not.

Each place carries out SMTP dialogues (``dialogues.py``, standard library only) and says in words where it stands. What a place
makes (a network namespace, a container) it removes again.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from appliance.errors import ApplianceError
from appliance.verify import dialogues
from appliance.verify.registry import NotRun
from appliance.verify.target import Target

PATIENCE = 120  # seconds for all dialogues from one place
SCRIPT = Path(dialogues.__file__)


class Place(Protocol):
    """Somewhere else."""

    @property
    def words(self) -> str:
        """Where it is, for the proof."""

    @property
    def gateway(self) -> Mapping[int, str]:
        """This host's address as seen from there, by family."""

    def talk(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out the dialogues of :mod:`appliance.verify.dialogues`; raises ApplianceError when it cannot be tried."""


def _answer(argv: Sequence[str], end: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    if end.returncode != 0:
        words = end.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ApplianceError(f"{argv[0]} ended with {end.returncode}: {words[-1] if words else 'no words'}")
    answer: dict[str, Any] = json.loads(end.stdout)
    return answer


def _run(argv: Sequence[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(argv, capture_output=True, timeout=PATIENCE, check=False, **more)
    except subprocess.TimeoutExpired:
        raise ApplianceError(f"{argv[0]} did not end within {PATIENCE} s") from None


@dataclass(frozen=True)
class Namespace:
    """A network namespace on a veth pair: the only place on this machine whose IPv4 address Postfix sees unchanged."""

    name: str
    gateway: Mapping[int, str]
    words: str = "a network namespace on this host"

    def talk(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Inside the namespace, with this Python."""
        argv = ["ip", "netns", "exec", self.name, sys.executable, "-I", str(SCRIPT), json.dumps(request)]
        return _answer(argv, _run(argv))


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Makes the namespace, its veth pair and addresses of the documentation ranges (RFC 5737, RFC 3849), and removes them."""
    name = f"av-{secrets.token_hex(4)}"
    octet = secrets.randbelow(63) * 4
    ours, theirs = f"192.0.2.{octet + 1}", f"192.0.2.{octet + 2}"
    ours6, theirs6 = f"2001:db8:0:{octet:x}::1", f"2001:db8:0:{octet:x}::2"
    outer, inner = f"{name}o"[:15], f"{name}i"[:15]
    inside = ["-n", name]
    try:
        for words in (
            ["netns", "add", name],
            ["link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name],
            ["addr", "add", f"{ours}/30", "dev", outer],
            ["-6", "addr", "add", f"{ours6}/64", "dev", outer, "nodad"],
            ["link", "set", outer, "up"],
            [*inside, "addr", "add", f"{theirs}/30", "dev", inner],
            [*inside, "-6", "addr", "add", f"{theirs6}/64", "dev", inner, "nodad"],
            [*inside, "link", "set", inner, "up"],
            [*inside, "link", "set", "lo", "up"],
            [*inside, "route", "add", "default", "via", ours],
            [*inside, "-6", "route", "add", "default", "via", ours6],
        ):
            end = _run(["ip", *words])
            if end.returncode != 0:
                raise ApplianceError(f"ip {' '.join(words)}: {end.stderr.decode('utf-8', 'replace').strip()}")
        yield Namespace(name, {4: ours, 6: ours6})
    finally:
        _run(["ip", "link", "del", outer])
        _run(["ip", "netns", "del", name])


@dataclass(frozen=True)
class Ssh:
    """Another machine, by the user's own ssh configuration."""

    host: str
    gateway: Mapping[int, str]

    @property
    def words(self) -> str:
        """Where it is."""
        return f"the machine {self.host}"

    def talk(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The script goes over stdin, its argument as one quoted word."""
        import shlex

        argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", self.host]
        argv.append(f"python3 -I - {shlex.quote(json.dumps(request))}")
        return _answer(argv, _run(argv, input=SCRIPT.read_bytes()))


#: what a container that only opens connections needs: nothing
HARDENED: Mapping[str, Any] = {
    "entrypoint": [],
    "cap_drop": ["ALL"],
    "read_only": True,
    "mem_limit": "128m",
    "pids_limit": 16,
    "user": "65534:65534",
    "security_opt": ["no-new-privileges"],
    "labels": {"appliance.throwaway": "verify"},
}


@dataclass(frozen=True)
class Container:
    """A throwaway container of an image that the instance has anyway, on the engine's default network, not on the instance's."""

    client: Any
    images: tuple[str, ...]
    gateway: Mapping[int, str]
    words: str = "a container on another network of the engine"

    def talk(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """In the first image that has Python."""
        for image in self.images:
            answer = self._in(image, request)
            if answer is not None:
                return answer
        raise ApplianceError("no image of the instance has Python")

    def _in(self, image: str, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """In a container of one image; None when it has no Python. The container is removed whatever happens."""
        import docker.errors

        argv = ["python3", "-I", "-c", SCRIPT.read_text(encoding="utf-8"), json.dumps(request)]
        try:
            made = self.client.containers.create(image, argv, network="bridge", **HARDENED)
        except docker.errors.DockerException as why:
            raise ApplianceError(f"a throwaway container could not be made: {why}") from None
        try:
            made.start()
            code = made.wait(timeout=PATIENCE)["StatusCode"]
            answer: dict[str, Any] = json.loads(made.logs(stdout=True, stderr=False)) if code == 0 else {}
        except docker.errors.APIError as why:
            if "executable file not found" in str(why):
                return None
            raise ApplianceError(f"a throwaway container could not be started: {why.explanation or why}") from None
        finally:
            made.remove(force=True)
        if code != 0:
            raise ApplianceError(f"the throwaway container ended with {code}")
        return answer


@contextmanager
def place(target: Target, origin: str) -> Iterator[Place]:
    """The best place there is: the machine that was named, a namespace (root, engine on this machine), a container.

    Raises NotRun when there is none.
    """
    if origin:
        yield Ssh(origin, _public(target))
        return
    if not target.host and os.geteuid() == 0 and shutil.which("ip"):
        with namespace() as made:
            yield made
        return
    client = getattr(target.engine, "client", None)
    if client is None:
        raise NotRun("needs root, or an engine that can start a throwaway container")
    images = tuple(dict.fromkeys(s.runtime.image for s in target.bundle.services))
    yield Container(client, images, _gateways(client.networks.get("bridge").attrs["IPAM"]["Config"] or ()))


def _gateways(configs: Sequence[Mapping[str, str]]) -> Mapping[int, str]:
    """This host's address in a network, by family; engines leave it out where it is the subnet's first."""
    found: dict[int, str] = {}
    for config in configs:
        if config.get("Subnet"):
            net = ipaddress.ip_network(config["Subnet"], strict=False)
            found[net.version] = config.get("Gateway") or str(net.network_address + 1)
    return found


def _public(target: Target) -> Mapping[int, str]:
    """What the world sees, by family; the host name where the spec says no address."""
    found = {6 if ":" in a else 4: a for a in reversed(target.spec.addresses)}
    return found or {4: target.spec.hostname}
