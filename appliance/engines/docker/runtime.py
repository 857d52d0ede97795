"""A Runtime as the body of a container's creation. Pure; ``readback.runtime_of`` is its inverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.engines.docker.labels import FROZEN, RUNTIME, labels
from appliance.engines.manifest import runtime_dump
from appliance.render.bundle import Health, Mount, Port, Runtime

NANOSECONDS = 10**9
NO_HEALTH = {"Test": ["NONE"]}  # without it an image's own check would run
#: a resolver that is down must cost seconds, not minutes (PTR look-ups of every connection)
DNS_OPTIONS = ["timeout:2", "attempts:1"]


@dataclass(frozen=True)
class Limits:
    """Which limits the engine's kernel can set at all; what it cannot is not compared. ``journald``: the engine logs there."""

    memory: bool = True
    swap: bool = True
    pids: bool = True
    journald: bool = False


ALL_LIMITS = Limits()


def limits_of(info: Mapping[str, Any]) -> Limits:
    """The limits of an engine's /info."""
    return Limits(
        memory=bool(info.get("MemoryLimit", True)),
        swap=bool(info.get("SwapLimit", True)),
        pids=bool(info.get("PidsLimit", True)),
        journald=info.get("LoggingDriver") == "journald",
    )


def create_arguments(
    runtime: Runtime, *, instance: str, service: str, ring: str | None = None, limits: Limits = ALL_LIMITS
) -> dict[str, Any]:
    """The body of POST /containers/create."""
    marks = labels(instance, service, ring, "service") | {FROZEN: runtime.digest, RUNTIME: runtime_dump(runtime)}
    return {
        "Image": runtime.image,
        "Cmd": list(runtime.command),
        "Hostname": runtime.hostname,
        "User": runtime.user,
        "Env": [f"{name}={value}" for name, value in runtime.env],
        "Labels": marks,
        "StopTimeout": runtime.stop_timeout,
        "ExposedPorts": {f"{p.container_port}/tcp": {} for p in runtime.ports},
        "Healthcheck": _healthcheck(runtime.health),
        "HostConfig": _host_config(runtime, limits),
        "NetworkingConfig": {"EndpointsConfig": {runtime.network: _endpoint(runtime)}} if runtime.network else None,
    }


def hardening(runtime: Runtime, limits: Limits) -> dict[str, Any]:
    """The part of HostConfig that a service and its trial share: capabilities and limits."""
    memory = {"Memory": runtime.memory, "MemorySwap": runtime.memory} if runtime.memory else {}
    return {
        "CapDrop": ["ALL"],
        "CapAdd": list(runtime.capabilities),
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": runtime.pids or None,
        "Ulimits": _ulimits(runtime),
        "Tmpfs": dict(runtime.tmpfs),
        "IpcMode": "private",
        **(memory if limits.memory else {}),
    }


def _host_config(runtime: Runtime, limits: Limits) -> dict[str, Any]:
    return {
        **hardening(runtime, limits),
        "ReadonlyRootfs": True,
        "Mounts": [_mount(m) for m in runtime.mounts],
        "PortBindings": _bindings(runtime.ports),
        "NetworkMode": runtime.network or "none",
        "Dns": list(runtime.dns),
        "DnsOptions": DNS_OPTIONS if runtime.dns else [],
        "ExtraHosts": [f"{name}:{address}" for name, address in runtime.hosts],
        "RestartPolicy": {"Name": "unless-stopped"},
        "LogConfig": _log_config(limits),
    }


def _ulimits(runtime: Runtime) -> list[dict[str, Any]]:
    files = [{"Name": "nofile", "Soft": runtime.nofile, "Hard": runtime.nofile}] if runtime.nofile else []
    return [*files, {"Name": "core", "Soft": 0, "Hard": 0}]


def _log_config(limits: Limits) -> dict[str, Any]:
    # non-blocking: a reader that is stuck must not stall a daemon that writes its log
    patience = {"mode": "non-blocking", "max-buffer-size": "4m"}
    if limits.journald:
        return {"Type": "journald", "Config": {**patience, "tag": "{{.Name}}"}}
    return {"Type": "json-file", "Config": {**patience, "max-size": "20m", "max-file": "5"}}


def _healthcheck(health: Health | None) -> dict[str, Any]:
    if health is None:
        return dict(NO_HEALTH)
    return {
        "Test": ["CMD", *health.command],
        "Interval": health.interval * NANOSECONDS,
        "Timeout": health.timeout * NANOSECONDS,
        "StartPeriod": health.start_period * NANOSECONDS,
        "Retries": health.retries,
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "volume",
        "Source": mount.volume,
        "Target": mount.path,
        "ReadOnly": mount.read_only,
        "VolumeOptions": {"NoCopy": mount.nocopy},
    }


def _bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        found.setdefault(f"{port.container_port}/tcp", []).append({"HostIp": port.address, "HostPort": str(port.host_port)})
    return found


def _endpoint(runtime: Runtime) -> dict[str, Any]:
    return {"IPAMConfig": {"IPv4Address": runtime.address}} if runtime.address else {}
