"""The files of the key ring that a running instance carries: found by its manifests, read through the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.keys.pull import Carried
from appliance.render.bundle import CURRENT

if TYPE_CHECKING:
    from appliance.engines.base import Engine
    from appliance.observed import Observed


def carried(observed: Observed) -> Iterator[Carried]:
    """Every file of every service that came from the ring."""
    for service in observed.services.values():
        for path, mark in service.manifest.files.items() if service.manifest else ():
            if mark.ref:
                yield Carried(service.name, path, mark.ref, mark.digest, mark.owner[0], service.state == "running")


def reader(engine: Engine, instance: str) -> Callable[[Carried], bytes]:
    """Reads a file as its owner: root without capabilities may not read another's 0400 file."""

    def read(place: Carried) -> bytes:
        result = engine.exec(instance, place.service, ("cat", f"{CURRENT}/{place.path}"), user=str(place.uid))
        if result.code:
            words = result.stderr.decode("utf-8", "replace").strip()
            raise ApplianceError(f"cannot read {place.ref} in {place.service}: {words}")
        return result.stdout

    return read
