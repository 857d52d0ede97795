"""An older release as a Bundle again: its settings, templates and images with the people and keys of today. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from appliance.errors import ApplianceError
from appliance.observed import FileMark, Manifest
from appliance.render.bundle import AnyFile, Bundle, File, OnChange, SecretFile, ServiceBundle


def past_bundle(
    today: Bundle, release: str, manifests: Mapping[str, Manifest], files: Mapping[str, Mapping[str, bytes]]
) -> Bundle:
    """Today's bundle with each service set back to its manifest.

    ``files``: service → path → bytes of that generation. Raises ApplianceError where the old release needs a key that is retired.
    """
    services = tuple(
        _service(s, release, manifests[s.name], files.get(s.name, {})) if s.name in manifests else s for s in today.services
    )
    _complete(today, release, services)
    return replace(today, services=services)


def _complete(today: Bundle, release: str, services: tuple[ServiceBundle, ...]) -> None:
    """Refuses a release joined to a service that does not run today: its mail would wait for a socket that never comes."""
    here = {f"{today.instance}-{s.name}-sock" for s in services}
    for service in services:
        for mount in service.runtime.mounts:
            if mount.volume.endswith("-sock") and mount.volume not in here:
                gone = mount.volume.removeprefix(f"{today.instance}-").removesuffix("-sock")
                raise ApplianceError(
                    f"in release {release}, {service.name} was joined to {gone}, which does not run today",
                    hint=f"switch the role of {gone} on again in the spec and run `appliance up`, or roll back further",
                )


def _service(today: ServiceBundle, release: str, manifest: Manifest, data: Mapping[str, bytes]) -> ServiceBundle:
    files: dict[str, AnyFile] = {f.path: f for f in today.files if f.people}
    known = {f.ref: f for f in today.files if isinstance(f, SecretFile)}
    for path, mark in manifest.files.items():
        if mark.ref:
            if mark.ref not in known:
                raise ApplianceError(
                    f"release {release} of {today.name} needs the key {mark.ref}, which the spec of today does not have",
                    hint="a retired key does not come back: put its domain or selector into the spec again, then roll back",
                )
            files[path] = replace(known[mark.ref], path=path)
        elif not mark.people:
            files[path] = _file(path, mark, data[path])
    return replace(
        today,
        runtime=manifest.runtime,
        reload=manifest.reload,
        files=tuple(files[p] for p in sorted(files)),
    )


def _file(path: str, mark: FileMark, data: bytes) -> File:
    on_change: OnChange = mark.on_change  # type: ignore[assignment]
    return File(path, data, mark.mode, mark.owner, on_change, "an earlier release", mark.secret, mark.people, mark.build)
