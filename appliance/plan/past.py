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
    return replace(today, services=services)


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
