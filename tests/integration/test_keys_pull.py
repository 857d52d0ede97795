"""A lost ring comes back from the running instance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from appliance.cli.carried import carried, reader
from appliance.engines.docker.engine import connect
from appliance.errors import ApplianceError
from appliance.keys.pull import pull
from appliance.keys.ring import KeyRing
from appliance.render.bundle import Bundle, SecretFile
from appliance.spec.model import Spec
from tests.integration.engine_room import Room, base_image
from tests.unit.keys_room import Told, contents, spec

pytestmark = pytest.mark.docker
#: who has what, as the roles say it: service → (uid, references)
DEPLOYED = {
    "store": (0, ("tls/cert.pem", "tls/key.pem", "internal/ca.pem", "internal/client-cert.pem", "internal/client-key.pem")),
    "edge": (0, ("tls/cert.pem", "tls/key.pem", "internal/server-cert.pem", "internal/server-key.pem")),
    "signer": (906, ("dkim/example.org/s1-ed25519.pem",)),
}


@pytest.fixture
def room(engine: docker.DockerClient, instance: str) -> Iterator[Room]:
    hands = connect()
    yield Room(hands, instance, base_image(engine))
    hands.close()


def deployed(room: Room, ring: KeyRing, of: Spec) -> Bundle:
    view, services = ring.view(of), []
    for name, (owner, refs) in DEPLOYED.items():
        files = [SecretFile(f"x/{r}", r, view.fingerprint(r), 0o400, (owner, owner), "reload", "role.yml") for r in refs]
        plain = room.service(name)
        kept = [f for f in plain.files if not isinstance(f, SecretFile)]
        services.append(replace(plain, files=tuple(sorted((*kept, *files), key=lambda f: f.path))))
    return room.bundle(*services, ring=str(ring.ring_id))


def test_pull_brings_the_ring_back_and_the_plan_stays_empty(room: Room, tmp_path: Path) -> None:
    of = spec(name=room.instance, settings={"dkim": {"algorithms": ("ed25519",)}})
    ring = KeyRing(tmp_path / "first" / "keys" / room.instance)
    ring.folder.parent.parent.mkdir()
    ring.create(of, Told())
    wanted = deployed(room, ring, of)
    apply(room, wanted, ring, of)

    again = KeyRing(tmp_path / "second" / "keys" / room.instance)
    again.folder.parent.parent.mkdir()
    pulled = bring_back(room, of, again)
    lost = {"internal/ca-key.pem", "ring.json"}
    assert {n: d for n, d in contents(again.folder).items() if n not in lost} == {
        n: d for n, d in contents(ring.folder).items() if n not in lost
    }
    assert set(pulled) == {ref for _, refs in DEPLOYED.values() for ref in refs}
    assert again.missing(of) == ()
    assert room.plan(deployed(room, again, of)).empty


def test_a_ring_that_is_another_is_not_taken_for_the_lost_one(room: Room, tmp_path: Path) -> None:
    of = spec(name=room.instance, settings={"dkim": {"algorithms": ("ed25519",)}})
    ring = KeyRing(tmp_path / "keys" / room.instance)
    ring.create(of, Told())
    other = replace(deployed(room, ring, of), ring_id="0123456789abcdef")
    apply(room, other, ring, of)
    empty = KeyRing(tmp_path / "second" / "keys" / room.instance)
    empty.folder.parent.parent.mkdir()
    with pytest.raises(ApplianceError, match="cannot be derived"):
        bring_back(room, of, empty)
    assert not empty.folder.exists()


def bring_back(room: Room, of: Spec, ring: KeyRing) -> tuple[str, ...]:
    observed = room.observe()
    return pull(of, ring, observed.ring_id, carried(observed), reader(room.engine, room.instance))


def apply(room: Room, wanted: Bundle, ring: KeyRing, of: Spec) -> None:
    room.engine.apply(
        room.plan(wanted), lambda ref: ring.read(ref, of), room.report, who="tester@here", why="up", wait=15, break_lock=False
    )
