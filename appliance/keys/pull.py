"""Gets the keys of a running instance back, from the configuration of its services, where the ring here lacks them.

A generation's manifest says which of its files came from the ring, and with which fingerprint; containers and volumes carry
the ring's id. The identity is derived again from the key that it was derived from first: it must give that id, and every
file must have its fingerprint. What no service has stays behind: the internal authority's key (a new one is made when there
is something to issue), and keys of domains that are not deployed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from appliance.engines.base import Engine
from appliance.errors import ApplianceError
from appliance.keys.copies import check, write
from appliance.keys.given import given_refs
from appliance.keys.identity import Identity, derive
from appliance.keys.ring import KeyRing
from appliance.keys.view import INTERNAL_SERVER_KEY
from appliance.observed import FileMark, Observed
from appliance.render.bundle import CURRENT
from appliance.spec.model import Spec


@dataclass(frozen=True)
class Place:
    """Where a reference's bytes lie: a service and a path in its generation."""

    service: str
    path: str
    mark: FileMark
    running: bool


def pull(spec: Spec, ring: KeyRing, observed: Observed, engine: Engine) -> tuple[str, ...]:
    """The references that were brought back.

    Raises ApplianceError: another ring is here, nothing runs, a file is not what its manifest says.
    """
    here, places = ring.identity, {place.mark.ref: place for place in _places(observed)}
    if not places:
        raise ApplianceError(f"the instance {spec.name} has no keys on this engine", hint="DOCKER_HOST names another engine")
    if here and here.ring_id != observed.ring_id:
        hint = "move that folder away first, if its keys are not in use"
        words = f"{ring.folder} is another ring ({here.ring_id}) than the instance's ({observed.ring_id})"
        raise ApplianceError(words, hint=hint)
    lost = [ref for ref in places if ref not in given_refs(spec) and not ring.files.has(ref)]
    files = {ref: _read(spec, places[ref], engine) for ref in lost}
    identity = here or _identity(spec, files, observed, ring)
    for ref, data in files.items():
        check(ref, data, f"{places[ref].service}: {ref}")
        if identity.fingerprint(data) != places[ref].mark.digest:
            raise ApplianceError(f"{ref} of {places[ref].service} does not have the fingerprint that its manifest says")
    return write(ring.files, files, identity)


def _places(observed: Observed) -> Iterator[Place]:
    """Every file of the ring, those of stopped services first, so that a running one takes their place in a mapping."""
    found = [
        Place(service.name, path, mark, service.state == "running")
        for service in observed.services.values()
        if service.manifest is not None
        for path, mark in service.manifest.files.items()
        if mark.ref
    ]
    return iter(sorted(found, key=lambda place: place.running))


def _read(spec: Spec, place: Place, engine: Engine) -> bytes:
    """By the file's owner: root without capabilities may not read another's 0400 file."""
    if not place.running:
        hint = f"docker start {spec.name}-{place.service}"
        raise ApplianceError(f"{place.service} does not run, and only it has {place.mark.ref}", hint=hint)
    argv = ("cat", f"{CURRENT}/{place.path}")
    result = engine.exec(spec.name, place.service, argv, user=str(place.mark.owner[0]))
    if result.code:
        words = result.stderr.decode("utf-8", "replace").strip()
        raise ApplianceError(f"cannot read {place.mark.ref} in {place.service}: {words}")
    return result.stdout


def _identity(spec: Spec, files: Mapping[str, bytes], observed: Observed, ring: KeyRing) -> Identity:
    found = derive(files.get(INTERNAL_SERVER_KEY, b""), spec.name, ring.now())
    if found.ring_id != observed.ring_id:
        raise ApplianceError(
            f"the identity of the ring {observed.ring_id} cannot be derived from what {spec.name} carries",
            hint="`appliance keys export` where the ring is, and `appliance keys import` here",
        )
    return found
