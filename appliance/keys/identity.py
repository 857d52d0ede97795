"""Whose ring it is, and what fingerprints and tokens are made with.

``hmac.key`` is derived, once, from the ring's first key (the internal listener's), which every instance carries: a lost
ring can so be pulled back with the same identity. The ring's id is derived from ``hmac.key``, so that files of different
rings cannot be mixed up, and a ring whose making was interrupted is completed and not made anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b32encode
from dataclasses import dataclass, field
from datetime import datetime

from appliance.errors import ApplianceError
from appliance.keys.folder import Folder

FORMAT = 1
RING_JSON = "ring.json"
HMAC_KEY = "hmac.key"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Identity:
    """A ring's identity; ``created`` is ISO 8601."""

    ring_id: str
    instance: str
    created: str
    hmac_key: bytes = field(repr=False)

    def fingerprint(self, data: bytes) -> str:
        """16 hexadecimal digits that tell two secrets apart and, without the ring, nothing about either."""
        return hmac.new(self.hmac_key, b"file\0" + data, hashlib.sha256).hexdigest()[:16]

    def token(self, purpose: str) -> str:
        """16 characters a-z2-7 that nobody guesses, always the same for a purpose."""
        return b32encode(hmac.new(self.hmac_key, b"token\0" + purpose.encode(), hashlib.sha256).digest())[:16].decode().lower()

    def header(self) -> bytes:
        """The bytes of ``ring.json``."""
        fields = {"format": FORMAT, "id": self.ring_id, "instance": self.instance, "created": self.created}
        return (json.dumps(fields, indent=2) + "\n").encode()


def id_of(hmac_key: bytes) -> str:
    """The id of the ring that a key belongs to."""
    return hashlib.sha256(b"ring\0" + hmac_key).hexdigest()[:16]


def read_identity(folder: Folder) -> Identity | None:
    """The identity of the ring in a folder; None when there is none yet.

    Raises ApplianceError: garbled, another instance's, of a newer program, or open to others.
    """
    if not folder.has(RING_JSON):
        return None
    folder.check()
    if not folder.has(HMAC_KEY):
        raise ApplianceError(f"{folder.path(HMAC_KEY)} is missing", hint="restore it from a backup of the ring")
    found = parse(folder.read(RING_JSON), folder.read(HMAC_KEY), str(folder.root))
    if found.instance != folder.root.name:
        raise ApplianceError(
            f"{folder.root} holds the key ring of the instance {found.instance!r}, not of {folder.root.name!r}",
            hint="a ring belongs to one instance: move it back; `appliance keys import` takes over the keys of another",
        )
    return found


def parse(header: bytes, hmac_key: bytes, place: str) -> Identity:
    """An identity from the bytes of ``ring.json`` and ``hmac.key``. ``place`` names the ring in the error."""
    backup = "restore the ring from a backup, or bring the keys back with `appliance keys import` or `appliance keys pull`"
    try:
        fields = json.loads(header)
        version, words = int(fields["format"]), [fields[name] for name in ("id", "instance", "created")]
    except (ValueError, TypeError, KeyError):
        raise ApplianceError(f"{place}/{RING_JSON} is garbled", hint=backup) from None
    if version > FORMAT:
        raise ApplianceError(f"{place} has format {version}, this program knows format {FORMAT}", hint="use a newer appliance")
    if not all(isinstance(word, str) and word for word in words):
        raise ApplianceError(f"{place}/{RING_JSON} is garbled", hint=backup)
    if len(hmac_key) != _KEY_BYTES or id_of(hmac_key) != words[0]:
        raise ApplianceError(f"{place}/{HMAC_KEY} does not belong to the ring {words[0]}", hint=backup)
    return Identity(words[0], words[1], words[2], hmac_key)


def derive(seed: bytes, instance: str, now: datetime) -> Identity:
    """The identity of a ring that begins with the key ``seed`` (its file's bytes)."""
    key = hashlib.sha256(b"hmac\0" + seed).digest()
    return Identity(id_of(key), instance, now.isoformat(timespec="seconds"), key)


def make_identity(folder: Folder, seed: bytes, now: datetime) -> None:
    """Makes the identity where there is none yet; completes one that was half made."""
    made = derive(seed, folder.root.name, now)
    folder.create(HMAC_KEY, made.hmac_key)
    key = folder.read(HMAC_KEY)
    folder.create(RING_JSON, Identity(id_of(key), made.instance, made.created, key).header())
