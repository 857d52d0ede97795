"""The Runtime that a container really has, from inspect. Pure; the inverse of ``runtime.create_arguments``.

What the engine does not keep (names of listeners, which variables are ours, how long logs are kept) stands as asked in a label;
what it keeps is read from inspect, so that a change by hand is seen as another field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from appliance.engines.docker.labels import RUNTIME
from appliance.engines.docker.runtime import ALL_LIMITS, DNS_OPTIONS, NANOSECONDS, Limits
from appliance.engines.manifest import runtime_from
from appliance.render.bundle import Health, Mount, Port, Runtime

T = TypeVar("T")


def runtime_of(inspect: Mapping[str, Any], image: Mapping[str, Any] | None = None, limits: Limits = ALL_LIMITS) -> Runtime:
    """The Runtime of a container. ``image``: inspect of its image, whose user and variables are not ours."""
    config, host = inspect["Config"], inspect["HostConfig"]
    asked = _asked(config)
    inherited = (image or {}).get("Config") or {}
    network = "" if host["NetworkMode"] == "none" else str(host["NetworkMode"])
    user = config.get("User") or ""
    return Runtime(
        image=config["Image"],
        command=tuple(config.get("Cmd") or ()),
        hostname=config["Hostname"],
        user=asked.user if user == (asked.user or inherited.get("User", user)) else user,
        capabilities=_same(asked.capabilities, [c.removeprefix("CAP_") for c in host.get("CapAdd") or ()]),
        memory=int(host.get("Memory") or 0) if limits.memory else asked.memory,
        pids=max(0, host.get("PidsLimit") or 0) if limits.pids else asked.pids,
        nofile=next((int(u["Hard"]) for u in host.get("Ulimits") or () if u["Name"] == "nofile"), 0),
        mounts=_same(asked.mounts, [_mount(m) for m in host.get("Mounts") or ()]),
        tmpfs=_same(asked.tmpfs, list((host.get("Tmpfs") or {}).items())),
        ports=_same(asked.ports, list(_ports(host, asked))),
        network=network,
        address=_address(inspect, network),
        dns=tuple(host.get("Dns") or ()),
        hosts=_same(asked.hosts, [_pair(line, ":") for line in host.get("ExtraHosts") or ()]),
        env=_same(asked.env, _env(config, inherited, asked)),
        stop_timeout=config.get("StopTimeout") or 10,  # the engine's own default
        health=_health(config.get("Healthcheck")),
        log_keep=asked.log_keep,
        deviations=tuple(_deviations(inspect, network, limits)),
    )


def _asked(config: Mapping[str, Any]) -> Runtime:
    try:
        return runtime_from(json.loads(config["Labels"][RUNTIME]))
    except (KeyError, ValueError, TypeError):
        return Runtime(config["Image"], (), "")


def _same(asked: tuple[T, ...], found: list[T]) -> tuple[T, ...]:
    """``found`` in the order in which it was asked for: the engine keeps maps, and those have none."""
    return asked if len(asked) == len(found) and all(x in asked for x in found) else tuple(found)


def _pair(line: str, between: str) -> tuple[str, str]:
    name, _, value = line.partition(between)
    return name, value


def _mount(mount: Mapping[str, Any]) -> Mount:
    options = mount.get("VolumeOptions") or {}
    return Mount(mount.get("Source", ""), mount["Target"], bool(mount.get("ReadOnly")), bool(options.get("NoCopy")))


def _ports(host: Mapping[str, Any], asked: Runtime) -> Iterator[Port]:
    names = {p.container_port: p.name for p in asked.ports}
    for inside, bindings in (host.get("PortBindings") or {}).items():
        number = int(inside.partition("/")[0])
        for binding in bindings or ():
            yield Port(names.get(number, inside), binding.get("HostIp", ""), int(binding.get("HostPort") or 0), number)


def _address(inspect: Mapping[str, Any], network: str) -> str:
    endpoint = (inspect["NetworkSettings"].get("Networks") or {}).get(network) or {}
    return str((endpoint.get("IPAMConfig") or {}).get("IPv4Address", ""))


def _env(config: Mapping[str, Any], inherited: Mapping[str, Any], asked: Runtime) -> list[tuple[str, str]]:
    ours = {name for name, _ in asked.env}
    theirs = set(inherited.get("Env") or ())
    pairs = [_pair(line, "=") for line in config.get("Env") or () if line not in theirs or _pair(line, "=")[0] in ours]
    return pairs if inherited else [p for p in pairs if p[0] in ours]


def _health(found: Mapping[str, Any] | None) -> Health | None:
    test = (found or {}).get("Test") or ["NONE"]
    if not found or test[0] == "NONE":
        return None
    seconds = {key: int(found.get(key, 0)) // NANOSECONDS for key in ("Interval", "Timeout", "StartPeriod")}
    command = tuple(test[1:]) if test[0] == "CMD" else tuple(test)
    return Health(command, seconds["Interval"], seconds["Timeout"], seconds["StartPeriod"], int(found.get("Retries", 0)))


def _deviations(inspect: Mapping[str, Any], network: str, limits: Limits) -> Iterator[str]:
    """What of the frame that every container shares is not as we make it."""
    host = inspect["HostConfig"]
    if not host.get("ReadonlyRootfs"):
        yield "the root file system is writable"
    if host.get("Privileged"):
        yield "privileged"
    if host.get("CapDrop") != ["ALL"]:
        yield "not all capabilities are dropped"
    if not any(str(o).startswith("no-new-privileges") for o in host.get("SecurityOpt") or ()):
        yield "new privileges are possible"
    restart = (host.get("RestartPolicy") or {}).get("Name") or "no"
    if restart != "unless-stopped":
        yield f"restart policy {restart}"
    if limits.memory and limits.swap and host.get("MemorySwap") not in (host.get("Memory"), None):
        yield f"memory and swap limit {host['MemorySwap']}"
    if host.get("Dns") and host.get("DnsOptions") != DNS_OPTIONS:
        yield "resolver options"
    for key in ("NanoCpus", "CpuQuota", "CpuShares", "CpusetCpus", "MemoryReservation"):
        if host.get(key):
            yield f"{key} {host[key]}"
    others = sorted(set(inspect["NetworkSettings"].get("Networks") or {}) - {network or "none"})
    if others:
        yield f"also in the network{'s' if len(others) > 1 else ''} {', '.join(others)}"
    if network and network not in (inspect["NetworkSettings"].get("Networks") or {}):
        yield f"not in the network {network}"
