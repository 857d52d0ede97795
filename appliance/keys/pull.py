"""Gets the keys of a running instance back, from the configuration of its services, where the ring here lacks them.

A generation's manifest says which of its files came from the ring, and with which fingerprint; containers and volumes carry
the ring's id. The identity is derived again from the key that it was derived from first: it must give that id, and every
file must have its fingerprint. What no service has stays behind: the internal authority's key (a new one is made when there
is something to issue), and keys of domains that are not deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from appliance.errors import ApplianceError
from appliance.keys.copies import check, write
from appliance.keys.given import given_refs
from appliance.keys.identity import Identity, derive
from appliance.keys.ring import KeyRing
from appliance.keys.view import INTERNAL_SERVER_KEY
from appliance.spec.model import Spec


@dataclass(frozen=True)
class Carried:
    """A file of the ring that a service carries: where it lies, whose it is (``uid``), and its fingerprint by the manifest."""

    service: str
    path: str
    ref: str
    fingerprint: str
    uid: int
    running: bool


def pull(
    spec: Spec, ring: KeyRing, ring_id: str | None, carried: Iterable[Carried], read: Callable[[Carried], bytes]
) -> tuple[str, ...]:
    """The references that were brought back. ``ring_id``: the instance's; ``read``: the bytes of a file of a running service.

    Raises ApplianceError: another ring is here, a service that is needed does not run, a file is not what its manifest says.
    """
    here = ring.identity
    places = {place.ref: place for place in sorted(carried, key=lambda c: c.running)}  # a running service's is taken
    if not places:
        hint = "DOCKER_HOST names another engine; after a `down`, where no copy of the ring is left, `appliance up --adopt`"
        raise ApplianceError(f"the instance {spec.name} has no keys on this engine", hint=hint)
    if here and here.ring_id != ring_id:
        hint = "move that folder away first, if its keys are not in use"
        raise ApplianceError(f"{ring.folder} is another ring ({here.ring_id}) than the instance's ({ring_id})", hint=hint)
    lost = [place for ref, place in places.items() if ref not in given_refs(spec) and not ring.files.has(ref)]
    _all_running(spec, lost)
    files = {place.ref: read(place) for place in lost}
    identity = here or _identity(spec, files, ring_id, ring)
    for place in lost:
        check(place.ref, files[place.ref], f"{place.service}: {place.ref}")
        if identity.fingerprint(files[place.ref]) != place.fingerprint:
            raise ApplianceError(f"{place.ref} of {place.service} does not have the fingerprint that its manifest says")
    return write(ring.files, files, identity)


def _all_running(spec: Spec, lost: Iterable[Carried]) -> None:
    for place in lost:
        if not place.running:
            hint = f"docker start {spec.name}-{place.service}"
            raise ApplianceError(f"{place.service} does not run, and only it has {place.ref}", hint=hint)


def _identity(spec: Spec, files: Mapping[str, bytes], ring_id: str | None, ring: KeyRing) -> Identity:
    found = derive(files.get(INTERNAL_SERVER_KEY, b""), spec.name, ring.now())
    if found.ring_id != ring_id:
        raise ApplianceError(
            f"the identity of the ring {ring_id} cannot be derived from what {spec.name} carries",
            hint="`appliance keys export` where the ring is, and `appliance keys import` here",
        )
    return found
