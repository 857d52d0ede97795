"""What unattended work may do to what runs: put today's certificates there by a reload, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from appliance.observed import ObservedService, PortHolder
from appliance.plan.present import Certificates, Renewal, renewal
from appliance.render.bundle import AnyFile, File, SecretFile, ServiceBundle
from tests.unit.test_plan import RUNTIME, bundle, file, found, manifest, observed

CERT, KEY = "tls/cert.pem", "tls/key.pem"
REFS = (CERT, "internal/ca.pem")


def key(ref: str, fingerprint: str) -> SecretFile:
    return SecretFile(ref, ref, fingerprint, 0o400, (0, 0), "reload", "role.yml")


FILES: tuple[AnyFile, ...] = (file("main.cf"), key(CERT, "old"), key(KEY, "key"), file("users", secret=True, people=True))
EDGE = ServiceBundle("x", "x", RUNTIME, FILES, reload=("x", "reload"))
PLAIN = ServiceBundle("plain", "x", RUNTIME, (file("main.cf"),), reload=("x", "reload"))
RING = {CERT: "new", KEY: "key"}


def other_cert(fingerprint: str) -> ServiceBundle:
    return replace(EDGE, files=tuple(key(CERT, fingerprint) if f.path == CERT else f for f in EDGE.files))


def renewed(
    *services: ObservedService, ring: Mapping[str, str] = RING, today: tuple[ServiceBundle, ...] = (), **changes: object
) -> Renewal:
    known = {EDGE.live: EDGE, PLAIN.live: PLAIN, **{other_cert(f).live: other_cert(f) for f in ("new", "older")}}

    def files(_service: str, live: str) -> Mapping[str, bytes]:
        return {f.path: f.data if isinstance(f, File) else b"" for f in known[live].files}

    certificates = Certificates("ring1", ring, REFS)
    return renewal(observed(*services, **changes), files, certificates, bundle(*today) if today else None)


def actions(result: Renewal) -> dict[str, str]:
    return {c.service: c.action for c in result.plan.changes}


def test_only_the_certificate_is_new() -> None:
    result = renewed(found(PLAIN), found(EDGE))
    assert actions(result) == {"plain": "keep", "x": "reload"}
    (change,) = (c for c in result.plan.changes if c.action == "reload")
    assert [(f.path, f.kind) for f in change.files] == [(CERT, "changed")]
    assert change.bundle is not None
    assert (change.bundle.live, change.bundle.frozen) == (other_cert("new").live, EDGE.frozen)
    assert (result.left, result.services) == ({}, ("x",))
    assert (result.plan.resources, result.plan.settle, result.plan.refusals) == ((), (), ())
    assert not change.interrupts


def test_what_the_user_changed_meanwhile_waits() -> None:
    """The spec of today has other settings, another image and one service more: none of it is in the plan."""
    edited = replace(
        EDGE,
        runtime=replace(RUNTIME, image="appliance/x:2"),
        files=(file("main.cf", b"edited"), key(CERT, "new"), key(KEY, "key")),
    )
    more = replace(PLAIN, name="more")
    result = renewed(found(EDGE), today=(edited, more))
    assert actions(result) == {"x": "reload"}
    service = result.plan.bundle.service("x")
    assert (service.live, service.frozen) == (other_cert("new").live, EDGE.frozen)


def test_a_service_that_the_spec_of_today_does_not_have_gets_it_too() -> None:
    assert actions(renewed(found(EDGE), today=(PLAIN,))) == {"x": "reload"}


@pytest.mark.parametrize(
    ("seen", "ring", "why"),
    [
        (found(EDGE, state="exited"), RING, "it is exited"),
        (found(EDGE, health="unhealthy"), RING, "it would have to restart: it is unhealthy"),
        (found(EDGE, runtime=replace(RUNTIME, memory=1)), RING, "it would have to replace: memory limit"),
        (found(replace(EDGE, reload=())), RING, "it would have to restart"),
        (found(EDGE, loaded=None), RING, "an apply was cut off"),
        (found(EDGE), {**RING, KEY: "another"}, "the ring's tls/key.pem is another than it runs with"),
        (found(EDGE), {CERT: "new"}, "the ring has no tls/key.pem"),
    ],
)
def test_who_cannot_have_it_by_a_reload_waits_for_up(seen: ObservedService, ring: Mapping[str, str], why: str) -> None:
    result = renewed(seen, found(PLAIN), ring=ring)
    assert set(actions(result).values()) <= {"keep"}
    assert result.services == ()
    assert result.left["x"].startswith(why)


def test_others_that_are_not_well_are_no_concern() -> None:
    sick = found(PLAIN, health="unhealthy")
    result = renewed(sick, found(EDGE), ports=(PortHolder("0.0.0.0", 25, "somebody"),))
    assert actions(result) == {"plain": "keep", "x": "reload"}
    assert result.plan.refusals == ()


def test_an_apply_that_was_cut_off_is_settled_by_up() -> None:
    result = renewed(found(EDGE), previous=("x",))
    assert result.services == ()
    assert result.left == {"x": "an apply was cut off"}


def test_a_generation_that_is_not_what_its_manifest_says_is_not_touched() -> None:
    strange = found(EDGE, current=PLAIN.live, loaded=PLAIN.live)
    result = renewed(strange)
    assert result.services == ()
    assert "not what its manifest says" in result.left["x"]


def test_a_renewal_that_was_cut_off_is_brought_to_its_end() -> None:
    """The new certificate is there and the daemon was not told: only certificates differ, so it was ours."""
    new = other_cert("new")
    cut = found(new, loaded=EDGE.live, loaded_manifest=manifest(EDGE))
    assert actions(renewed(cut)) == {"x": "reload"}
    cut = found(new, loaded=None, unsettled=EDGE.live, loaded_manifest=manifest(EDGE))
    assert actions(renewed(cut)) == {"x": "reload"}
    others = found(new, loaded=PLAIN.live, loaded_manifest=manifest(PLAIN))
    assert renewed(others).services == (), "somebody's apply: not ours to end"


def test_another_ring_is_refused() -> None:
    assert renewed(found(EDGE, ring_id="ring2")).plan.refusals


def test_stale() -> None:
    certificates = Certificates("ring1", RING, REFS)
    assert certificates.stale(found(EDGE))
    assert not certificates.stale(found(other_cert("new")))
    assert not certificates.stale(found(PLAIN))
    assert not certificates.stale(found(EDGE, manifest=None))
    due = Certificates("ring1", {KEY: "key"}, REFS)
    assert not due.stale(found(EDGE)), "one that the ring is about to make anew is not there yet"
