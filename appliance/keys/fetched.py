"""The authority's certificate in the ring: when one is due, and how it takes the place of the old one.

``acme/state.json`` remembers who issued what is there and what became of the last try; it holds no secret, and without it
nothing is lost but patience. A run that is killed leaves the old certificate whole: the new one comes by one rename, at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from appliance.errors import ApplianceError
from appliance.keys import acme, leaf, make
from appliance.keys.folder import Folder
from appliance.keys.ring import KeyRing
from appliance.keys.view import ACME_ACCOUNT, TLS_CERT, TLS_KEY
from appliance.spec.model import Spec

STATE = "acme/state.json"
#: after a refusal the next try waits 5 minutes, then 10, 20, 40 … 6 hours. So there are never more than four in an hour: Let's
#: Encrypt allows five failed validations
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=6)


@dataclass(frozen=True)
class State:
    """``directory``: who issued tls/cert.pem; ``email``: what the account knows.

    ``refusals``: of the authority, one after the other, for ``refused`` ("directory hostname"); ``tried`` (ISO 8601) and
    ``words`` of the last try that failed, "" after one that did not.
    """

    directory: str = ""
    email: str = ""
    refusals: int = 0
    refused: str = ""
    tried: str = ""
    words: str = ""


def directory(spec: Spec) -> str:
    """The authority's directory."""
    return spec.tls.directory or acme.LETS_ENCRYPT


def authority(spec: Spec) -> str:
    """Its host, as people know it."""
    return urlsplit(directory(spec)).netloc


def due(spec: Spec, ring: KeyRing) -> str:
    """Why a certificate should be fetched, "" when it should not: another mode, or all is well."""
    if spec.tls.mode != "acme":
        return ""
    if TLS_CERT in ring.missing(spec):
        return "there is none for this name and key"
    certificate = make.parse_chain(ring.files.read(TLS_CERT), str(ring.files.path(TLS_CERT)))[0]
    if leaf.self_signed(certificate):
        return "it is self-signed"
    if leaf.spent(certificate, ring.now()):
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    before = state(ring).directory
    # a ring that was imported has no state: whoever issued it, it is somebody's
    return f"it was issued by {before}" if before and before != directory(spec) else ""


def pause(spec: Spec, ring: KeyRing) -> timedelta:
    """How long the next try should wait after the authority's last refusals; zero when it may be now."""
    known = state(ring)
    if known.refusals == 0 or known.refused != _about(spec):
        return timedelta(0)
    wait: timedelta = min(FIRST_WAIT * 2 ** min(known.refusals - 1, 16), LONGEST_WAIT)
    # a clock that went back must not make it longer
    return min(wait, max(timedelta(0), _time(known.tried) + wait - ring.now()))


def obtain(spec: Spec, ring: KeyRing, answer: acme.Answer, note: Callable[[str], None]) -> None:
    """Fetches a certificate and puts it in the place of the old one. The key of the server stays.

    Raises ApplianceError, after it was noted in the state.
    """
    before = state(ring)
    account, server = ring.read(ACME_ACCOUNT, spec), ring.read(TLS_KEY, spec)
    wish = acme.Wish(directory(spec), spec.hostname, spec.tls.email, before.email or None, account, server)
    try:
        chain = acme.fetch(wish, answer, note)
    except ApplianceError as why:
        _failed(spec, ring, why)
        raise
    ring.files.replace(TLS_CERT, chain)
    _write(ring.files, State(directory=wish.directory, email=wish.email or ""))


def _failed(spec: Spec, ring: KeyRing, why: ApplianceError) -> None:
    """Only what the authority refused counts; a port that is held, or no way out, may be mended and tried again at once."""
    before, about = state(ring), _about(spec)
    refusals = before.refusals if before.refused == about else 0
    if isinstance(why, acme.NotIssued):
        refusals += 1
    now = ring.now().isoformat(timespec="seconds")
    # a refusal's time must not be moved by a later try that never reached the authority
    tried = now if isinstance(why, acme.NotIssued) or not refusals else before.tried
    _write(ring.files, replace(before, refusals=refusals, refused=about, tried=tried, words=why.message))


def state(ring: KeyRing) -> State:
    """What is remembered; nothing where the file is missing or garbled."""
    if not ring.files.has(STATE):
        return State()
    try:
        found = json.loads(ring.files.read(STATE))
        known = State(**{f.name: found[f.name] for f in fields(State) if f.name in found})
        if known.tried:
            _time(known.tried)
        int(known.refusals)
    except (ValueError, TypeError):
        return State()
    return known


def _write(folder: Folder, state: State) -> None:
    folder.replace(STATE, (json.dumps(asdict(state), indent=2, ensure_ascii=False) + "\n").encode())


def _about(spec: Spec) -> str:
    return f"{directory(spec)} {spec.hostname}"


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
