"""The lock of an instance: the name of its writer. A container's name is the only thing of the engine that refuses a second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from appliance.engines.base import Report
from appliance.engines.docker.api import Api, Refused, seconds_of
from appliance.engines.docker.hand import Hand, body, remove
from appliance.engines.docker.labels import WHEN, WHO, WHY, config_volume, labels, of_instance, writer
from appliance.errors import ApplianceError, Locked, Unavailable

#: seconds after which a writer that was made and never started belongs to a controller that died in between
STILLBORN = 20.0


def acquire(
    api: Api,
    instance: str,
    image: str,
    services: tuple[str, ...],
    report: Report,
    *,
    who: str,
    why: str,
    ring: str | None,
    break_lock: bool,
) -> Hand:
    """Takes the lock and returns the hand. Raises Locked, saying who holds it, since when and why."""
    name = writer(instance)
    marks = labels(instance, kind="writer") | {WHO: who, WHY: why, WHEN: datetime.now(UTC).isoformat(timespec="seconds")}
    volumes = {s: (config_volume(instance, s), labels(instance, s, ring)) for s in services}
    for _ in range(3):
        try:
            return Hand.start(api, name, body(image, marks, volumes))
        except Refused as refused:
            if refused.status == 404 and "image" in refused.words.lower():
                raise Unavailable(f"the engine has no image {image}", hint="`appliance build`") from None
            if refused.status != 409:
                raise
        _make_way(api, instance, report, break_lock=break_lock)
    raise Locked(f"the lock of {instance} was taken again and again by others", hint="run it again")


def sweep(api: Api, instance: str, hand: Hand) -> None:
    """Removes what controllers that were killed left of their own: trials whose daemon goes on, further hands. Needs the lock."""
    for kind in ("trial", "writer"):
        for container in api.get("/containers/json", all=True, filters=of_instance(instance, kind)):
            if container["Id"] != hand.container:
                remove(api, container["Id"])


def _make_way(api: Api, instance: str, report: Report, *, break_lock: bool) -> None:
    """Removes a holder that is dead, or one that shall be broken; raises Locked for one that works."""
    try:
        holder = api.get(f"/containers/{writer(instance)}/json")
    except Refused as why:
        if why.status == 404:
            return
        raise
    marks = holder["Config"].get("Labels") or {}
    if WHO not in marks:
        raise ApplianceError(f"a container {writer(instance)} exists that appliance has not made", hint="rename or remove it")
    if break_lock:
        report.note(f"breaking the lock of {_said(marks)}")
    elif not _dead(api, holder):
        raise Locked(f"{instance} is locked by {_said(marks)}", hint="wait until it ends, or say --break-lock if it never will")
    remove(api, holder["Id"])


def _said(marks: Mapping[str, str]) -> str:
    return f"{marks[WHO]} since {marks.get(WHEN, 'an unknown time')} ({marks.get(WHY, 'no reason given')})"


def _dead(api: Api, holder: Mapping[str, Any]) -> bool:
    """Ended, or made and never started for so long that its controller must have died between the two calls."""
    state = holder["State"]["Status"]
    if state == "created":
        return seconds_of(api.get("/info")["SystemTime"]) - seconds_of(holder["Created"]) > STILLBORN
    return state in ("exited", "dead", "removing")
