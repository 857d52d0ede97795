"""``manifest.json``: what stands in each generation, as JSON and back. Pure; shared by all engines.

Fields that a newer controller added are ignored and missing ones take their defaults, so that an older one can still look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from appliance.observed import FileMark, Manifest
from appliance.render.bundle import AnyFile, Health, Mount, Port, Runtime, SecretFile, ServiceBundle


def manifest_of(service: ServiceBundle, release: str, *, time: float, who: str, controller: str) -> Manifest:
    """The manifest of a service's bundle. ``time``: seconds since the epoch; it is part of no digest."""
    return Manifest(
        service=service.name,
        live=service.live,
        frozen=service.frozen,
        release=release,
        time=time,
        who=who,
        controller=controller,
        runtime=service.runtime,
        files={f.path: mark_of(f) for f in service.files},
        reload=service.reload,
    )


def mark_of(file: AnyFile) -> FileMark:
    """What a manifest says of one file."""
    ref = file.ref if isinstance(file, SecretFile) else ""
    return FileMark(file.digest, file.mode, file.owner, file.on_change, file.secret, file.people, ref, file.build)


def dump(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return json.dumps(asdict(manifest), indent=1, sort_keys=True, ensure_ascii=False).encode()


def load(data: bytes) -> Manifest:
    """The manifest of its JSON; raises ValueError, TypeError or KeyError when it is none."""
    found = json.loads(data)
    known = _known(Manifest, found)
    known["runtime"] = runtime_from(found["runtime"])
    known["files"] = {path: _mark(mark) for path, mark in found["files"].items()}
    known["reload"] = tuple(found.get("reload", ()))
    return Manifest(**known)


def runtime_dump(runtime: Runtime) -> str:
    """A Runtime as compact JSON, for a label."""
    return json.dumps(asdict(runtime), separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def runtime_from(found: Mapping[str, Any]) -> Runtime:
    """The Runtime of its JSON form."""
    known = _known(Runtime, found)
    for name in ("command", "capabilities", "dns", "deviations"):
        known[name] = tuple(found.get(name, ()))
    for name in ("tmpfs", "hosts", "env"):
        known[name] = tuple((str(a), str(b)) for a, b in found.get(name, ()))
    known["mounts"] = tuple(Mount(**_known(Mount, m)) for m in found.get("mounts", ()))
    known["ports"] = tuple(Port(**_known(Port, p)) for p in found.get("ports", ()))
    health = found.get("health")
    known["health"] = Health(**(_known(Health, health) | {"command": tuple(health["command"])})) if health else None
    return Runtime(**known)


def _mark(found: Mapping[str, Any]) -> FileMark:
    uid, gid = found["owner"]
    return FileMark(**(_known(FileMark, found) | {"owner": (int(uid), int(gid)), "build": tuple(found.get("build", ()))}))


def _known(kind: type, found: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {key: value for key, value in found.items() if key in names}
