"""Which images an apply may remove, on an engine that others use too."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from appliance.engines import manifest as manifests
from appliance.engines.docker.api import Refused
from appliance.engines.docker.archive import Entry, pack
from appliance.engines.docker.labels import INSTANCE, SERVICE
from appliance.engines.docker.prune import unused_elsewhere
from tests.unit.test_engine_pieces import SERVICE as POSTFIX

OLD = {"appliance/postfix:1", "appliance/postfix:2", "appliance/postfix:3"}


class Engine:
    """Another instance that runs postfix:1 and may roll back to postfix:2; or half of it is gone."""

    def __init__(self, *, dead: bool) -> None:
        self.dead = dead

    def get(self, path: str, **_: Any) -> Any:
        assert path == "/containers/json"
        return [{"Id": "c", "Image": "appliance/postfix:1", "Labels": {INSTANCE: "other", SERVICE: "postfix"}}]

    def call(self, method: str, path: str, **_: Any) -> SimpleNamespace:
        if self.dead:
            raise Refused(500, "driver fuse-overlayfs is returning inconsistent paths", f"{method} {path}")
        earlier = replace(POSTFIX, runtime=replace(POSTFIX.runtime, image="appliance/postfix:2"))
        record = manifests.dump(manifests.manifest_of(earlier, "r1", time=1, who="", controller=""))
        return SimpleNamespace(content=pack([Entry("releases/r1.json", record)], time=1))


def test_what_another_instance_runs_or_may_roll_back_to_stays() -> None:
    assert unused_elsewhere(Engine(dead=False), "mine", OLD) == {"appliance/postfix:3"}  # type: ignore[arg-type]


def test_where_another_instance_cannot_be_asked_all_images_stay() -> None:
    assert unused_elsewhere(Engine(dead=True), "mine", OLD) == set()  # type: ignore[arg-type]
