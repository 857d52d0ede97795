"""tls.mode acme against pebble: issued, renewed, refused, killed. One small instance (Postfix and Dovecot) serves all tests.

The key stays the same from the first test to the last.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.cli import certificate, tend, up
from appliance.cli.app import App
from appliance.errors import Exit, Locked
from appliance.keys import fetched, leaf, make
from appliance.keys.ring import KeyRing
from appliance.keys.view import TLS_CERT, TLS_KEY
from appliance.verify.run import verify
from tests.certificates import issue
from tests.instances import Instances, free_ports
from tests.integration.engine_room import until
from tests.integration.pebble import Authority, pebble
from tests.integration.running import Appliance, free_subnet, hashed, write_spec
from tests.reports import Recorder

HOST = "mail.example.org"
SMALL = "  clamav: off\n  opendkim: off\n  policy: off\n  resolver: off\n"


@dataclass(frozen=True)
class Home:
    """The instance and its authority."""

    appliance: Appliance
    authority: Authority

    def app(self, port: int | None = None) -> App:
        """The program, told where this authority looks."""
        app = self.appliance.fresh_app()
        return replace(app, yes=True, progress_mode="plain", challenge_port=port or self.authority.port)

    def up(self, **how: int) -> int:
        """`appliance -y up --no-verify`."""
        code = up.command.main(["--no-verify"], obj=self.app(**how), standalone_mode=False)
        return int(code)

    def tend(self, *words: str, **how: int) -> int:
        """`appliance tend`."""
        return int(tend.command.main(list(words), obj=self.app(**how), standalone_mode=False))

    @property
    def ring(self) -> KeyRing:
        return self.app().ring()

    def in_ring(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.ring.files.read(TLS_CERT))

    def shown(self) -> x509.Certificate:
        """What the imaps port shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = ("127.0.0.1", self.appliance.ports["imaps"])
        with socket.create_connection(address, 10) as plain, context.wrap_socket(plain, server_hostname=HOST) as tls:
            return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")

    def age(self) -> x509.Certificate:
        """Makes the ring's certificate one of an earlier authority that ends soon. The services keep what they have."""
        ring, now = self.ring, datetime.now(UTC)
        key = make.parse_key(ring.files.read(TLS_KEY), "key").public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        begins, ends = now - timedelta(days=70), now + timedelta(days=20)
        old = issue(key, ec.generate_private_key(ec.SECP256R1()), "Earlier CA", [x509.DNSName(HOST)], begins, ends)
        ring.files.replace(TLS_CERT, old.public_bytes(Encoding.PEM))
        ring.files.path(fetched.STATE).unlink(missing_ok=True)
        return old

    def due(self) -> x509.Certificate:
        """Makes it due without a change of it: as if another authority had issued it."""
        state = fetched.State(directory="https://earlier.example/dir")
        self.ring.files.replace(fetched.STATE, json.dumps(asdict(state)).encode())
        return self.in_ring()

    def started(self) -> dict[str, str]:
        """Service → when its container started."""
        return {n: s.started for n, s in self.app().observe(manifests=False).services.items()}

    def answering(self) -> list[str]:
        """The containers that answer an authority."""
        filters: dict[str, str | list[str] | bool] = {
            "label": [f"appliance.instance={self.appliance.name}", "appliance.kind=acme"]
        }
        return [str(c.name) for c in self.appliance.client.containers.list(all=True, filters=filters)]


@pytest.fixture(scope="module")
def home(engine: docker.DockerClient, instances: Instances, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    name, folder = instances.new("acme"), tmp_path_factory.mktemp("acme")
    path, ports = write_spec(folder, name, free_subnet(engine))
    text = path.read_text(encoding="utf-8").replace("  clamav: {signatures: signatures}\n", SMALL)
    appliance = Appliance(name, path, ports, engine)
    first, second, third = free_ports(3)
    with pytest.MonkeyPatch.context() as patch:
        try:
            with pebble(engine, name, HOST, folder, (first, second, third)) as authority:
                patch.setenv("SSL_CERT_FILE", str(authority.trust))
                patch.delenv("REQUESTS_CA_BUNDLE", raising=False)  # it would come first
                path.write_text(text + f"tls: {{mode: acme, email: a@example.org, directory: {authority.directory}}}\n")
                made = Home(appliance, authority)
                appliance.cli("-y", "up", "--no-verify", check=False)  # port 80 is not where this authority looks
                yield made
        finally:
            instances.remove(name)


def serial(certificate: x509.Certificate) -> int:
    return certificate.serial_number


def refused(home: Home) -> fetched.State:
    return fetched.state(home.ring)


def test_it_begins_with_its_own_and_says_why_there_is_no_other(home: Home) -> None:
    """The fixture's `up` answered at port 80, where nobody looked: the authority's words are told and remembered."""
    assert leaf.self_signed(home.shown())
    assert HOST in refused(home).words
    assert "connection" in refused(home).words
    end = home.appliance.cli("up", "--no-verify", check=False)
    assert end.returncode == Exit.UNPROVEN
    assert "it is asked again in" in end.stderr
    assert refused(home).refusals == 1, "the authority was asked again"
    status = home.appliance.cli("status", check=False)
    assert "✗ tls/cert.pem: issued by itself" in status.stdout


def test_issued_and_in_place_by_a_reload(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    key, started = home.ring.files.read(TLS_KEY), home.started()
    home.ring.files.path(fetched.STATE).unlink()  # as if the five minutes were over
    assert home.up() == Exit.DONE
    assert "issued a certificate for mail.example.org" in capsys.readouterr().err
    until(lambda: serial(home.shown()) == serial(home.in_ring()), "it is in place")
    assert "Pebble" in leaf.issuer_name(home.shown())
    assert home.ring.files.read(TLS_KEY) == key
    assert home.started() == started
    assert home.answering() == []
    before = serial(home.in_ring())
    assert home.up() == Exit.DONE, "a second run changes nothing"
    assert serial(home.in_ring()) == before
    assert home.app().observe().services["postfix"].loaded == home.app().observe().services["postfix"].current
    rows = home.appliance.cli("keys", "list").stdout
    assert "Pebble" in rows
    assert "acme/account.pem" in rows


def test_the_proof_asks_for_trust(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    only = frozenset({"certificate", "trusted"})
    proof = verify(home.appliance.target(), "smoke", Recorder(), only=only)
    assert {s.name: s.status for s in proof.steps if s.name in only} == {"certificate": "ok", "trusted": "ok"}
    monkeypatch.delenv("SSL_CERT_FILE")
    proof = verify(home.appliance.target(), "smoke", Recorder(), only=only)
    assert {s.name: s.status for s in proof.steps if s.name in only} == {"certificate": "ok", "trusted": "failed"}


def test_renewed_for_the_same_key_and_nothing_else_is_applied(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    old, key, started = home.age(), home.ring.files.read(TLS_KEY), home.started()
    spec = home.appliance.spec_path
    before = spec.read_text(encoding="utf-8")
    spec.write_text(before.replace("aliases:", f'  new@example.org: {{password: "{hashed("x")}"}}\naliases:'), encoding="utf-8")
    try:
        capsys.readouterr()
        assert home.tend() == Exit.DONE
        said = capsys.readouterr().err
        assert "other changes are pending, and were left alone" in said
        until(lambda: serial(home.shown()) == serial(home.in_ring()), "it is in place")
        assert serial(home.shown()) != serial(old)
        assert home.ring.files.read(TLS_KEY) == key
        assert home.started() == started
        assert "new@example.org" not in home.appliance.exec("dovecot", "cat", "/config/live/users")
        assert home.tend() == Exit.DONE
        assert capsys.readouterr().err == "", "quiet when there is nothing to do"
    finally:
        spec.write_text(before, encoding="utf-8")
    assert json.loads(home.appliance.cli("--json", "plan").stdout)["empty"]


def test_the_authority_does_not_reach_us(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    old = home.due()
    (elsewhere,) = free_ports(1)
    assert home.tend(port=elsewhere) == Exit.UNPROVEN
    said = capsys.readouterr().err
    assert "could not see that mail.example.org is ours" in said
    assert "connection refused" in said, "the authority's words"
    assert "port 80 must be open to the world" in said
    assert home.in_ring() == old == home.shown()
    assert home.tend() == Exit.UNPROVEN, "it does not hammer"
    assert "asked again in 5 minutes" in capsys.readouterr().err
    assert home.tend("--now", port=elsewhere) == Exit.UNPROVEN
    assert refused(home).refusals == 2


def test_the_port_is_held(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    old = home.due()
    with socket.create_server(("127.0.0.1", home.authority.port)):
        assert home.tend() == Exit.UNPROVEN
    said = capsys.readouterr().err
    assert f"port {home.authority.port} is held by" in said
    assert f"(process {os.getpid()})" in said
    assert home.in_ring() == old
    assert not fetched.pause(home.app().spec(), home.ring), "the authority has refused nothing: asked again at once"


def test_the_authority_is_down(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.ring.files.path(fetched.STATE).unlink()
    old, spec, (nobody,) = home.in_ring(), home.appliance.spec_path, free_ports(1)
    home.ring.files.replace(fetched.STATE, json.dumps(asdict(fetched.State(directory=home.authority.directory))).encode())
    before = spec.read_text(encoding="utf-8")
    spec.write_text(before.replace(home.authority.directory, f"https://127.0.0.1:{nobody}/dir"), encoding="utf-8")
    try:
        assert home.tend() == Exit.UNPROVEN
    finally:
        spec.write_text(before, encoding="utf-8")
    said = capsys.readouterr().err
    assert f"127.0.0.1:{nobody} was not reached" in said
    assert "the services keep the certificate that they have" in said
    assert home.in_ring() == old == home.shown()


def test_one_file_at_one_port_and_nothing_else(home: Home) -> None:
    """On all addresses, of both families; a visitor that says nothing holds up nobody; one run at a time."""
    hands, name, (port,) = home.appliance.engine, home.appliance.name, free_ports(1)
    path, content = "/.well-known/acme-challenge/abc", b"abc.def"
    with hands.answer(name, path, content, addresses=(), port=port):
        silent = socket.create_connection(("127.0.0.1", port), 10)
        asked = {
            (host, method, where): ask(host, port, method, where)
            for host in ("127.0.0.1", *(["::1"] if Path("/proc/net/if_inet6").exists() else []))
            for method, where in (("GET", path), ("GET", path + "d"), ("GET", "/"), ("POST", path))
        }
        silent.close()
        for (_, method, where), answer in asked.items():
            assert answer == ((200, content) if (method, where) == ("GET", path) else (404, b"not here\n")), (method, where)
        with pytest.raises(Locked), hands.answer(name, path, content, addresses=(), port=port):
            pass
        (container,) = home.appliance.client.containers.list(filters={"name": f"{name}-acme"})
        settings = container.attrs["HostConfig"]
        assert (settings["ReadonlyRootfs"], settings["CapDrop"], settings["AutoRemove"]) == (True, ["ALL"], True)
        assert container.attrs["Config"]["User"] == "65534:65534"
    assert home.answering() == []


def ask(host: str, port: int, method: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read()


#: runs `tend` in a process of its own, which is gone at the place that the middle line says
KILLED = """
import os, sys
from pathlib import Path
from appliance.cli import certificate, tend
from appliance.cli.app import App
from appliance.engines.docker.steps import Runner
from appliance.keys import acme
app = App(file=Path(sys.argv[1]), progress_mode="quiet", challenge_port=int(sys.argv[2]))
class Dying(Runner):
    def before(self, number, step):
        if step.text == "the reload":
            os._exit(9)
def gone(*_words, **_more):
    os._exit(9)
{place}
tend.tend(app, now=True, wait=60)
"""
#: place → what makes the process die there
WRITTEN_NOTHING = {
    "while the authority looks": "from acme.client import ClientV2; ClientV2.poll_authorizations = gone",
    "before the certificate is written": "acme.check = gone",
}


def killed(home: Home, place: str) -> None:
    argv = [sys.executable, "-c", KILLED.format(place=place), str(home.appliance.spec_path), str(home.authority.port)]
    end = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert end.returncode == 9, end.stderr
    assert home.ring.missing(home.app().spec()) == (), "the ring is whole"
    assert not list(home.ring.folder.rglob(".new-*"))
    until(lambda: not home.answering(), "the container that answered is gone")


def test_killed(home: Home) -> None:
    """Wherever the controller dies the ring is whole, nothing stays behind, and the next run ends what was begun."""
    old, shown = home.age(), home.shown()
    for place in WRITTEN_NOTHING.values():
        killed(home, place)
        assert home.in_ring() == old
    killed(home, "certificate.put = gone")
    new = home.in_ring()
    assert "Pebble" in leaf.issuer_name(new)
    killed(home, "app.engine().runner = Dying")
    assert home.shown() == shown
    assert home.tend() == Exit.DONE
    assert home.in_ring() == new, "it was not asked for a second time"
    until(lambda: home.shown() == new, "it is in place")
    assert certificate.put(home.app(), wait=60, break_lock=False, why="test") is None
