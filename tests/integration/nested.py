"""A host in a container: an engine of its own that tests may configure and restart, reached over ssh like anybody's server."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.engines.docker.engine import connect
from appliance.images.build import build
from appliance.images.context import contexts, read
from appliance.images.lock import read as read_lock
from appliance.images.tags import tags
from tests.instances import LABEL
from tests.integration.engine_room import until
from tests.integration.pebble import tar
from tests.reports import Recorder

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

FOLDER = Path(__file__).parents[1] / "fixtures/images/nested"
#: what a dockerd in a container needs where --privileged is refused
CAPABILITIES = (
    *("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_CHROOT", "MKNOD", "SYS_PTRACE"),
    *("DAC_READ_SEARCH", "SETFCAP", "SYSLOG", "AUDIT_WRITE", "SYS_NICE", "IPC_LOCK"),
)
DAEMON = "/etc/docker/daemon.json"


@dataclass(frozen=True)
class Host:
    """``docker_host``: what DOCKER_HOST is for it; the ssh that understands it comes first in PATH while the host lives."""

    client: docker.DockerClient
    container: Container
    docker_host: str

    def sh(self, script: str) -> str:
        """A shell script on it, as root; what it printed."""
        end = self.container.exec_run(["sh", "-euc", script])
        words = bytes(end.output).decode(errors="replace")  # type: ignore[arg-type]  # no stream was asked for
        assert end.exit_code == 0, f"{script}: {words}"
        return words

    def configure(self, settings: dict[str, Any]) -> None:
        """Writes daemon.json and restarts dockerd."""
        self.sh(f"mkdir -p /etc/docker; cat > {DAEMON} <<'END'\n{json.dumps(settings)}\nEND")
        old = self.sh("cat /run/docker.pid").strip()
        self.sh(f"kill {old}")
        until(lambda: self.answers() and self.sh("cat /run/docker.pid").strip() != old, "dockerd is back", 60)

    def answers(self) -> bool:
        """Whether dockerd listens."""
        code, _ = self.container.exec_run(["sh", "-c", "[ -S /run/docker.sock ] && [ -s /run/docker.pid ]"])
        return code == 0

    def take(self, images: Sequence[str]) -> None:
        """Copies images of the outer engine to it; what they share travels once."""
        outer = self.client.api
        saved = outer.get(outer._url("/images/get"), params={"names": list(images)}, stream=True)  # type: ignore[attr-defined]
        hands = connect(self.docker_host)
        try:
            hands.client.images.load(saved.iter_content(2**20))  # type: ignore[arg-type]  # any iterator of bytes will do
        finally:
            hands.close()

    @contextmanager
    def stranger(self) -> Iterator[Callable[[str], str]]:
        """A client in a network namespace on a veth pair: a function that runs a bash script there; see STRANGERS.

        From loopback or another bridge it would wear the gateway's address.
        """
        script = """
        ip netns add stranger; ip link add veth-o type veth peer name veth-i netns stranger
        ip addr add 192.0.2.1/30 dev veth-o; ip -6 addr add 2001:db8::1/64 dev veth-o nodad; ip link set veth-o up
        ip -n stranger addr add 192.0.2.2/30 dev veth-i; ip -n stranger -6 addr add 2001:db8::2/64 dev veth-i nodad
        ip -n stranger link set veth-i up; ip -n stranger link set lo up
        ip -n stranger route add default via 192.0.2.1; ip -n stranger -6 route add default via 2001:db8::1
        """
        self.sh(script)
        try:
            yield lambda words: self.sh(f"nsenter --net=/run/netns/stranger timeout 20 bash -c {shlex.quote(words)}")
        finally:
            self.sh("ip link del veth-o; ip netns del stranger")


#: the host and its stranger, by family
STRANGERS: Mapping[int, tuple[str, str]] = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}


@contextmanager
def nested(client: docker.DockerClient, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host named ``<name>-host``; ``folder`` gets the key that opens it, and an ssh that knows it."""
    among = {**contexts(), "nested": read("nested", FOLDER)}
    lock = read_lock(Path("/nonexistent"))
    build(client, ["nested"], lock, Recorder(), among=among)
    made = client.api.create_container_from_config(  # type: ignore[no-untyped-call]
        {
            "Image": tags(lock, among)["nested"],
            "Hostname": f"{name}-host",
            "Labels": {LABEL: name},
            "Volumes": {"/var/lib/docker": {}},
            "HostConfig": {
                "CapAdd": CAPABILITIES,
                "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
                "MaskedPaths": [],  # with ReadonlyPaths what the command line calls systempaths=unconfined
                "ReadonlyPaths": [],
                "CgroupnsMode": "private",
                "Sysctls": {"net.ipv6.conf.all.disable_ipv6": "0", "net.ipv6.conf.default.disable_ipv6": "0"},
            },
        },
        name=f"{name}-host",
    )
    container = client.containers.get(made["Id"])
    try:
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        container.put_archive("/", tar({"root/.ssh/authorized_keys": key.with_suffix(".pub").read_bytes()}))
        container.start()
        container.reload()
        address = container.attrs["NetworkSettings"]["IPAddress"]
        (folder / "config").write_text(
            f"Host {address}\n  User root\n  IdentityFile {key}\n  UserKnownHostsFile {folder}/known\n"
            f"  StrictHostKeyChecking accept-new\n"
        )
        (folder / "bin").mkdir()
        (folder / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
        (folder / "bin/ssh").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder / "bin"), prepend=":")
        host = Host(client, container, f"ssh://root@{address}")
        until(host.answers, "the engine answers", 60)
        yield host
    finally:
        container.remove(force=True, v=True)
