"""CPU and memory of containers, as the engine reads them from their cgroups (v1 and v2 alike)."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.instances import LABEL

if TYPE_CHECKING:
    import docker


@dataclass(frozen=True)
class Use:
    """``cpu`` seconds since the container began; ``memory`` bytes without what the kernel can drop (the page cache)."""

    cpu: float
    memory: int


def uses(client: docker.DockerClient, instance: str) -> dict[str, Use]:
    """Container → use, of those of an instance that run."""
    containers = client.containers.list(filters={"label": f"{LABEL}={instance}"})
    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(lambda c: (str(c.name).removeprefix(f"{instance}-"), _use(client, str(c.id))), containers))


def cpu(client: docker.DockerClient, instance: str) -> float:
    """CPU seconds of all of them."""
    return sum(u.cpu for u in uses(client, instance).values())


def memory(found: Iterable[Use]) -> int:
    """Bytes of all of them."""
    return sum(u.memory for u in found)


def _use(client: docker.DockerClient, container: str) -> Use:
    said: dict[str, Any] = client.api.stats(container, stream=False, one_shot=True)
    memory = said.get("memory_stats") or {}
    detail = memory.get("stats") or {}
    # v1 counts children too with total_*; v2 has one name
    cache = detail.get("total_cache", detail.get("file", 0)) - detail.get("total_shmem", detail.get("shmem", 0))
    return Use(said["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, int(memory.get("usage", 0)) - max(cache, 0))
