"""Looks at an instance without touching it: a handful of calls, all at once, no exec."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from appliance.engines import manifest as manifests
from appliance.engines.docker import archive
from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.daemon import look
from appliance.engines.docker.facts import clock, host_facts
from appliance.engines.docker.holders import holders
from appliance.engines.docker.labels import INSTANCE, PACKAGES, PREVIOUS, RING, ROLE, SERVICE, of_instance
from appliance.engines.docker.readback import runtime_of
from appliance.engines.docker.runtime import Limits, limits_of
from appliance.observed import Manifest, Observed, ObservedService
from appliance.render.bundle import NetworkBundle

Json = Mapping[str, Any]
THREADS = 8  # more gain nothing: the engine answers from one lock


def observe(api: Api, instance: str, ports: Sequence[tuple[str, int]], *, local: bool, shell: Sequence[str] = ()) -> Observed:
    """Everything the plan needs. ``ports``: (address, port) pairs whose holders are sought; ``local``: the engine is here.

    ``shell``: argv of a shell on the engine's host, by which dockerd's settings are looked at.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        info, settings = pool.submit(_timed_info, api), pool.submit(look, shell)
        images = pool.submit(api.get, "/images/json", filters={"reference": ["appliance/*"]})
        volumes = pool.submit(api.get, "/volumes", filters=of_instance(instance))
        networks = pool.submit(api.get, "/networks")
        containers: list[Json] = api.get("/containers/json", all=True)
        ours = [c for c in containers if c["Labels"].get(INSTANCE) == instance and c["Labels"].get(ROLE) == "service"]
        details = [pool.submit(_details, api, c["Id"]) for c in ours]
        looks = _Images(api, pool, {c["ImageID"] for c in ours})
        said, asked_at = info.result()
        seen = _services([d.result() for d in details], looks, limits_of(said))
        network, version = network_of(networks.result(), instance), ".".join(map(str, api.version))
        rings: dict[str, str | None] = {v["Name"]: (v.get("Labels") or {}).get(RING) for v in volumes.result()["Volumes"] or ()}
        return Observed(
            instance=instance,
            services=seen,
            previous=tuple(sorted(_service_of(instance, c) for c in ours if _name(c).endswith(PREVIOUS))),
            volumes=rings,
            network=network,
            images=frozenset(tag for i in images.result() for tag in i.get("RepoTags") or ()),
            packages={t: (i.get("Labels") or {}).get(PACKAGES, "") for i in images.result() for t in i.get("RepoTags") or ()},
            ports=holders(instance, ports, containers, local=local),
            ring_id=next((r for r in (*(s.ring_id for s in seen.values()), *rings.values()) if r), None),
            host=host_facts(said, version, networks.result(), network, asked_at, settings.result(), local=local),
        )


def volumes_of(api: Api, instance: str) -> set[str]:
    """The names of the instance's volumes."""
    return {v["Name"] for v in api.get("/volumes", filters=of_instance(instance))["Volumes"] or ()}


def network_of(networks: Sequence[Json], name: str) -> NetworkBundle | None:
    """The network of that name and its pools; None when there is none."""
    found = next((n for n in networks if n["Name"] == name), None)
    if found is None:
        return None
    pools = (found.get("IPAM") or {}).get("Config") or []
    four: Json = next((p for p in pools if ":" not in p.get("Subnet", "")), {})
    six: Json = next((p for p in pools if ":" in p.get("Subnet", "") and found.get("EnableIPv6")), {})
    return NetworkBundle(name, four.get("Subnet", ""), four.get("Gateway", ""), four.get("IPRange", ""), six.get("Subnet", ""))


def _timed_info(api: Api) -> tuple[Json, tuple[float, float]]:
    before = clock()
    return api.get("/info"), (before, clock())


class _Images:
    """Inspects of the images that the containers were made of, each once."""

    def __init__(self, api: Api, pool: ThreadPoolExecutor, ids: set[str]) -> None:
        self._futures: dict[str, Future[Json | None]] = {i: pool.submit(_quiet, api, f"/images/{i}/json") for i in ids}

    def of(self, image_id: str) -> Json | None:
        """The image's inspect, None when it was removed below its container."""
        return self._futures[image_id].result()


def _quiet(api: Api, path: str) -> Json | None:
    """None for what is gone meanwhile."""
    try:
        found: Json = api.get(path)
        return found
    except Refused as why:
        if why.status == 404:
            return None
        raise


Details = tuple[Json, str | None, str | None, str | None]


def _details(api: Api, container: str) -> Details | None:
    """(inspect, digests that current, loaded and unsettled name); None for a container that went meanwhile."""
    inspect = _quiet(api, f"/containers/{container}/json")
    if inspect is None:
        return None
    current, loaded = (archive.digest_of_link(archive.link(api, container, f"/config/{name}")) for name in ("current", "loaded"))
    unsettled = None if loaded else archive.digest_of_link(archive.link(api, container, "/config/unsettled"))
    return inspect, current, loaded, unsettled


def with_manifests(api: Api, observed: Observed, wanted: Mapping[str, str] | None = None) -> Observed:
    """The same with the manifests read, but for services whose live digest is the ``wanted`` one: their files are known.

    Apart from observe because reading a file costs an engine before 23.0 fifty milliseconds of CPU: it starts a process for it.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        asked = {
            name: (
                pool.submit(_manifest, api, seen, seen.current),
                pool.submit(_manifest, api, seen, seen.loaded or seen.unsettled),
            )
            for name, seen in observed.services.items()
            if not (seen.loaded == seen.current and seen.current == (wanted or {}).get(name))
        }
        found = {name: (current.result(), loaded.result()) for name, (current, loaded) in asked.items()}
    services = dict(observed.services)
    for name, (manifest, older) in found.items():
        services[name] = replace(services[name], manifest=manifest, loaded_manifest=older)
    return replace(observed, services=services)


def _manifest(api: Api, seen: ObservedService, live: str | None) -> Manifest | None:
    if live is None:
        return None
    try:
        return read_manifest(api, seen.container_id, f"/config/gen/{live}/manifest.json")
    except Refused as why:
        if why.status == 404:
            return None
        raise


def read_manifest(api: Api, container: str, path: str) -> Manifest | None:
    """A manifest inside a container; None when there is none or it cannot be understood."""
    for entry in archive.get(api, container, path) or ():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return manifests.load(entry.data)
    return None


def _services(details: Sequence[Details | None], images: _Images, limits: Limits) -> dict[str, ObservedService]:
    """Services by name. Where a cut-off apply left only a -previous container, that is the service: it gets its name back."""
    there = [d for d in details if d is not None]
    # a -previous container comes first, so that the container of the plain name takes its place
    there.sort(key=lambda d: (not d[0]["Name"].endswith(PREVIOUS), d[0]["Name"]))
    found = {_service_of_labels(d[0]): _service(_service_of_labels(d[0]), d, images, limits) for d in there}
    return dict(sorted(found.items()))


def _service(name: str, detail: Details, images: _Images, limits: Limits) -> ObservedService:
    inspect, current, loaded, unsettled = detail
    image = images.of(inspect["Image"])
    state, config = inspect["State"], inspect["Config"]
    return ObservedService(
        name=name,
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "none"),
        runtime=runtime_of(inspect, image, limits),
        current=current,
        loaded=loaded,
        unsettled=unsettled,
        ring_id=config["Labels"].get(RING),
        started=state.get("StartedAt", ""),
        container_id=inspect["Id"],
        image_id=inspect["Image"],
        image_packages=(((image or {}).get("Config") or {}).get("Labels") or {}).get(PACKAGES, ""),
    )


def _service_of_labels(inspect: Json) -> str:
    return str(inspect["Config"]["Labels"].get(SERVICE, ""))


def _service_of(instance: str, container: Json) -> str:
    return str(container["Labels"].get(SERVICE) or _name(container).removeprefix(f"{instance}-").removesuffix(PREVIOUS))


def _name(container: Json) -> str:
    # links give a container further names of the form /other/alias
    return next((n.lstrip("/") for n in container["Names"] if n.count("/") == 1), "")
