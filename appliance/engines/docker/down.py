"""Removes an instance: its containers and network; its volumes only when asked."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from appliance.engines.base import Report
from appliance.engines.docker.answer import KIND
from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.hand import Hand, remove
from appliance.engines.docker.labels import of_instance
from appliance.engines.docker.lock import acquire, sweep
from appliance.engines.docker.prune import remove_volumes


def down(api: Api, instance: str, report: Report, *, volumes: bool, break_lock: bool) -> None:
    """Stops and removes everything of the instance; images stay. Raises Locked while somebody applies."""
    containers = api.get("/containers/json", all=True, filters=of_instance(instance, "service"))
    lock = _lock(api, instance, containers, report, break_lock=break_lock)
    try:
        if lock is not None:
            sweep(api, instance, lock)
        if containers:
            report.start("down", f"stopping {len(containers)} services of {instance}")
            _stop_all(api, containers)
            report.done("down", f"{len(containers)} services of {instance} are removed")
        for answering in api.get("/containers/json", all=True, filters=of_instance(instance, KIND)):
            remove(api, answering["Id"])  # it is in the network too
        for network in api.get("/networks", filters=of_instance(instance)):
            api.delete(f"/networks/{network['Id']}")
    finally:
        if lock is not None:
            lock.close()
    if volumes:
        found = [v["Name"] for v in api.get("/volumes", filters=of_instance(instance))["Volumes"] or ()]
        if found:
            report.start("volumes", f"removing {len(found)} volumes")
            remove_volumes(api, found)
            report.done("volumes", f"{len(found)} volumes of {instance} are removed, with all that was in them")


def _lock(api: Api, instance: str, containers: Sequence[Mapping[str, Any]], report: Report, *, break_lock: bool) -> Hand | None:
    """The lock, by a container of any image of the instance; None where there is no container that could be disturbed."""
    if not containers:
        return None
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    return acquire(api, instance, containers[0]["ImageID"], (), report, who=who, why="down", ring=None, break_lock=break_lock)


def _stop_all(api: Api, containers: Sequence[Mapping[str, Any]]) -> None:
    """All at once: each takes its own time to stop."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda c: _end(api, str(c["Id"])), containers))


def _end(api: Api, container: str) -> None:
    try:
        config = api.get(f"/containers/{container}/json")
        if config["State"]["Paused"]:
            api.post(f"/containers/{container}/unpause")
        api.post(f"/containers/{container}/stop", timeout=(config["Config"].get("StopTimeout") or 10) + 30.0)
    except Refused as why:
        if why.status != 404:
            raise
    remove(api, container)
