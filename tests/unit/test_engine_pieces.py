"""The engine's pure pieces, as tables."""

from __future__ import annotations

import io
import socket
import struct
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from appliance.engines import manifest as manifests
from appliance.engines.docker import holders, tunnel
from appliance.engines.docker.api import seconds_of
from appliance.engines.docker.archive import Entry, digest_of_link, moved, pack, unpack
from appliance.engines.docker.facts import host_facts
from appliance.engines.docker.logs import demultiplexed, split
from appliance.engines.docker.observe import network_of
from appliance.engines.docker.prune import old_releases
from appliance.engines.docker.resources import network_body
from appliance.engines.docker.stream import Stream
from appliance.engines.docker.words import blame
from appliance.observed import PortHolder
from appliance.render.bundle import File, NetworkBundle, SecretFile, ServiceBundle
from tests.unit.test_engine_runtime import FULL, LEAST

SERVICE = ServiceBundle(
    "postfix",
    "postfix",
    FULL,
    (
        File("main.cf", b"x", 0o444, (0, 0), "reload", "roles/postfix/templates/main.cf.j2"),
        File(
            "users",
            b"alice:{ARGON2ID}$abc",
            0o440,
            (0, 903),
            "map",
            "roles/x/users.j2",
            secret=True,
            people=True,
            build=("b", "{path}"),
        ),
        SecretFile("tls/key.pem", "tls/key.pem", "f1", 0o400, (0, 0), "reload", "roles/postfix/role.yml"),
    ),
    reload=("postfix", "reload"),
)


# -- manifests ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("runtime", [FULL, LEAST])
def test_a_manifest_survives_its_json(runtime: object) -> None:
    service = replace(SERVICE, runtime=runtime)  # type: ignore[arg-type]
    made = manifests.manifest_of(service, "release1", time=1.5, who="me@here", controller="0.1")
    assert manifests.load(manifests.dump(made)) == made
    assert made.files["tls/key.pem"].ref == "tls/key.pem"
    assert b"ARGON2ID" not in manifests.dump(made)


def test_a_manifest_of_another_version_is_read() -> None:
    made = manifests.dump(manifests.manifest_of(SERVICE, "r", time=1, who="me", controller="9"))
    newer = made.replace(b'"service"', b'"unheard_of": [1], "service"').replace(b'"pids"', b'"pids_of_tomorrow"')
    assert manifests.load(newer).runtime.pids == 0


# -- archives -----------------------------------------------------------------------------------------------------------
def test_an_archive_has_folders_first_numeric_owners_and_a_present_time() -> None:
    entries = [Entry("tls/key.pem", b"k", 0o400, (903, 904)), Entry("current", b"", link="gen/1")]
    data = pack(moved(entries, "gen/1.part"), time=1234.9, folders=["live"])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [(m.name, m.mode, m.uid, m.gid, m.mtime, m.linkname) for m in tar]
    assert found == [
        ("live", 0o755, 0, 0, 1234, ""),
        ("gen", 0o755, 0, 0, 1234, ""),
        ("gen/1.part", 0o755, 0, 0, 1234, ""),
        ("gen/1.part/tls", 0o755, 0, 0, 1234, ""),
        ("gen/1.part/tls/key.pem", 0o400, 903, 904, 1234, ""),
        ("gen/1.part/current", 0o777, 0, 0, 1234, "gen/1"),
    ]
    assert [(e.path, e.data) for e in unpack(data)] == [("1.part/tls/key.pem", b"k")]


@pytest.mark.parametrize(
    ("target", "digest"),
    [("gen/0123", "0123"), ("/config/gen/0123", "0123"), (None, None), ("", None), ("elsewhere", None), ("/other/0123", None)],
)
def test_the_digest_that_a_link_names(target: str | None, digest: str | None) -> None:
    assert digest_of_link(target) == digest


# -- words --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("postconf: fatal: /config/current/main.cf, line 3: missing '='", "roles/postfix/templates/main.cf.j2"),
        ("error in main.cf", "roles/postfix/templates/main.cf.j2"),
        ("cannot load key /config/current/tls/key.pem", "roles/postfix/role.yml"),
        ("users table is bad", "roles/x/users.j2"),
        ("no idea", ""),
    ],
)
def test_a_refused_file_is_named_by_where_it_came_from(said: str, source: str) -> None:
    message = blame(SERVICE, said, "refuses its new files")
    assert message.startswith("postfix: refuses its new files")
    assert (f"(made from {source})" in message) == bool(source)


def test_password_hashes_stay_out_of_messages() -> None:
    said = "bad line alice:{ARGON2ID}$argon2id$v=19$m=1$c2FsdA$aGFzaA:: and $6$salt$hash"
    message = blame(SERVICE, said, "refuses")
    assert "alice" in message
    assert "aGFzaA" not in message
    assert "salt$hash" not in message


# -- who holds a port ---------------------------------------------------------------------------------------------------
CONTAINERS: list[dict[str, Any]] = [
    {
        "Names": ["/t-postfix"],
        "Labels": {"appliance.instance": "t"},
        "Ports": [{"IP": "0.0.0.0", "PublicPort": 25, "Type": "tcp"}],
    },
    {
        "Names": ["/o-postfix"],
        "Labels": {"appliance.instance": "o"},
        "Ports": [{"IP": "127.0.0.1", "PublicPort": 2525, "Type": "tcp"}],
    },
    {"Names": ["/exim"], "Labels": {}, "Ports": [{"IP": "0.0.0.0", "PublicPort": 587, "Type": "tcp"}, {"PrivatePort": 25}]},
]


@pytest.mark.parametrize(
    ("instance", "wanted", "found"),
    [
        ("t", [("0.0.0.0", 25)], ()),
        ("t", [("127.0.0.1", 2525)], (PortHolder("127.0.0.1", 2525, "the instance o (container o-postfix)"),)),
        ("t", [("203.0.113.7", 2525)], ()),
        ("t", [("203.0.113.7", 587)], (PortHolder("0.0.0.0", 587, "the container exim"),)),
        ("new", [("0.0.0.0", 25)], (PortHolder("0.0.0.0", 25, "the instance t (container t-postfix)"),)),
        ("t", [], ()),
    ],
)
def test_containers_that_hold_a_port(instance: str, wanted: list[tuple[str, int]], found: tuple[PortHolder, ...]) -> None:
    assert holders.holders(instance, wanted, CONTAINERS, local=False) == found


def test_a_process_of_this_machine_that_holds_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = holders.holders("t", [("127.0.0.1", port)], [], local=True)
    assert (found.address, found.port) == ("127.0.0.1", port)
    assert "(process " in found.who


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("00000000", "0.0.0.0"),
        ("00000000000000000000000000000000", "::"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_of_proc_net_tcp(text: str, address: str) -> None:
    assert holders._address(text) == address


# -- facts --------------------------------------------------------------------------------------------------------------
def test_the_engines_clock_and_rootless_engines() -> None:
    info = {"SecurityOptions": ["name=seccomp", "name=rootless"], "SystemTime": "2026-07-01T12:00:00.25Z"}
    facts = host_facts(info, "1.41", [], None, (1782907200.0, 1782907210.0), local=False)
    assert facts.clock_skew == 4.75
    assert any("rootless" in w for w in facts.warnings)


def test_routes_are_those_of_others() -> None:
    ours = NetworkBundle("t", "198.18.1.0/24", "198.18.1.1", "198.18.1.128/25")
    networks = [
        {"Name": "t", "IPAM": {"Config": [{"Subnet": "198.18.1.0/24"}]}},
        {"Name": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
        {"Name": "none", "IPAM": {"Config": None}},
    ]
    assert host_facts({}, "1.41", networks, ours, (0, 0), local=False).routes == ("172.17.0.0/16",)


@pytest.mark.parametrize(
    "network",
    [
        NetworkBundle("t", "198.18.1.0/24", "198.18.1.1", "198.18.1.128/25"),
        NetworkBundle("t", "198.18.1.0/24", "198.18.1.1", "198.18.1.128/25", "fd00:1::/64"),
    ],
)
def test_a_network_is_read_back_as_it_was_made(network: NetworkBundle) -> None:
    assert network_of([{"Name": "other"}, network_body(network, {})], "t") == network
    assert network_of([], "t") is None
    # a pool alone carries nothing: the engine forwards IPv6 only where it is enabled
    assert network_of([{**network_body(network, {}), "EnableIPv6": False}], "t") == replace(network, subnet6="")


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("2026-07-01T12:00:00.123456789Z", 1782907200.123456789),
        ("2026-07-01T14:00:00+02:00", 1782907200.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_the_engines_times(date: str, seconds: float) -> None:
    assert seconds_of(date) == pytest.approx(seconds)


# -- streams and logs ---------------------------------------------------------------------------------------------------
def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(payload)) + payload


def test_frames_arrive_whole_however_they_are_cut_and_a_deadline_ends_the_wait() -> None:
    here, there = socket.socketpair()
    stream = Stream(here, early=frame(1, b"early")[:6])
    there.sendall(frame(1, b"early")[6:] + frame(2, b"") + frame(2, b"trouble")[:9])
    deadline = time.monotonic() + 5
    assert stream.frame(deadline) == (1, b"early")
    assert stream.frame(deadline) == (2, b"")
    with pytest.raises(TimeoutError):
        stream.frame(time.monotonic() + 0.05)
    there.sendall(frame(2, b"trouble")[9:])
    assert stream.frame(deadline) == (2, b"trouble")
    assert not stream.ended()
    there.close()
    assert stream.frame(deadline) is None
    assert stream.ended()
    stream.close()


def test_lines_of_two_streams_do_not_mix() -> None:
    data = frame(1, b"one\ntw") + frame(2, b"ERR") + frame(1, b"o\n") + frame(2, b"OR\nlast")
    assert list(split(demultiplexed(data))) == [b"one", b"two", b"ERROR", b"last"]


# -- ssh ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ssh://host", ["-L", "/l:/var/run/docker.sock", "--", "host"]),
        ("ssh://me@host:2222/run/user/1000/docker.sock", ["-p", "2222", "-L", "/l:/run/user/1000/docker.sock", "--", "me@host"]),
        ("ssh://-oProxyCommand=x@host/", ["-L", "/l:/var/run/docker.sock", "--", "-oProxyCommand=x@host"]),
    ],
)
def test_one_ssh_forwards_the_engines_socket(url: str, words: list[str]) -> None:
    assert tunnel.command(urlsplit(url), "/l")[-len(words) :] == words


def test_a_second_session_goes_through_the_same_connection() -> None:
    url = urlsplit("ssh://me@host:2222")
    (path,) = [w for w in tunnel.command(url, "/l") if w.startswith("ControlPath=")]
    assert tunnel.session(url, "/l")[-6:] == [path, "-p", "2222", "--", "me@host", "sh -s"]
    assert "BatchMode=yes" in tunnel.session(url, "/l")  # and if it cannot, nobody is asked for a password a second time


def test_ssh_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.engines.docker.connect import open_client
    from appliance.errors import Exit, Unavailable

    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho 'ssh: connect to host nowhere port 22: Connection refused' >&2\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(Unavailable, match="Connection refused") as caught:
        open_client("ssh://nowhere")
    assert caught.value.code == Exit.UNAVAILABLE


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unix:///nonexistent/docker.sock", "no Docker engine at /nonexistent/docker.sock"),
        ("tcp://127.0.0.1:1", "does not answer"),
        ("gopher://x", "DOCKER_HOST is"),
        ("ssh://", "names no host"),
    ],
)
def test_an_engine_that_cannot_be_reached(host: str, message: str) -> None:
    from appliance.engines.docker.connect import open_client
    from appliance.errors import ApplianceError

    with pytest.raises(ApplianceError, match=message) as caught:
        open_client(host)
    assert caught.value.hint


# -- releases -----------------------------------------------------------------------------------------------------------
def test_the_last_five_releases_stay() -> None:
    made = manifests.manifest_of(SERVICE, "", time=0, who="", controller="")
    every = [replace(made, release=f"r{n}", time=float(n)) for n in range(7)] + [replace(made, release="r0", time=99.0)]
    assert old_releases(every) == {"r1", "r2"}
