"""How much memory the services use, from the engine's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.labels import SERVICE, of_instance


def memory(api: Api, instance: str) -> Mapping[str, int]:
    """service → bytes. Without the page cache, which the kernel takes back when it needs it (as `docker stats` counts)."""
    running = api.get("/containers/json", filters=of_instance(instance, "service"))
    with ThreadPoolExecutor(max(1, len(running))) as pool:
        used = pool.map(lambda c: _used(api, str(c["Id"])), running)
        return {c["Labels"][SERVICE]: bytes_ for c, bytes_ in zip(running, used, strict=True)}


def _used(api: Api, container: str) -> int:
    try:
        stats: Mapping[str, Any] = api.get(f"/containers/{container}/stats", stream=False, **{"one-shot": True})
    except Refused as why:
        if why.status in (404, 409):  # it ended meanwhile
            return 0
        raise
    found = stats.get("memory_stats") or {}
    details = found.get("stats") or {}
    # cgroup v1 names it total_inactive_file, v2 inactive_file
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return max(0, int(found.get("usage", 0)) - int(cache))
