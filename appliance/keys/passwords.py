"""Password hashes in the schemes that Dovecot verifies, and what one login with them costs."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import bcrypt
from argon2 import Type
from argon2.low_level import hash_secret

from appliance.errors import ApplianceError
from appliance.keys.secret import Secret

#: for people's passwords; the first is the default
SCHEMES = ("ARGON2ID", "BLF-CRYPT")
#: for generated passwords only: what has a hundred random bits needs no slow hash
GENERATED = "SSHA512"

#: OWASP's smallest recommended setting; `doveadm pw` takes 64 MiB and three passes, which bring a small host to its knees
_MEMORY_KIB, _PASSES, _LANES = 19456, 2, 1
_BCRYPT_COST = 10
_BCRYPT_BYTES = 72  # bcrypt looks at no more
#: no 0 and o, no 1, i and l
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True)
class Cost:
    """What one login costs: memory in KiB, time in milliseconds of one core, measured on this machine."""

    memory_kib: int
    milliseconds: float


def hash_password(secret: Secret, scheme: str = SCHEMES[0]) -> str:
    """The hash of a password, ``{SCHEME}…``. Raises ApplianceError for a password or a scheme that cannot be taken."""
    data = secret.reveal()
    if not data:
        raise ApplianceError("the password is empty")
    if b"\0" in data or b"\n" in data or b"\r" in data:
        raise ApplianceError("the password has a line end or a zero byte in it; no mail program could send it")
    if scheme not in _HASHES:
        raise ApplianceError(f"hashes of the scheme {scheme} are not made here", hint=f"one of {', '.join(SCHEMES)}")
    return f"{{{scheme}}}{_HASHES[scheme](data)}"


def _argon2id(data: bytes, memory_kib: int = _MEMORY_KIB, passes: int = _PASSES, lanes: int = _LANES) -> str:
    salt = secrets.token_bytes(16)
    return hash_secret(data, salt, passes, memory_kib, lanes, 32, Type.ID).decode()


def _bcrypt(data: bytes, cost: int = _BCRYPT_COST) -> str:
    if len(data) > _BCRYPT_BYTES:
        raise ApplianceError(f"BLF-CRYPT looks at {_BCRYPT_BYTES} bytes only, this password is longer", hint="take ARGON2ID")
    return bcrypt.hashpw(data, bcrypt.gensalt(cost)).decode()


def _ssha512(data: bytes) -> str:
    salt = secrets.token_bytes(16)
    return b64encode(hashlib.sha512(data + salt).digest() + salt).decode()


_HASHES: Mapping[str, Callable[[bytes], str]] = {"ARGON2ID": _argon2id, "BLF-CRYPT": _bcrypt, GENERATED: _ssha512}


def cost(hashed: str) -> Cost | None:
    """What a login against this hash costs, measured with its own settings on another password; None for other schemes."""
    if argon := re.match(r"\{ARGON2ID\}\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$", hashed):
        memory, passes, lanes = (int(n) for n in argon.groups())
        return Cost(memory, _measure(lambda: _argon2id(b"another", memory, passes, lanes)))
    if blowfish := re.match(r"\{BLF-CRYPT\}\$2[aby]\$(\d\d)\$", hashed):
        return Cost(4, _measure(lambda: _bcrypt(b"another", int(blowfish[1]))))
    return None


def _measure(hashing: Callable[[], object]) -> float:
    """Milliseconds of processor time; the better of two, the first one warms the memory up."""

    def once() -> float:
        began = time.process_time()
        hashing()
        return (time.process_time() - began) * 1000

    return min(once(), once())


def generate_password() -> Secret:
    """A password for a program to keep: four groups of five, 99 random bits, nothing that looks like something else."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
    return Secret("-".join(groups))
