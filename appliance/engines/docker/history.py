"""The releases that were applied, from the records in the configuration volumes; works on stopped containers too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from appliance.engines import manifest as manifests
from appliance.engines.docker import archive
from appliance.engines.docker.api import Api
from appliance.engines.docker.labels import of_instance
from appliance.engines.docker.stage import RELEASES
from appliance.observed import Manifest


def records(api: Api, instance: str) -> tuple[Manifest, ...]:
    """All records, newest first: one per service and release."""
    containers = [c["Id"] for c in api.get("/containers/json", all=True, filters=of_instance(instance, "service"))]
    with ThreadPoolExecutor(8) as pool:
        found = [m for some in pool.map(lambda c: list(_of(api, c)), containers) for m in some]
    unique = {(m.service, m.release): m for m in found}
    return tuple(sorted(unique.values(), key=lambda m: (-m.time, m.service)))


def _of(api: Api, container: str) -> Iterator[Manifest]:
    for entry in archive.get(api, container, f"/config/{RELEASES}") or ():
        if entry.path.endswith(".json") and not entry.path.startswith("."):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                yield manifests.load(entry.data)
