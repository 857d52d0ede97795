"""The key ring of an instance: a folder beside the spec. Keys are made once and never overwritten.

Certificates are not keys: those that the ring issues itself are issued again, for the same key, when 30 days are left or
when the host name changed; one that an authority issued (fetched.py) is replaced by the authority's next one. What pins the
public key (Postfix's ``relay_clientcerts``, TLSA records) does not notice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import ApplianceError
from appliance.keys import adopted, given, leaf, make, removed
from appliance.keys.folder import Folder
from appliance.keys.identity import RING_JSON, Identity, make_identity, read_identity
from appliance.keys.lacking import lacking
from appliance.keys.needs import EC, INTERNAL_CA_KEY, Need, needs
from appliance.keys.view import INTERNAL_SERVER_KEY, KeyView
from appliance.spec.model import Spec

if TYPE_CHECKING:
    from appliance.engines.base import Report

TOKENS = ("double-bounce", "probe")
#: seconds between two words about many keys
_BEAT = 5.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Entry:
    """One entry of the ring for people: no secret byte. ``created`` is the file's time, UTC.

    ``issued``, ``expires`` (UTC) and ``issuer`` ("itself" for a self-signed one) of certificates.
    """

    need: Need
    path: Path
    fingerprint: str | None
    public: str
    created: datetime | None
    expires: datetime | None
    issued: datetime | None = None
    issuer: str = ""


class KeyRing:
    """The ring in ``folder``, which has the instance's name.

    ``base`` is the folder of the spec, to which the user's files are relative; by default two above the ring.
    """

    def __init__(self, folder: Path, base: Path | None = None, now: Callable[[], datetime] = _now) -> None:
        self.folder, self.files = folder, Folder(folder)
        self.base = folder.parent.parent if base is None else base
        self.now = now

    @property
    def exists(self) -> bool:
        """Whether there is a ring."""
        return self.files.has(RING_JSON)

    @property
    def identity(self) -> Identity | None:
        """Whose ring it is, None before there is one. Raises ApplianceError: garbled, open to others, another instance's."""
        return read_identity(self.files)

    @property
    def ring_id(self) -> str | None:
        """The ring's id, None before there is one."""
        return self.identity.ring_id if self.identity else None

    @property
    def adopted(self) -> frozenset[str]:
        """Ids of the rings that it took over: volumes that carry one of them are this ring's."""
        return adopted.read(self.files)

    # -- reading -----------------------------------------------------------------------------------------------------
    def view(self, spec: Spec) -> KeyView:
        """Fingerprints, public halves and tokens.

        What ``create`` would make has no fingerprint, also where an old certificate is there: the plan shows it as new at up.
        """
        self._belongs(spec)
        identity, fingerprints, public = self.identity, {}, {}
        new = lacking(needs(spec), self.files, self.now())
        for need, data in self._present(spec):
            if half := self._public(need, data):
                public[need.ref] = half
            if identity and need.ref not in new:
                fingerprints[need.ref] = identity.fingerprint(data)
        if identity is None:
            return KeyView(None, {}, public, {})
        tokens = {purpose: identity.token(purpose) for purpose in TOKENS}
        once = frozenset(r.address for r in removed.read(self.files))
        return KeyView(identity.ring_id, fingerprints, public, tokens, once, adopted.read(self.files))

    def read(self, ref: str, spec: Spec) -> bytes:
        """The bytes of an entry, as a daemon gets them. Raises ApplianceError when there is no such entry."""
        if ref in given.given_refs(spec):
            return given.given(ref, spec, self.base)
        if not self.files.has(ref):
            raise ApplianceError(f"the key ring {self.folder} has no {ref}", hint="`appliance up` makes what is missing")
        return self.files.read(ref)

    def entries(self, spec: Spec) -> tuple[Entry, ...]:
        """Everything that the spec needs, present or not, with what people may know of it."""
        view, present = self.view(spec), {n.ref: data for n, data in self._present(spec)}
        return tuple(self._entry(need, view, present) for need in needs(spec))

    def unused(self, spec: Spec) -> tuple[str, ...]:
        """Keys that the spec does not need any more: of an earlier selector, of a domain that is gone. They stay."""
        wanted = {n.ref for n in needs(spec)}
        found = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.pem"))
        return tuple(sorted(ref for ref in found if ref not in wanted))

    def expiry(self, spec: Spec) -> Mapping[str, int]:
        """Certificate → whole days until it ends, negative after it."""
        now = self.now()
        return {e.need.ref: (e.expires - now).days for e in self.entries(spec) if e.expires}

    def warnings(self, spec: Spec) -> tuple[str, ...]:
        """What the plan should say of the user's own files: expired, for another name, open to others."""
        return given.warnings(spec, self.base, self.now())

    def _entry(self, need: Need, view: KeyView, present: Mapping[str, bytes]) -> Entry:
        path = self.base / need.path if need.kind == "given" else self.files.path(need.ref)
        data = present.get(need.ref)
        created = datetime.fromtimestamp(path.stat().st_mtime, UTC) if data is not None else None
        entry = Entry(need, path, view.fingerprint(need.ref), view.public.get(need.ref, ""), created, None)
        if data is None or not need.key:
            return entry
        first = make.parse_chain(data, str(path))[0]
        return replace(
            entry, issued=first.not_valid_before_utc, expires=first.not_valid_after_utc, issuer=leaf.issuer_name(first)
        )

    def _belongs(self, spec: Spec) -> None:
        if spec.name != self.folder.name:
            raise ApplianceError(f"{self.folder} is not the folder for the key ring of {spec.name!r}")

    def _present(self, spec: Spec) -> Iterator[tuple[Need, bytes]]:
        for need in needs(spec):
            if need.kind == "given":
                yield need, given.given(need.ref, spec, self.base)
            elif self.files.has(need.ref):
                yield need, self.files.read(need.ref)

    def _public(self, need: Need, data: bytes) -> str:
        place = str(self.files.path(need.ref))
        if need.domain:
            return make.dkim_public(make.parse_key(data, place))
        if need.key:
            return make.key_fingerprint(make.parse_chain(data, place)[0].public_key())  # type: ignore[arg-type]
        return ""

    # -- making ------------------------------------------------------------------------------------------------------
    def missing(self, spec: Spec) -> tuple[str, ...]:
        """What ``create`` would make: keys that are not there, certificates that are not there or due."""
        return tuple(self._lacking(spec))

    def _lacking(self, spec: Spec) -> Mapping[str, Need]:
        self._belongs(spec)
        read_identity(self.files)
        return lacking(needs(spec), self.files, self.now())

    def renew(self, spec: Spec, report: Report) -> tuple[str, ...]:
        """Issues those certificates again that are here and due, and nothing else: what a changed spec wants waits for `up`."""
        lacking = {ref: n for ref, n in self._lacking(spec).items() if n.kind == "certificate" and self.files.has(ref)}
        due = {ref for ref, n in lacking.items() if n.key == INTERNAL_CA_KEY or self.files.has(n.key)}
        return self.create(spec, report, only=due | {INTERNAL_CA_KEY}) if due else ()

    def create(self, spec: Spec, report: Report, only: Container[str] | None = None) -> tuple[str, ...]:
        """Makes what is missing (of it, ``only`` this) and returns its references.

        No key is overwritten, not even by two controllers at once.
        """
        new = {ref: need for ref, need in self._lacking(spec).items() if only is None or ref in only}
        if not self.files.has(".gitignore"):
            self.files.create(".gitignore", b"*\n")
        if not self.exists:
            self.files.create(INTERNAL_SERVER_KEY, make.private_key(EC))
            make_identity(self.files, self.files.read(INTERNAL_SERVER_KEY), self.now())
        if not new:
            return ()
        step = "keys"
        report.start(step, f"making {_count(new)} in {self.folder}")
        try:
            self._make_keys([n for n in new.values() if n.kind == "key"], report)
            for need in new.values():
                if need.kind == "certificate":
                    self._issue(need)
        except ApplianceError as why:
            report.failed(step, why.message)
            raise
        report.done(step, f"made {_count(new)} in {self.folder}")
        return tuple(new)

    def _make_keys(self, keys: list[Need], report: Report) -> None:
        """In parallel: making an RSA key takes 50 to 500 ms of one core, outside Python's lock."""
        said = time.monotonic()
        with ThreadPoolExecutor(cpu_count()) as pool:
            for done, need in enumerate(pool.map(self._make_key, keys), 1):
                if time.monotonic() - said > _BEAT and done < len(keys):
                    said = time.monotonic()
                    report.note(f"{done} of {len(keys)} keys made, the last one {need.ref}")

    def _make_key(self, need: Need) -> Need:
        self.files.create(need.ref, make.private_key(need.algorithm))
        return need

    def _issue(self, need: Need) -> None:
        key = self._key(need.key)
        issuer, issuer_key = None, key
        if need.issuer:
            issuer = make.parse_chain(self.files.read(need.issuer), need.issuer)[0]
            issuer_key = self._key(need.issuer_key)
        data = make.certificate(need, key, issuer, issuer_key, self.now())
        if not self.files.create(need.ref, data):
            self.files.replace(need.ref, data)

    def _key(self, ref: str) -> make.PrivateKey:
        return make.parse_key(self.files.read(ref), str(self.files.path(ref)))


def _count(new: Mapping[str, Need]) -> str:
    keys = sum(n.kind == "key" for n in new.values())
    certificates = len(new) - keys
    words = [f"{n} {word}{'s' if n != 1 else ''}" for n, word in ((keys, "key"), (certificates, "certificate")) if n]
    return " and ".join(words)
