"""Finds the engine: DOCKER_HOST as unix://, tcp:// (DOCKER_TLS_VERIFY, DOCKER_CERT_PATH) or ssh://, else the local socket."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import docker
from docker.errors import DockerException, TLSParameterError
from docker.utils import kwargs_from_env

from appliance.engines.docker.tunnel import Tunnel
from appliance.errors import ApplianceError, Unavailable, UsageError

DEFAULT_SOCKET = "/var/run/docker.sock"
#: the oldest engine whose API we speak: 20.10
OLDEST_API = (1, 41)
TIMEOUT = 60  # seconds


class Reached(NamedTuple):
    """An engine that answers. ``where``: unix, tcp or ssh; ``shell``: argv of a shell on its host, empty where there is none."""

    client: docker.DockerClient
    where: str
    close: Callable[[], None]
    shell: tuple[str, ...] = ()


def open_client(host: str | None = None) -> Reached:
    """The engine that DOCKER_HOST (or ``host``) names.

    Raises Unavailable, with what to do, when the engine does not answer or may not be used; UsageError for a DOCKER_HOST of
    another form.
    """
    host = host if host is not None else os.environ.get("DOCKER_HOST", "")
    url = urlsplit(host or f"unix://{_local_socket()}")
    if url.scheme == "ssh":
        tunnel = Tunnel(url)
        try:
            return Reached(_client(f"unix://{tunnel.socket}", host), "ssh", tunnel.close, tunnel.shell)
        except BaseException:
            tunnel.close()
            raise
    if url.scheme == "unix":
        _may_use(url.path)
        return Reached(_client(f"unix://{url.path}", host), "unix", _nothing, ("sh", "-s"))
    if url.scheme in ("tcp", "http", "https"):
        return Reached(_client(host, host), "tcp", _nothing)
    raise UsageError(f"DOCKER_HOST is {host!r}", hint="unix:///path, tcp://host:2376 or ssh://user@host are understood")


def _client(base_url: str, shown: str) -> docker.DockerClient:
    try:
        tls = kwargs_from_env().get("tls") if base_url.startswith("tcp") else None
        client = docker.DockerClient(base_url=base_url, version="auto", timeout=TIMEOUT, tls=tls or False)
    except (DockerException, TLSParameterError, OSError) as why:
        where = f" at {shown}" if shown else ""
        raise Unavailable(f"the Docker engine{where} does not answer: {why}", hint=_hint(shown)) from None
    version = tuple(int(part) for part in client.api.api_version.split("."))
    if version < OLDEST_API:
        client.close()
        raise Unavailable(
            f"the Docker engine speaks API {client.api.api_version}, and 1.41 is needed",
            hint="install Docker 20.10 or newer",
        )
    return client


def _local_socket() -> str:
    """The system's socket, or a rootless engine's where there is no other."""
    rootless = Path(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / "docker.sock"
    return str(rootless) if not Path(DEFAULT_SOCKET).exists() and rootless.exists() else DEFAULT_SOCKET


def _may_use(path: str) -> None:
    """Tries the socket itself, so that each reason gets its own remedy."""
    probe = socket.socket(socket.AF_UNIX)
    try:
        probe.connect(path)
    except FileNotFoundError:
        raise Unavailable(f"there is no Docker engine at {path}", hint=_hint("")) from None
    except PermissionError:
        raise Unavailable(
            f"you may not use the Docker engine at {path}",
            hint="sudo usermod -aG docker $USER, then log in again (members of this group are as good as root)",
        ) from None
    except ConnectionRefusedError:
        raise Unavailable(f"the Docker engine at {path} is not running", hint="sudo systemctl start docker") from None
    except OSError as why:
        raise ApplianceError(f"{path}: {why}", code=Unavailable.code) from None
    finally:
        probe.close()


def _hint(shown: str) -> str:
    if shown:
        return "DOCKER_HOST names this engine; is it running, and may you reach it?"
    if shutil.which("dockerd") is None:
        return "sudo apt-get install docker.io, or set DOCKER_HOST=ssh://user@host for an engine elsewhere"
    return "sudo systemctl start docker"


def _nothing() -> None:
    """Nothing to close."""
