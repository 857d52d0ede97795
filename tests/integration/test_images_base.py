"""How the base comes to be, for real: from a registry, from Debian's packages, as root and as an ordinary user."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.errors import ApplianceError, Unavailable
from appliance.images import base as base_image
from appliance.images.build import build, packages, present
from appliance.images.context import BASE, Context, ContextFile, read
from appliance.images.lock import Lock
from appliance.images.mirror import mirrors
from appliance.images.tags import tags
from appliance.resources import folder
from tests.instances import free_ports
from tests.reports import Recorder

if TYPE_CHECKING:
    import docker

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = b"""ARG BASE
FROM ${BASE}
COPY config.yml /config.yml
RUN apt-get update -qq && apt-get install -y -qq docker-registry && rm -rf /var/lib/apt/lists/*
"""
CONFIG = b"""version: 0.1
storage: {filesystem: {rootdirectory: /tmp/registry}}
http: {addr: ":5000"}
"""


@pytest.fixture
def lock(engine: docker.DockerClient) -> Iterator[Lock]:
    """A refresh date that nobody has; the images that get it are removed."""
    stamp = Lock(date(2001, 1, 1), secrets.randbelow(10**6) + 1)
    yield stamp
    for image in engine.images.list(filters={"label": f"appliance.refreshed={stamp.stamp}"}):
        for tag in image.tags:
            engine.images.remove(tag, force=True)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No registry answers for this name: .invalid never resolves (RFC 2606)."""
    monkeypatch.setattr(base_image, "PULLED", "registry.invalid/debian:trixie-slim")


def in_image(engine: docker.DockerClient, tag: str, script: str) -> str:
    """What a shell says inside a throwaway container of an image."""
    return engine.containers.run(tag, ["sh", "-ec", script], remove=True, network_mode="none").decode()


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_bootstrapped_from_debian(engine: docker.DockerClient, lock: Lock) -> None:
    report = Recorder()
    assert build(engine, [BASE], lock, report) == (BASE,)
    tag = tags(lock)[BASE]
    assert engine.images.get(tag).labels["appliance.base"] == "bootstrapped"
    assert any("cannot be pulled" in note and "registry.invalid" in note for note in report.notes)
    assert len(packages(engine, tag)) > 60
    assert not [t for image in engine.images.list() for t in image.tags if t.startswith("appliance/bootstrap:")]
    said = in_image(
        engine,
        tag,
        "getent group mailsock; cat /etc/os-release; ls /usr/share/man /usr/share/locale; cat /etc/apt/sources.list;"
        'find /var/lib/apt/lists /var/cache/apt -type f -printf "left %p\\n"; '
        "test -s /etc/ssl/certs/ca-certificates.crt && echo certificates;"
        'apt-config dump APT::Install-Recommends; find /usr/share/doc -type f ! -name copyright -printf "doc %p\\n"',
    )
    assert "mailsock:x:900:" in said
    assert "VERSION_CODENAME=trixie" in said
    assert "trixie-security main" in said
    assert "certificates\n" in said
    assert 'APT::Install-Recommends "false"' in said
    assert "doc " not in said
    assert "left " not in said
    assert int(engine.images.get(tag).attrs["Size"]) < 100e6


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="not run: needs newuidmap (apt-get install uidmap)")
@pytest.mark.usefixtures("nowhere")
def test_bootstrapped_by_an_ordinary_user(open_folder: Path) -> None:
    """The same command as a user who has nothing but subordinate ids gives an archive with a whole Debian."""
    user = f"t-img-{secrets.token_hex(2)}"
    home = open_folder / "home"
    subprocess.run(["useradd", "--create-home", "--home-dir", str(home), user], check=True)
    try:
        command = base_image.argv(read(BASE, folder("images") / BASE), home / "base.tar")
        command = [word.replace("--mode=root", "--mode=unshare") for word in command]
        assert "--mode=unshare" in command
        sources = mirrors().sources("trixie")
        result = subprocess.run(
            command, input=sources, text=True, capture_output=True, check=False, user=user, group=user, extra_groups=[],
            cwd=home, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)},
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        listed = subprocess.run(["tar", "-tf", home / "base.tar"], capture_output=True, text=True, check=True).stdout
        assert "./usr/bin/apt-get\n" in listed
    finally:
        subprocess.run(["userdel", "--remove", user], check=False, capture_output=True)


@pytest.fixture
def registry(engine: docker.DockerClient, instance: str) -> Iterator[str]:
    """Debian's own registry program on a loopback port; yields host:port. Loopback needs no TLS there."""
    base = read(BASE, folder("images") / BASE)
    files = (ContextFile("Dockerfile", REGISTRY), ContextFile("config.yml", CONFIG))
    known = {BASE: base, instance: Context(instance, files)}
    build(engine, [BASE, instance], Lock(), Recorder(), among=known)
    tag, (port,) = tags(Lock(), known)[instance], free_ports(1)
    try:
        engine.containers.run(
            tag, ["docker-registry", "serve", "/config.yml"], name=instance, labels={"appliance.instance": instance},
            detach=True, ports={"5000/tcp": ("127.0.0.1", port)},
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert time.monotonic() < deadline, engine.containers.get(instance).logs().decode()
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        engine.images.remove(tag, force=True)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.mark.slow
def test_pulled_from_a_registry_and_the_tag_is_the_same(
    engine: docker.DockerClient, registry: str, lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{registry}/debian"
    engine.images.get(tags(Lock())[BASE]).tag(name, "trixie-slim")
    assert "error" not in str(engine.images.push(name, "trixie-slim"))
    engine.images.remove(f"{name}:trixie-slim")
    monkeypatch.setattr(base_image, "PULLED", f"{name}:trixie-slim")
    report = Recorder()
    # the registry has the group already, so this base's definition is one that makes none
    own = Context(BASE, (ContextFile("Dockerfile", b"ARG BASE\nFROM ${BASE}\nRUN touch /own\n"),))
    try:
        assert build(engine, [BASE], lock, report, among={BASE: own}) == (BASE,)
        tag = tags(lock, {BASE: own})[BASE]
        assert engine.images.get(tag).labels["appliance.base"] == "pulled"
        assert report.steps(base_image.STEP) == ["start", "done"]
        assert present(engine, f"{name}:trixie-slim")
    finally:
        engine.images.remove(f"{name}:trixie-slim", force=True)


@pytest.mark.usefixtures("nowhere")
def test_without_mmdebstrap_one_apt_line(engine: docker.DockerClient, lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *a, **k: None if name == "mmdebstrap" else found(name, *a, **k))
    monkeypatch.setenv("APPLIANCE_MIRROR", "http://mirror.invalid/debian")
    with pytest.raises(Unavailable) as caught:
        build(engine, [BASE], lock, Recorder())
    assert caught.value.code == 69
    assert "mmdebstrap" in caught.value.message
    assert caught.value.hint.endswith("apt-get install mmdebstrap")


@pytest.mark.usefixtures("nowhere")
def test_without_a_mirror_what_to_name(engine: docker.DockerClient, lock: Lock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPLIANCE_MIRROR", raising=False)
    monkeypatch.setattr("appliance.images.mirror.from_apt", lambda: None)
    with pytest.raises(Unavailable) as caught:
        build(engine, [BASE], lock, Recorder())
    assert "--mirror URL" in caught.value.hint


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_a_mirror_that_does_not_answer_is_named(engine: docker.DockerClient, lock: Lock) -> None:
    with pytest.raises(ApplianceError) as caught:
        build(engine, [BASE], lock, Recorder(), mirror="http://mirror.invalid/debian")
    assert "mmdebstrap ended with" in caught.value.message
    assert "mirror.invalid" in caught.value.message
    assert "--mirror URL" in caught.value.hint


INTERRUPTED = """
import sys
from pathlib import Path
from appliance.images import base
from appliance.images.context import BASE, read
from appliance.images.mirror import mirrors
from appliance.resources import folder
out = Path(sys.argv[1])
base.mmdebstrap(base.argv(read(BASE, folder("images") / BASE), out / "base.tar"), mirrors().sources("trixie"), str(out))
"""


@pytest.mark.slow
def test_an_interrupted_bootstrap_leaves_neither_a_process_nor_a_mount(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    env = {**os.environ, "TMPDIR": str(work)}
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], env=env, stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while "extracting archives" not in _text(tmp_path / "log"):
            assert process.poll() is None, _text(tmp_path / "log")
            assert time.monotonic() < deadline, _text(tmp_path / "log")
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()
    assert str(work) not in Path("/proc/self/mounts").read_text()
    words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in words if str(work).encode() in line]
    assert not list(work.glob("mmdebstrap.*/*"))


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
