"""What a machine lacks: one message, one apt line, exit 69. The program runs as the Makefile runs it, with an engine of straw."""

from __future__ import annotations

import http.server
import json
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from appliance import preflight
from appliance.preflight import Missing

PROGRAM = Path(preflight.__file__)
TOOLS = ("mmdebstrap", "newuidmap", "dockerd", "swaks", "mbsync", "msmtp", "openssl")
MIRROR = {"APPLIANCE_MIRROR": "http://mirror.test/debian"}


class Straw(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An engine that knows some images, and whose registry answers or not."""

    images: tuple[str, ...] = ()
    registry = False
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        engine = self.server
        assert isinstance(engine, Straw)
        if self.path.startswith("/distribution/"):
            status, body = (200, "{}") if engine.registry else (500, json.dumps({"message": "no such host"}))
        else:
            status, body = 200, json.dumps([{"RepoTags": [name]} for name in engine.images])
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def straw(tmp_path: Path) -> Iterator[Straw]:
    server = Straw(str(tmp_path / "engine.sock"), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


def run(tmp_path: Path, mode: str, tools: tuple[str, ...] = TOOLS, more: Mapping[str, str] = MIRROR) -> tuple[int, str]:
    """Runs preflight.py where only ``tools`` are installed."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in tools:
        (bin_ / tool).write_text("#!/bin/sh\n")
        (bin_ / tool).chmod(0o755)
    env = {"PATH": str(bin_), "DOCKER_HOST": f"unix://{tmp_path}/engine.sock", **more}
    argv = [sys.executable, "-I", str(PROGRAM), mode]
    result = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.stdout == ""
    return result.returncode, result.stderr


keyring = pytest.mark.skipif(
    not any(Path(path).exists() for path in preflight.KEYRINGS), reason="not run: needs debian-archive-keyring"
)


@keyring
@pytest.mark.root
@pytest.mark.parametrize("mode", ["venv", "setup", "test"])
def test_nothing_is_missing(tmp_path: Path, straw: Straw, mode: str) -> None:
    assert run(tmp_path, mode) == (0, "")


@pytest.mark.parametrize("image", [preflight.PULLED, "appliance/base:0123456789ab"])
def test_a_base_in_the_engine_needs_no_tools(tmp_path: Path, straw: Straw, image: str) -> None:
    straw.images = ("other:latest", image)
    assert run(tmp_path, "setup", ()) == (0, "")


def test_a_registry_that_answers_needs_no_tools(tmp_path: Path, straw: Straw) -> None:
    straw.registry = True
    assert run(tmp_path, "setup", ()) == (0, "")


def test_python_alone_needs_no_engine(tmp_path: Path) -> None:
    assert run(tmp_path, "venv", ()) == (0, "")


@keyring
@pytest.mark.root
def test_all_that_is_missing_stands_in_one_message_with_one_apt_line(tmp_path: Path, straw: Straw) -> None:
    code, said = run(tmp_path, "test", ("dockerd", "openssl"))
    assert code == 69
    assert said == (
        "error: make test needs what this machine does not have:\n"
        "  - mmdebstrap (no registry gives the base image, so it is made from Debian's packages)\n"
        "  - swaks\n"
        "  - mbsync\n"
        "  - msmtp\n"
        "  apt-get install mmdebstrap swaks isync msmtp\n"
    )


@keyring
@pytest.mark.root
def test_without_an_engine_what_a_bootstrap_needs_is_named_too(tmp_path: Path) -> None:
    code, said = run(tmp_path, "setup", ("dockerd",))
    assert code == 69
    assert f"a Docker engine that answers at {tmp_path}/engine.sock" in said
    assert said.count("apt-get install") == 1
    assert "apt-get install mmdebstrap\n" in said


@keyring
@pytest.mark.root
def test_without_a_mirror_the_variable_is_named(tmp_path: Path, straw: Straw) -> None:
    code, said = run(tmp_path, "setup", more={})  # an empty PATH has no apt-get to ask
    assert code == 69
    assert "a Debian mirror in apt's sources" in said
    assert "APPLIANCE_MIRROR=URL" in said
    assert "apt-get install" not in said


def system_python() -> bool:
    """Whether Debian's own Python will do; one below a user's home cannot be run by another user."""
    program = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    return Path("/usr/bin/python3").exists() and not subprocess.run(["/usr/bin/python3", "-c", program], check=False).returncode


@pytest.fixture
def copy(open_folder: Path) -> Path:
    """The program where everybody may read it; a checkout may stand in a home that is closed to others."""
    package = PROGRAM.parent
    for name in ("__init__.py", "preflight.py"):
        (open_folder / "appliance" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / name, open_folder / "appliance" / name)
    return open_folder / "appliance" / "preflight.py"


@pytest.mark.root
@keyring
@pytest.mark.skipif(not system_python(), reason="not run: needs Debian's python3 of 3.11 or newer with its venv module")
def test_an_ordinary_user_is_told_of_everything_that_is_not_theirs_yet(copy: Path) -> None:
    """User 65534 (nobody) may not open the socket and has no subordinate ids."""
    sock = copy.parent.parent / "engine.sock"
    with Straw(str(sock), Handler):
        sock.chmod(0o600)
        result = subprocess.run(
            ["/usr/bin/python3", "-I", "-B", str(copy), "setup"],
            env={"PATH": "", "DOCKER_HOST": f"unix://{sock}", **MIRROR},
            capture_output=True, text=True, check=False, user=65534, group=65534, extra_groups=[],
        )  # fmt: skip
    assert result.returncode == 69
    for words in (
        f"the right to use the Docker engine's socket {sock}",
        "newuidmap, by which mmdebstrap runs without root",
        "subordinate user ids of nobody",
        "  sudo apt-get install mmdebstrap uidmap\n",
        "  sudo usermod -aG docker nobody",
        "  sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 nobody",
    ):
        assert words in result.stderr
    assert result.stderr.count("apt-get install") == 1


def test_chaos_needs_root_and_what_makes_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    said = preflight.report(preflight.disks(), "make chaos")
    assert "root, who may mount disks" in said
    assert "btrfs-progs e2fsprogs\n" in said
    assert said.endswith("sudo make chaos")


def test_packages_are_named_once() -> None:
    text = preflight.report([Missing("a", ("x", "y")), Missing("b", ("x",)), Missing("c", (), "do this")], "make try")
    assert text.splitlines()[1:4] == ["  - a", "  - b", "  - c"]
    assert text.splitlines()[4].endswith("apt-get install x y")
    assert text.splitlines()[5] == "  do this"


def test_an_unknown_mode_is_a_usage_error(tmp_path: Path) -> None:
    code, said = run(tmp_path, "everything")
    assert code == 64
    assert said.startswith("usage:")


def test_the_venv_module_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert preflight.python() == [Missing("Python's venv module", ("python3-venv",))]


def test_an_older_python_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert preflight.python()[0].packages == ("python3.11", "python3.11-venv")


def test_it_reads_in_the_oldest_python_that_a_machine_may_have() -> None:
    import ast

    ast.parse(PROGRAM.read_text(encoding="utf-8"), feature_version=(3, 8))
