"""The key ring: made once, completed when it was half made, known by fingerprints, refused when it is another's."""

from __future__ import annotations

import base64
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.errors import ApplianceError
from appliance.keys.view import INTERNAL_CA, INTERNAL_CLIENT_CERT, INTERNAL_SERVER_CERT, TLS_CERT, TLS_KEY
from appliance.render.bundle import NEW_AT_UP
from tests.unit.keys_room import Told, contents, ring, spec

CERTIFICATES = {TLS_CERT, INTERNAL_CA, INTERNAL_SERVER_CERT, INTERNAL_CLIENT_CERT}


def test_before_the_ring_exists_everything_is_new_at_up(tmp_path: Path) -> None:
    empty = ring(tmp_path)
    view = empty.view(spec())
    assert (empty.exists, empty.ring_id, view.ring_id) == (False, None, None)
    assert view.public_half("dkim/example.org/s1-ed25519.pem") == NEW_AT_UP
    assert view.fingerprint(TLS_KEY) is None
    assert re.fullmatch("[a-z0-9]{16}", view.token("probe"))
    assert "dkim/example.org/s1-ed25519.pem" in empty.missing(spec())
    assert not (tmp_path / "keys").exists()


def test_create_makes_what_is_missing_and_then_nothing(tmp_path: Path) -> None:
    keys, told = ring(tmp_path), Told()
    assert keys.create(spec(), told) == ring(tmp_path / "empty").missing(spec())
    assert told.lines == [
        ("start", f"making 5 keys and 4 certificates in {keys.folder}"),
        ("done", f"made 5 keys and 4 certificates in {keys.folder}"),
    ]
    before = contents(keys.folder)
    assert keys.create(spec(), told) == ()
    assert contents(keys.folder) == before
    assert keys.missing(spec()) == ()
    assert before[".gitignore"] == b"*\n"


def test_a_new_domain_gets_a_key_and_no_other_key_changes(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    before = contents(keys.folder)
    assert keys.create(spec(("example.org", "new.example")), Told()) == ("dkim/new.example/s1-ed25519.pem",)
    assert {name: data for name, data in contents(keys.folder).items() if name in before} == before


@pytest.mark.parametrize("algorithm", ["rsa-2048", "rsa-3072", "ed25519"])
def test_the_public_half_is_what_dkim_publishes(tmp_path: Path, algorithm: str) -> None:
    wanted, keys = spec(settings={"dkim": {"algorithms": (algorithm,)}}), ring(tmp_path)
    keys.create(wanted, Told())
    kind = algorithm.partition("-")[0]
    half = base64.b64decode(keys.view(wanted).public_half(f"dkim/example.org/s1-{kind}.pem"), validate=True)
    if kind == "ed25519":
        assert len(half) == 32  # RFC 8463, 4: the bare key
    else:
        public = load_der_public_key(half)
        assert isinstance(public, RSAPublicKey)
        assert public.key_size == int(algorithm.removeprefix("rsa-"))
    assert keys.read(f"dkim/example.org/s1-{kind}.pem", wanted).startswith(b"-----BEGIN PRIVATE KEY-----")


def test_the_view_says_nothing_of_a_secret_and_the_same_each_time(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    view = keys.view(spec())
    assert view == ring(tmp_path).view(spec())
    assert all(re.fullmatch("[0-9a-f]{16}", f) for f in view.fingerprints.values())
    assert all(re.fullmatch("[a-z2-7]{16}", t) for t in view.tokens.values())
    assert view.token("probe") != view.token("double-bounce")
    assert re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", view.public_half(INTERNAL_CLIENT_CERT))
    shown = repr(view).encode()
    for name, data in contents(keys.folder).items():
        if name.endswith(("key.pem", "ed25519.pem")):
            assert data.splitlines()[1] not in shown
    assert contents(keys.folder)["hmac.key"].hex().encode() not in shown


def test_a_rotated_key_shows_in_its_fingerprint_and_nowhere_else(tmp_path: Path) -> None:
    two = spec(("example.org", "example.net"))
    keys = ring(tmp_path)
    keys.create(two, Told())
    before = keys.view(two)
    keys.files.path("dkim/example.org/s1-ed25519.pem").unlink()
    keys.create(two, Told())
    after = keys.view(two)
    changed = {ref for ref in before.fingerprints if before.fingerprint(ref) != after.fingerprint(ref)}
    assert changed == {"dkim/example.org/s1-ed25519.pem"}
    assert before.ring_id == after.ring_id


def test_two_rings_have_nothing_in_common(tmp_path: Path) -> None:
    views = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        keys = ring(tmp_path / name)
        keys.create(spec(), Told())
        views.append(keys.view(spec()))
    assert views[0].ring_id != views[1].ring_id
    assert views[0].tokens != views[1].tokens
    assert not set(views[0].fingerprints.values()) & set(views[1].fingerprints.values())


def test_a_ring_that_was_half_made_is_completed(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    whole = contents(keys.folder)
    for lost in whole:
        if lost == "hmac.key":
            continue  # with it the ring is another one; see the test of garbled rings
        shutil.rmtree(keys.folder)
        for name, data in whole.items():
            if name != lost:
                keys.files.create(name, data)
        keys.create(spec(), Told())
        kept = {name: data for name, data in contents(keys.folder).items() if name not in CERTIFICATES and name != lost}
        assert kept == {name: data for name, data in whole.items() if name not in CERTIFICATES and name != lost}, lost
        assert keys.missing(spec()) == (), lost


def test_what_a_killed_writer_left_is_no_part_of_the_ring(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.files.create("hmac.key", bytes(32))
    keys.files.create("dkim/example.org/.new-0123456789abcdef", b"half a ke")
    keys.create(spec(), Told())
    assert keys.view(spec()).public_half("dkim/example.org/s1-ed25519.pem") != NEW_AT_UP


def test_a_key_that_the_spec_needs_no_more_stays_and_is_told(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    rotated = spec(settings={"dkim": {"selector": "s2", "algorithms": ("ed25519",)}})
    assert keys.create(rotated, Told()) == ("dkim/example.org/s2-ed25519.pem",)
    assert keys.unused(rotated) == ("dkim/example.org/s1-ed25519.pem",)
    assert keys.unused(spec()) == ("dkim/example.org/s2-ed25519.pem",)


def test_two_controllers_at_once_make_one_ring(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _n: ring(tmp_path).create(spec(), Told()), range(4)))
    keys = ring(tmp_path)
    assert keys.missing(spec()) == ()
    assert not list(keys.folder.rglob(".new-*"))


def test_two_hundred_domains_are_read_quickly_and_their_making_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many, keys, told = spec(tuple(f"d{n}.example" for n in range(200))), ring(tmp_path), Told()
    monkeypatch.setattr("appliance.keys.ring._BEAT", 0.0)
    assert len(keys.create(many, told)) == 208
    notes = [text for kind, text in told.lines if kind == "note"]
    assert any(re.fullmatch(r"\d+ of 204 keys made, the last one dkim/d\d+\.example/s1-ed25519\.pem", n) for n in notes)
    assert len(keys.view(many).public) == 204


# -- refused ---------------------------------------------------------------------------------------------------------------
GARBLED = {
    "no JSON": (b"{", "is garbled"),
    "a list": (b"[]", "is garbled"),
    "empty": (b"", "is garbled"),
    "no id": (b'{"format": 1, "instance": "example", "created": "2026-03-01"}', "is garbled"),
    "a number for the id": (b'{"format": 1, "id": 5, "instance": "example", "created": "2026-03-01"}', "is garbled"),
    "of a newer program": (b'{"format": 2, "id": "x", "instance": "example", "created": "2026-03-01"}', "format 2"),
    "of another ring": (b'{"format": 1, "id": "0000000000000000", "instance": "example", "created": "now"}', "does not belong"),
}


@pytest.mark.parametrize("case", GARBLED)
def test_a_garbled_ring_is_refused_and_not_made_anew(tmp_path: Path, case: str) -> None:
    data, words = GARBLED[case]
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    keys.files.replace("ring.json", data)
    before = contents(keys.folder)
    asked = (lambda: keys.view(spec()), lambda: keys.create(spec(), Told()), lambda: keys.missing(spec()), lambda: keys.ring_id)
    for ask in asked:
        with pytest.raises(ApplianceError, match=words) as refused:
            ask()
        assert refused.value.hint
    assert contents(keys.folder) == before


def test_a_ring_without_its_hmac_key_is_refused(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    keys.files.path("hmac.key").unlink()
    with pytest.raises(ApplianceError, match=r"hmac\.key is missing"):
        keys.create(spec(), Told())


def test_a_ring_copied_for_another_instance_is_refused(tmp_path: Path) -> None:
    ring(tmp_path).create(spec(), Told())
    shutil.copytree(tmp_path / "keys" / "example", tmp_path / "keys" / "second")
    with pytest.raises(ApplianceError, match="of the instance 'example', not of 'second'"):
        ring(tmp_path, name="second").view(spec(name="second"))


def test_a_ring_that_others_can_read_is_refused_with_the_line_that_mends_it(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    keys.folder.chmod(0o750)
    with pytest.raises(ApplianceError, match="mode 0750") as refused:
        keys.view(spec())
    assert refused.value.hint == f"chmod -R go-rwx {keys.folder}"


def test_a_garbled_key_is_named(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    keys.files.replace("dkim/example.org/s1-ed25519.pem", b"")
    with pytest.raises(ApplianceError, match=r"example\.org/s1-ed25519\.pem holds no private key"):
        keys.view(spec())


def test_a_key_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ApplianceError, match=r"has no tls/key\.pem"):
        ring(tmp_path).read(TLS_KEY, spec())


# -- certificates ----------------------------------------------------------------------------------------------------------
def certificate(data: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(data)


@pytest.mark.parametrize(
    ("later", "renewed"),
    [
        (timedelta(days=700), set()),
        (timedelta(days=796), {TLS_CERT}),
        (timedelta(days=3625), CERTIFICATES),
    ],
)
def test_certificates_are_issued_again_for_the_same_key_thirty_days_before_they_end(
    tmp_path: Path, later: timedelta, renewed: set[str]
) -> None:
    first = ring(tmp_path)
    first.create(spec(), Told())
    keys, before, view = ring(tmp_path, after=later), contents(first.folder), first.view(spec())
    assert set(keys.missing(spec())) == renewed
    assert {ref for ref in CERTIFICATES if keys.view(spec()).fingerprint(ref) is None} == renewed
    assert set(keys.create(spec(), Told())) == renewed
    assert {n for n, data in contents(keys.folder).items() if data != before[n]} == renewed
    assert keys.view(spec()).public == view.public
    assert keys.missing(spec()) == ()


def test_a_new_host_name_gets_a_new_certificate_for_the_same_key(tmp_path: Path) -> None:
    keys, renamed = ring(tmp_path), spec(hostname="mx.example.org")
    keys.create(spec(), Told())
    before = keys.view(spec())
    assert keys.create(renamed, Told()) == (TLS_CERT,)
    after = keys.view(renamed)
    assert after.fingerprint(TLS_CERT) != before.fingerprint(TLS_CERT)
    assert after.public == before.public


def test_a_lost_authority_is_missed_only_when_there_is_something_to_issue(tmp_path: Path) -> None:
    first = ring(tmp_path)
    first.create(spec(), Told())
    first.files.path("internal/ca-key.pem").unlink()
    assert first.missing(spec()) == ()
    later = ring(tmp_path, after=timedelta(days=3625))
    made = later.create(spec(), Told())
    assert set(made) == {"internal/ca-key.pem", *CERTIFICATES}
    ca = certificate(later.read(INTERNAL_CA, spec()))
    for leaf in (INTERNAL_SERVER_CERT, INTERNAL_CLIENT_CERT):
        certificate(later.read(leaf, spec())).verify_directly_issued_by(ca)


def test_days_until_each_certificate_ends(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    assert ring(tmp_path, after=timedelta(days=800)).expiry(spec()) == {
        TLS_CERT: 24,
        INTERNAL_CA: 2849,
        INTERNAL_SERVER_CERT: 2849,
        INTERNAL_CLIENT_CERT: 2849,
    }


def test_the_identity_is_what_the_plan_compares(tmp_path: Path) -> None:
    keys = ring(tmp_path)
    keys.create(spec(), Told())
    header = json.loads(keys.read("ring.json", spec()))
    assert header == {"format": 1, "id": keys.ring_id, "instance": "example", "created": "2026-03-01T12:00:00+00:00"}
