"""A running appliance for tests: a spec of the tests' own, put up once, with passwords that tests know."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.cli.app import App
from appliance.errors import ApplianceError
from appliance.spec.model import Ports
from tests.instances import free_ports

if TYPE_CHECKING:
    import docker

    from appliance.engines.docker.engine import DockerEngine
    from appliance.verify.target import Target

LISTENERS = tuple(Ports.model_fields)
#: mailbox of SPEC → password; their hashes are cheap, the tests log in often
STAYING: Mapping[str, str] = {
    "alice@example.org": "alice's password",
    "bob@example.org": "bob's password",
    "full@example.org": "full's password",
    "info@xn--bcher-kva.example": "info's password",
    "jürgen@xn--bcher-kva.example": "Jürgens Paßwort",
}
#: mailboxes that come and go
PASSING: Mapping[str, str] = {
    "new@xn--bcher-kva.example": "new's password",
    "back@xn--bcher-kva.example": "back's password",
    "later@xn--bcher-kva.example": "later's password",
}
PASSWORDS: Mapping[str, str] = {**STAYING, **PASSING}
NEXT_HOP = 2626  # port of a next hop in Postfix's own network
PATIENCE = 300  # seconds for `up`

SPEC = """
version: 1
name: {name}
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: alice@example.org
message_size: 2 MiB
listen: {{address: 127.0.0.1, ports: {ports}}}
network: {{subnet: {subnet}}}
domains:
  example.org: {{}}
  bücher.example: {{catch_all: info@bücher.example}}
mailboxes:
  alice@example.org: {{password: "{alice}"}}
  bob@example.org: {{password: "{bob}", quota: 1 GiB}}
  full@example.org: {{password: "{full}", quota: 20 KiB}}
  info@bücher.example: {{password: "{info}"}}
  jürgen@bücher.example: {{password: "{jürgen}"}}
  off@bücher.example: {{password: "{info}", enabled: false}}
aliases:
  sales@example.org: [alice@example.org, bob@example.org]
  tofull@example.org: [full@example.org]
  half@example.org: [full@example.org, bob@example.org]
  abuse@bücher.example: [full@example.org]
  list@example.org: {{to: [bob@example.org], send_as: [alice@example.org]}}
routes:
  partner.example: "[192.0.2.25]:25"
  refuses.example: "[127.0.0.1]:{next_hop}"  # a server beside Postfix, where a test starts one
roles:
  clamav: {{signatures: signatures}}
"""


def hashed(password: str) -> str:
    """A Dovecot hash that costs nothing to check."""
    salt = b"saltsalt"
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()


def free_subnet(client: docker.DockerClient) -> str:
    """A /24 of 198.19.0.0/16 (RFC 2544) that no network of the engine has."""
    taken = [
        ipaddress.ip_network(c["Subnet"])
        for n in client.networks.list()
        for c in (n.attrs["IPAM"]["Config"] or ())
        if c.get("Subnet")
    ]
    start = os.getpid() % 256
    for i in range(256):
        found = ipaddress.ip_network(f"198.19.{(start + i) % 256}.0/24")
        if not any(found.overlaps(t) for t in taken if t.version == 4):
            return str(found)
    raise OSError("no free subnet")


def write_spec(folder: Path, name: str, subnet: str) -> tuple[Path, Mapping[str, int]]:
    """The spec with its signatures; returns its path and listener → port."""
    from appliance.spec.example import files

    ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    words = {address.partition("@")[0]: hashed(password) for address, password in PASSWORDS.items()}
    text = SPEC.format(name=name, ports=json.dumps(ports), subnet=subnet, next_hop=NEXT_HOP, **words)
    path = folder / "mail.yml"
    path.write_text(text, encoding="utf-8")
    (folder / "signatures").mkdir(exist_ok=True)
    for file, data in files().items():
        if file.startswith("example-signatures/"):
            (folder / "signatures" / Path(file).name).write_bytes(data)
    return path, ports


@dataclass(frozen=True)
class Appliance:
    """An instance that runs. ``ports``: listener → port on 127.0.0.1."""

    name: str
    spec_path: Path
    ports: Mapping[str, int]
    client: docker.DockerClient

    @cached_property
    def app(self) -> App:
        """The program's own view of the spec; made anew by :meth:`fresh_app` after the spec changed."""
        return self.fresh_app()

    def fresh_app(self) -> App:
        """An App that reads the spec as it is now."""
        return App(file=self.spec_path, progress_mode="quiet")

    @cached_property
    def engine(self) -> DockerEngine:
        """The engine's hands."""
        from appliance.engines.docker.engine import connect

        return connect()

    def target(self) -> Target:
        """What verify takes."""
        from appliance.cli.verify import target

        return target(self.fresh_app())

    def cli(self, *words: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """`appliance -f SPEC …` as a user types it."""
        argv = [sys.executable, "-m", "appliance", "-f", str(self.spec_path), *words]
        end = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False, **more)
        assert not check or end.returncode == 0, (
            f"{' '.join(words)} ended with {end.returncode}:\n{end.stdout[-2000:]}\n{end.stderr[-2000:]}"
        )
        return end

    def exec(self, service: str, *argv: str, stdin: bytes = b"") -> str:
        """A command inside a service as its root; what it printed."""
        end = self.engine.exec(self.name, service, argv, stdin=stdin, user="0:0")
        assert end.code == 0, f"{argv}: {end.stderr.decode(errors='replace')}"
        return end.stdout.decode("utf-8", "replace")

    def wait(self, service: str, *, must: bool = True) -> None:
        """Until a service's own health check says yes; one that need not is given 5 s to be up."""
        end = time.monotonic() + (60 if must else 5)
        health = self.target().bundle.service(service).runtime.health
        argv = health.command if health else ("true",)
        while True:
            try:
                if self.engine.exec(self.name, service, argv, timeout=15).code == 0:
                    return
            except ApplianceError:
                pass
            if time.monotonic() > end:
                assert not must, f"{service} does not become healthy"
                return
            time.sleep(0.3)

    def settled(self, seconds: float = 20) -> None:
        """Until port 25 knows a mailbox again: after a reload of the store its status is not known for a moment (4xx)."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                with smtplib.SMTP("127.0.0.1", self.ports["smtp"], timeout=10) as session:
                    session.ehlo("probe.invalid")
                    session.mail("probe@sender.invalid")
                    if session.rcpt(self.target().spec.postmaster)[0] < 400:
                        return
            except (OSError, smtplib.SMTPException):
                pass
            time.sleep(0.2)

    def helper(self, volumes: Sequence[str], script: str) -> None:
        """A shell script in a throwaway container that has these volumes of the instance writable under /v/<volume>."""
        image = self.client.containers.get(f"{self.name}-postfix").attrs["Config"]["Image"]
        mounts = {f"{self.name}-{v}": {"bind": f"/v/{v}", "mode": "rw"} for v in volumes}
        self.client.containers.run(
            image,
            ["sh", "-euc", script],
            entrypoint=[],
            user="0:0",
            volumes=mounts,
            network_mode="none",
            remove=True,
            environment={"MAIL_CONFIG": "/v/postfix-config/current"},
        )
