"""A certificate authority for tests: Debian's pebble in the engine host's network, so that it reaches ports of loopback."""

from __future__ import annotations

import io
import json
import ssl
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import docker
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.images.build import build
from appliance.images.context import contexts, read
from appliance.images.lock import read as read_lock
from appliance.images.tags import tags
from tests.certificates import issue
from tests.instances import LABEL
from tests.reports import Recorder
from tests.unit.dns_stub import Zone, serve

FOLDER = Path(__file__).parents[1] / "fixtures/images/pebble"
STARTS = 30  # seconds


@dataclass(frozen=True)
class Authority:
    """``port``: where it looks for http-01. ``trust``: a file with its own root and the root of what it issues."""

    directory: str
    port: int
    trust: Path


def image(client: docker.DockerClient) -> str:
    """The tag of its image, built when it is missing."""
    among = {**contexts(), "pebble": read("pebble", FOLDER)}
    lock = read_lock(Path("/nonexistent"))
    build(client, ["pebble"], lock, Recorder(), among=among)
    return tags(lock, among)["pebble"]


@contextmanager
def pebble(
    client: docker.DockerClient, name: str, hostname: str, folder: Path, ports: tuple[int, int, int]
) -> Iterator[Authority]:
    """Runs it as ``<name>-pebble``, for a host name that is 127.0.0.1. ``ports``: of ACME, of its management, of http-01."""
    acme, management, http = ports
    root, certificate, key = own_certificate()
    settings = {
        "listenAddress": f"127.0.0.1:{acme}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": "/pebble/cert.pem",
        "privateKey": "/pebble/key.pem",
        "httpPort": http,
        "tlsPort": 5001,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    files = {"config.json": json.dumps({"pebble": settings}).encode(), "cert.pem": certificate, "key.pem": key}
    with serve(Zone(f"{hostname}. 60 IN A 127.0.0.1")) as resolver:
        container = client.containers.create(
            image(client),
            ["pebble", "-config", "/pebble/config.json", "-dnsserver", resolver.replace("@", ":")],
            name=f"{name}-pebble",
            labels={LABEL: name},
            network_mode="host",
            # by itself it sleeps, refuses nonces and forgets to look, to try a client's patience: that is not what is tried here
            environment={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"},
        )
        try:
            container.put_archive("/", tar({f"pebble/{path}": data for path, data in files.items()}))
            container.start()
            trust = folder / "trust.pem"
            trust.write_bytes(root + issuing_root(f"https://127.0.0.1:{management}/roots/0"))
            yield Authority(f"https://127.0.0.1:{acme}/dir", http, trust)
        finally:
            container.remove(force=True)


def issuing_root(url: str) -> bytes:
    """The root certificate that it made for itself at this start."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    end = time.monotonic() + STARTS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=context) as answer:  # noqa: S310 - ours
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < end, f"pebble does not answer within {STARTS} s"
            time.sleep(0.2)


def own_certificate() -> tuple[bytes, bytes, bytes]:
    """Root, certificate and key (PEM) of pebble's own https."""
    now = datetime.now(UTC)
    begins, ends = now - timedelta(days=1), now + timedelta(days=2)
    ca, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = "a test's authority"
    root = issue(ca.public_key(), ca, name, [x509.DNSName("ca.invalid")], begins, ends, ca=True)
    leaf = issue(key.public_key(), ca, name, [x509.IPAddress(ip_address("127.0.0.1"))], begins, ends)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return root.public_bytes(Encoding.PEM), leaf.public_bytes(Encoding.PEM), secret


def tar(files: dict[str, bytes]) -> bytes:
    """Files that everybody may read."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
