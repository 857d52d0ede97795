"""What the ring makes is read by the daemons of the images: OpenDKIM signs, Dovecot verifies, Unbound serves the zone."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dkim
import pytest

from appliance.dns.compare import compare
from appliance.dns.live import look_up, resolver
from appliance.dns.records import Record
from appliance.dns.wanted import txt_lookup, wanted
from appliance.dns.zone import snippet, zones
from appliance.images.build import build
from appliance.images.lock import Lock
from appliance.images.tags import tags
from appliance.keys.passwords import GENERATED, SCHEMES, hash_password
from appliance.keys.secret import Secret
from tests.instances import LABEL
from tests.integration.engine_room import until
from tests.unit.keys_room import Told, ring, spec

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

pytestmark = pytest.mark.docker
MESSAGE = b"From: alice@example.org\r\nTo: bob@example.net\r\nSubject: signed\r\n\r\nhello\r\n"


@pytest.fixture
def container(engine: docker.DockerClient, instance: str) -> Iterator[Callable[..., Container]]:
    """``container("opendkim", files)``: an idle container of that image without a network, its /tmp holding the files."""
    made: list[Container] = []

    def start(name: str, files: Mapping[str, bytes], **options: Any) -> Container:
        build(engine, [name], Lock(), Told())
        options = {"network_mode": "none", **options}
        one: Container = engine.containers.create(
            tags(Lock())[name], ["sleep", "300"], user="0", labels={LABEL: instance}, init=True, **options
        )
        made.append(one)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, data in files.items():
                member = tarfile.TarInfo(path)
                member.size, member.mode = len(data), 0o444
                tar.addfile(member, io.BytesIO(data))
        one.put_archive("/tmp", archive.getvalue())  # noqa: S108 - in the container
        one.start()
        return one

    yield start
    for one in made:
        one.remove(force=True, v=True)


def run(container: Container, *argv: str) -> tuple[int, str]:
    code, out = container.exec_run(list(argv))
    assert isinstance(out, bytes)
    return code or 0, out.decode()


@pytest.mark.parametrize("algorithm", ["rsa-2048", "rsa-3072", "rsa-4096", "ed25519"])
def test_opendkim_signs_with_a_key_of_the_ring(container: Callable[..., Container], tmp_path: Path, algorithm: str) -> None:
    of, keys = spec(settings={"dkim": {"algorithms": (algorithm,)}}), ring(tmp_path)
    keys.create(of, Told())
    selector = f"s1-{algorithm.partition('-')[0]}"
    method = "ed25519-sha256" if algorithm == "ed25519" else "rsa-sha256"
    settings = (
        f"Syslog no\nMode s\nDomain example.org\nSelector {selector}\nKeyFile /tmp/key.pem\nSignatureAlgorithm {method}\n"
        "RequireSafeKeys no\nSocket local:/tmp/socket\nCanonicalization relaxed/relaxed\n"
    )
    files = {"key.pem": keys.read(f"dkim/example.org/{selector}.pem", of), "conf": settings.encode(), "message": MESSAGE}
    code, out = run(container("opendkim", files), "opendkim", "-x", "/tmp/conf", "-t", "/tmp/message", "-vvv")  # noqa: S108
    assert code == 0, out
    _, _, value = out.partition("hname='DKIM-Signature' hvalue='")
    signature = value.partition("'")[0].replace("\n", "\r\n")
    signed = f"DKIM-Signature: {signature}\r\n".encode() + MESSAGE
    lookup = txt_lookup(wanted(of, keys.view(of), (4,)))
    assert dkim.verify(signed, dnsfunc=lookup), out
    assert not dkim.verify(signed.replace(b"hello", b"hullo"), dnsfunc=lookup)


def test_dovecot_verifies_every_hash_that_is_made(container: Callable[..., Container]) -> None:
    settings = b"dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
    dovecot = container("dovecot", {"conf": settings})
    for scheme in (*SCHEMES, GENERATED):
        hashed = hash_password(Secret("correct hörse"), scheme)
        doveadm = ("doveadm", "-c", "/tmp/conf", "pw", "-t", hashed, "-p")  # noqa: S108
        assert run(dovecot, *doveadm, "correct hörse") == (0, f"{hashed} (verified)\n")
        assert run(dovecot, *doveadm, "correct horse")[0] != 0


def test_a_real_name_server_loads_the_zone_as_it_stands(
    container: Callable[..., Container], tmp_path: Path, ports: Callable[[int], tuple[int, ...]]
) -> None:
    of, keys = spec(("example.org", "bücher.example"), settings={}), ring(tmp_path)
    keys.create(of, Told())
    records, (port,) = wanted(of, keys.view(of), (4, 6)), ports(1)
    files = zone_files(records, snippet(records, of), list(zones(records, of)))
    published = {f"53/{kind}": ("127.0.0.1", port) for kind in ("udp", "tcp")}
    unbound = container("resolver", files, network_mode="bridge", ports=published)
    assert run(unbound, "unbound-checkconf", "/tmp/unbound.conf")[0] == 0  # noqa: S108
    unbound.exec_run(["unbound", "-c", "/tmp/unbound.conf"], detach=True)  # noqa: S108
    using = resolver(f"127.0.0.1@{port}")
    using.lifetime = 1.0
    until(lambda: bool(look_up(using, "example.org", "MX").values), "the zone is served")
    found = compare(records, of, lambda name, kind: look_up(using, name, kind))
    assert [(f.name, f.type, f.status, f.note) for f in found if f.status != "ok"] == []
    assert len(found) == len(records)


def zone_files(records: tuple[Record, ...], text: str, origins: list[str]) -> Mapping[str, bytes]:
    """Unbound as an authoritative server of each zone, and of the reverse names with what is to be asked for."""
    frame = "@ 60 IN SOA ns.nic.example. hostmaster.nic.example. 1 3600 600 86400 5\n@ 60 IN NS ns.nic.example.\n"
    bodies = {origin: text for origin in origins if origin}
    bodies |= {r.name: f"{r}\n" for r in records if r.provider}
    files = {f"{origin}.zone": f"$ORIGIN {origin}.\n{frame}{body}".encode() for origin, body in bodies.items()}
    server = (
        'server:\n  interface: 0.0.0.0\n  access-control: 0.0.0.0/0 allow\n  username: ""\n  chroot: ""\n  directory: "/tmp"\n'
        '  pidfile: ""\n  do-daemonize: no\n  module-config: "iterator"\n  local-zone: "113.0.203.in-addr.arpa." nodefault\n'
        '  local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." nodefault\n'
    )
    auth = "".join(
        f'auth-zone:\n  name: "{origin}"\n  zonefile: "/tmp/{origin}.zone"\n  for-downstream: yes\n  fallback-enabled: no\n'
        for origin in bodies
    )
    return {**files, "unbound.conf": (server + auth).encode()}
