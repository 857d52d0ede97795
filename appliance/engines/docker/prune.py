"""What an apply leaves behind: the last five releases, and nothing older."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Mapping, Sequence

from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.hand import VOLUMES
from appliance.engines.docker.history import records
from appliance.engines.docker.labels import INSTANCE, SERVICE
from appliance.engines.docker.site import Site
from appliance.engines.docker.stage import RELEASES
from appliance.observed import Manifest

KEPT = 5  # releases


def prune(site: Site) -> None:
    """Removes generations, records and images that no kept release names."""
    every = records(site.api, site.instance)
    old = old_releases(every)
    if not old:
        return
    kept = [m for m in every if m.release not in old]
    scripts = []
    for service in site.plan.bundle.services:
        stay = sorted({m.live for m in kept if m.service == service.name} | {service.live})
        patterns = "|".join(shlex.quote(f"gen/{live}") for live in stay)
        gone = " ".join(shlex.quote(f"{RELEASES}/{release}.json") for release in sorted(old))
        scripts.append(
            f"cd {VOLUMES}/{service.name}; rm -f -- {gone};"
            f' for g in gen/*; do case "$g" in {patterns}) ;; *) rm -rf -- "$g" ;; esac; done'
        )
    site.hand.run("\n".join(scripts), "removing old releases")
    images = {m.runtime.image for m in every} - {m.runtime.image for m in kept}
    _remove_images(site.api, sorted(unused_elsewhere(site.api, site.instance, images)))


def old_releases(every: Sequence[Manifest]) -> set[str]:
    """The releases beyond the last five, by the time at which they were last applied."""
    times: Mapping[str, float] = {m.release: m.time for m in sorted(every, key=lambda m: m.time)}
    newest = sorted(times, key=lambda release: times[release], reverse=True)
    return set(newest[KEPT:])


def remove_volumes(api: Api, names: Iterable[str]) -> None:
    """Removes volumes that nobody uses; those in use stay."""
    for name in names:
        try:
            api.delete(f"/volumes/{name}")
        except Refused as why:
            if why.status != 409:
                raise


def unused_elsewhere(api: Api, instance: str, images: set[str]) -> set[str]:
    """Of these tags, those that no other instance on this engine runs or may roll back to; none where one cannot be asked."""
    containers = api.get("/containers/json", all=True, filters={"label": [SERVICE]})
    others = {c["Labels"][INSTANCE] for c in containers if INSTANCE in c["Labels"]} - {instance}
    try:
        kept = {m.runtime.image for other in others for m in records(api, other)}
    except Refused:
        # a container that is half removed is listed and cannot be read: the images stay, and a later apply looks again
        return set()
    return images - kept - {c["Image"] for c in containers}


def _remove_images(api: Api, tags: Sequence[str]) -> None:
    for tag in tags:
        if tag.startswith("appliance/"):
            # 409: a container that is not ours uses it
            with contextlib.suppress(Refused):
                api.delete(f"/images/{tag}")
