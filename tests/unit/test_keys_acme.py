"""The authority's certificate in the ring: when it is due, how long a refused run waits, and what a user reads of the refusal.

A real authority issues in tests/integration/test_acme.py; here one that only refuses stands at the border.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.errors import ApplianceError, Exit
from appliance.keys import acme, fetched, leaf, make
from appliance.keys.fetched import State
from appliance.keys.ring import KeyRing
from appliance.keys.view import ACME_ACCOUNT, TLS_CERT, TLS_KEY
from appliance.spec.model import Spec, Tls
from tests.certificates import issue
from tests.unit.keys_room import NOW, Told, contents, ring, spec

STAGING = "https://staging.example/dir"


def acme_spec(**fields: Any) -> Spec:
    return spec(tls=Tls(mode="acme"), **fields)


def staged(**fields: Any) -> Spec:
    return spec(tls=Tls(mode="acme", directory=STAGING), **fields)


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    made = ring(tmp_path)
    made.create(acme_spec(), Told())
    return made


def from_authority(keys: KeyRing, left: timedelta, life: timedelta = timedelta(days=90), name: str = "mail.example.org") -> bytes:
    """A certificate for the ring's key that an authority issued and that ends ``left`` from NOW."""
    key = make.parse_key(keys.files.read(TLS_KEY), "key").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    ends = NOW + left
    made = issue(key, ec.generate_private_key(ec.SECP256R1()), "Some CA", [x509.DNSName(name)], ends - life, ends)
    return made.public_bytes(Encoding.PEM)


# -- when it is due ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "life", "why"),
    [
        (timedelta(days=60), timedelta(days=90), ""),
        (timedelta(days=31), timedelta(days=90), ""),
        (timedelta(days=29), timedelta(days=90), "it ends on 2026-03-30 12:00 UTC"),
        (timedelta(days=-1), timedelta(days=90), "it ends on 2026-02-28 12:00 UTC"),
        (timedelta(days=3), timedelta(days=6), ""),  # a life of six days is no reason to renew every day
        (timedelta(hours=47), timedelta(days=6), "it ends on 2026-03-03 11:00 UTC"),
    ],
)
def test_due_when_a_third_is_left(keys: KeyRing, left: timedelta, life: timedelta, why: str) -> None:
    keys.files.replace(TLS_CERT, from_authority(keys, left, life))
    assert fetched.due(acme_spec(), keys) == why
    assert keys.missing(acme_spec()) == (), "the ring puts none of its own into its place, not even when it has ended"


def test_due_at_first_and_for_another_authority(keys: KeyRing) -> None:
    assert fetched.due(spec(), keys) == "", "mode self-signed"
    assert fetched.due(acme_spec(), keys) == "it is self-signed"
    keys.files.replace(TLS_CERT, from_authority(keys, timedelta(days=60)))
    assert fetched.due(staged(), keys) == "", "an imported ring has no state: whoever issued it"
    keys.files.replace(fetched.STATE, json.dumps({"directory": STAGING}).encode())
    assert fetched.due(staged(), keys) == ""
    assert fetched.due(acme_spec(), keys) == f"it was issued by {STAGING}", "from staging to production"


def test_due_before_there_is_a_ring(tmp_path: Path) -> None:
    assert fetched.due(acme_spec(), ring(tmp_path)) == "there is none for this name and key"
    assert not (tmp_path / "keys").exists()


def test_another_name_begins_with_one_of_our_own_again(keys: KeyRing) -> None:
    keys.files.replace(TLS_CERT, from_authority(keys, timedelta(days=60)))
    renamed = acme_spec(hostname="mx.example.org")
    assert keys.create(renamed, Told()) == (TLS_CERT,)
    assert fetched.due(renamed, keys) == "it is self-signed"


def test_back_to_self_signed_is_what_the_spec_says(keys: KeyRing) -> None:
    key = keys.files.read(TLS_KEY)
    keys.files.replace(TLS_CERT, from_authority(keys, timedelta(days=60)))
    assert keys.create(spec(), Told()) == (TLS_CERT,)
    assert leaf.self_signed(make.parse_chain(keys.files.read(TLS_CERT), "")[0])
    assert keys.files.read(TLS_KEY) == key
    assert keys.unused(spec()) == (ACME_ACCOUNT,)


def test_entries_say_who_issued_it(keys: KeyRing) -> None:
    issuers = {e.need.ref: e.issuer for e in keys.entries(acme_spec()) if e.issuer}
    assert issuers[TLS_CERT] == "itself"
    assert issuers["internal/server-cert.pem"] == "example internal CA"
    keys.files.replace(TLS_CERT, from_authority(keys, timedelta(days=60)))
    assert next(e for e in keys.entries(acme_spec()) if e.need.ref == TLS_CERT).issuer == "Some CA"


def test_only_what_is_here_and_due_is_renewed_by_itself(tmp_path: Path, keys: KeyRing) -> None:
    later = ring(tmp_path, after=timedelta(days=3625))
    keys.files.replace(TLS_CERT, from_authority(keys, timedelta(days=3650)))
    more = acme_spec(domains=("example.org", "new.example"))
    before = contents(keys.folder)
    due = {"internal/ca.pem", "internal/server-cert.pem", "internal/client-cert.pem"}
    assert set(later.renew(more, Told())) == due
    assert {n for n, data in contents(keys.folder).items() if data != before.get(n)} == due, "no key of the new domain"
    assert keys.renew(more, Told()) == ()


# -- how long it waits -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("refusals", "since", "minutes"),
    [
        *[
            (0, 0, 0),
            (1, 0, 5),
            (1, 4, 1),
            (1, 5, 0),
            (2, 0, 10),
            (3, 0, 20),
            (4, 30, 10),
            (7, 0, 320),
            (8, 0, 360),
            (99, 0, 360),
        ],
        (1, -60, 5),  # a clock that went back
    ],
)
def test_refused_runs_wait_longer_and_longer(keys: KeyRing, refusals: int, since: int, minutes: int) -> None:
    tried = (NOW - timedelta(minutes=since)).isoformat()
    about = f"{acme.LETS_ENCRYPT} mail.example.org"
    keys.files.replace(fetched.STATE, json.dumps({"refusals": refusals, "refused": about, "tried": tried}).encode())
    assert fetched.pause(acme_spec(), keys) == timedelta(minutes=minutes)
    assert fetched.pause(staged(), keys) == timedelta(0), "another authority has refused nothing"
    assert fetched.pause(acme_spec(hostname="mx.example.org"), keys) == timedelta(0)


def test_four_refusals_in_an_hour_at_most() -> None:
    at, tries = timedelta(0), 0
    while at < timedelta(hours=1):
        at, tries = at + fetched.FIRST_WAIT * 2**tries, tries + 1
    assert tries == 4  # Let's Encrypt allows five


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"refusals": "x"}', b'{"tried": "yesterday"}', b'{"tried": 5}', b"\xff"])
def test_a_garbled_state_costs_patience_only(keys: KeyRing, data: bytes) -> None:
    keys.files.replace(fetched.STATE, data)
    assert fetched.state(keys) == State()


# -- obtained, or not --------------------------------------------------------------------------------------------------------
def nobody(_path: str, _content: bytes) -> AbstractContextManager[None]:
    return nullcontext()


def test_obtained_takes_the_place_of_the_old_one(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, before = from_authority(keys, timedelta(days=90)), contents(keys.folder)
    asked: list[acme.Wish] = []

    def fetch(wish: acme.Wish, *_more: object) -> bytes:
        asked.append(wish)
        return chain

    monkeypatch.setattr(acme, "fetch", fetch)
    fetched.obtain(staged(), keys, nobody, print)
    assert (asked[0].directory, asked[0].hostname, asked[0].authority) == (STAGING, "mail.example.org", "staging.example")
    after = contents(keys.folder)
    assert {n for n, data in after.items() if data != before.get(n)} == {TLS_CERT, fetched.STATE}
    assert after[TLS_CERT] == chain
    assert before[TLS_KEY].splitlines()[1].decode() not in repr(asked[0])


def test_failed_leaves_the_old_one_and_is_remembered(keys: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.files.read(TLS_CERT)
    outcomes: list[ApplianceError] = [
        acme.NotIssued("no"),
        acme.NotIssued("never"),
        acme.Unreachable("no way out"),
        ApplianceError("port 80 is held"),
    ]
    for number, outcome in enumerate(outcomes, 1):

        def fetch(*_words: object, outcome: ApplianceError = outcome) -> bytes:
            raise outcome

        monkeypatch.setattr(acme, "fetch", fetch)
        with pytest.raises(ApplianceError, match=outcome.message):
            fetched.obtain(staged(), keys, nobody, print)
        assert keys.files.read(TLS_CERT) == before
        assert fetched.state(keys).words == outcome.message
        assert fetched.state(keys).refusals == min(number, 2), "only what the authority refused counts"


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (lambda k, other: from_authority(other, timedelta(days=9)), "another key"),
        (lambda k, other: from_authority(k, timedelta(days=9), name="mx.example.org"), "another name than mail.example.org"),
        (lambda k, other: from_authority(k, timedelta(days=-1)), "a time that is over"),
        (lambda k, other: b"not PEM", "holds no certificate"),
    ],
)
def test_what_does_not_fit_is_not_taken(
    keys: KeyRing, tmp_path: Path, chain: Callable[[KeyRing, KeyRing], bytes], words: str
) -> None:
    (tmp_path / "other").mkdir()
    other = ring(tmp_path / "other")
    other.create(acme_spec(), Told())
    with pytest.raises(ApplianceError, match=words):
        acme.check(chain(keys, other), wish(keys, STAGING), NOW)


# -- the authority's words ---------------------------------------------------------------------------------------------------
def wish(keys: KeyRing, directory: str) -> acme.Wish:
    return acme.Wish(
        directory, "mail.example.org", "a@example.org", None, keys.files.read(ACME_ACCOUNT), keys.files.read(TLS_KEY)
    )


Answers = dict[str, tuple[int, str, object]]  # path → status, content type, document


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answers], str]]:
    """``authority({path: answer})`` → the address of a directory that answers so; HTTP, because its certificate is not tried."""
    answers: Answers = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, document = answers.get(self.path, (404, "text/html", "<html>not here"))
            data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in (("Content-Type", kind), ("Replay-Nonce", "bm9uY2U"), ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815 - the names that http.server looks for

        def log_message(self, format: str, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def tell(wanted: Answers) -> str:
        directory = {name: f"{base}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")}
        answers.update({"/dir": (200, "application/json", directory), "/newNonce": (204, "", ""), **wanted})
        return f"{base}/dir"

    yield tell
    server.shutdown()
    server.server_close()


def problem(status: int, kind: str, detail: str, **more: object) -> tuple[int, str, object]:
    document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status, **more}
    return status, "application/problem+json", document


REFUSALS: dict[str, tuple[Answers, str, str]] = {
    "no directory": ({"/dir": (404, "text/html", "<html>not here")}, "does not answer as ACME has it", "tls.directory"),
    "another JSON": ({"/dir": (200, "application/json", {"hello": "world"})}, "no newOrder in it", "tls.directory"),
    "a list": ({"/dir": (200, "application/json", [])}, "no newOrder in it", "tls.directory"),
    "accounts elsewhere": (
        {"/dir": (200, "application/json", {"newOrder": "x", "meta": {"externalAccountRequired": True}})},
        "external account binding",
        "mode: files",
    ),
    "too much": (
        {"/newAccount": problem(429, "rateLimited", "too many registrations, retry after 2026-03-02")},
        r"refuses: too many registrations, retry after 2026-03-02 \(rateLimited\)",
        "wait as long as it says",
    ),
    "the address": (
        {"/newAccount": problem(400, "invalidContact", "example.org has no MX")},
        r"refuses: example.org has no MX \(invalidContact\)",
        "tls.email",
    ),
    "down for repair": ({"/newAccount": (503, "text/html", "later")}, "does not answer as ACME has it", "tls.directory"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_authoritys_own_words(keys: KeyRing, authority: Callable[[Answers], str], case: str) -> None:
    answers, words, hint = REFUSALS[case]
    with pytest.raises(acme.NotIssued, match=words) as refused:
        acme.fetch(wish(keys, authority(answers)), nobody, print)
    assert refused.value.code == Exit.UNPROVEN
    assert hint in refused.value.hint


def test_nobody_is_there(keys: KeyRing, authority: Callable[[Answers], str]) -> None:
    closed = authority({}).replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(acme.Unreachable, match=r"was not reached: .*refused"):
        acme.fetch(wish(keys, closed), nobody, print)


# -- what a certificate says of itself ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("left", "life", "soon"), [(15, 90, False), (13, 90, True), (2, 6, False), (0.9, 6, True), (-1, 90, True), (30, 825, False)]
)
def test_soon(left: float, life: float, soon: bool) -> None:
    ends = NOW + timedelta(days=left)
    assert leaf.ends_soon(ends - timedelta(days=life), ends, NOW) is soon
