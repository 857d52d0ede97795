"""Password hashes: made in the schemes that Dovecot verifies, judged here by the libraries themselves."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode

import argon2
import bcrypt
import pytest

from appliance.errors import ApplianceError
from appliance.keys.passwords import GENERATED, SCHEMES, cost, generate_password, hash_password
from appliance.keys.secret import Secret
from appliance.spec.passwords import password_hash

PASSWORD = "correct hörse"


def test_argon2id_has_the_settings_that_a_small_host_carries() -> None:
    hashed = hash_password(Secret(PASSWORD), "ARGON2ID")
    assert hashed.startswith("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$")
    judge = argon2.PasswordHasher()
    assert judge.verify(hashed.removeprefix("{ARGON2ID}"), PASSWORD)
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        judge.verify(hashed.removeprefix("{ARGON2ID}"), PASSWORD + "x")


def test_blf_crypt() -> None:
    hashed = hash_password(Secret(PASSWORD), "BLF-CRYPT").removeprefix("{BLF-CRYPT}").encode()
    assert hashed.startswith(b"$2b$10$")
    assert bcrypt.checkpw(PASSWORD.encode(), hashed)
    assert not bcrypt.checkpw(b"other", hashed)


def test_ssha512_for_generated_ones() -> None:
    raw = b64decode(hash_password(Secret(PASSWORD), GENERATED).removeprefix("{SSHA512}"))
    assert raw[:64] == hashlib.sha512(PASSWORD.encode() + raw[64:]).digest()


@pytest.mark.parametrize("scheme", [*SCHEMES, GENERATED])
def test_the_spec_takes_every_hash_that_is_made_and_none_twice(scheme: str) -> None:
    first, second = (hash_password(Secret(PASSWORD), scheme) for _ in range(2))
    assert password_hash(first) == first
    assert first != second


@pytest.mark.parametrize(
    ("password", "scheme", "words"),
    [
        ("", "ARGON2ID", "is empty"),
        ("two\nlines", "ARGON2ID", "line end"),
        ("a\rb", "ARGON2ID", "line end"),
        ("nul\0byte", "ARGON2ID", "zero byte"),
        ("x" * 73, "BLF-CRYPT", "72 bytes"),
        ("ä" * 37, "BLF-CRYPT", "72 bytes"),
        ("secret", "PLAIN", "PLAIN are not made here"),
    ],
)
def test_what_could_never_log_in_is_refused(password: str, scheme: str, words: str) -> None:
    with pytest.raises(ApplianceError, match=words):
        hash_password(Secret(password), scheme)


def test_what_a_login_costs_comes_from_the_hash_itself() -> None:
    small, dear = (cost(f"{{ARGON2ID}}$argon2id$v=19$m={kib},t={t},p=1$c2FsdHNhbHQ$aGFzaA") for kib, t in ((1024, 1), (65536, 3)))
    assert small is not None
    assert dear is not None
    assert (small.memory_kib, dear.memory_kib) == (1024, 65536)
    assert dear.milliseconds > 5 * small.milliseconds > 0
    assert cost("{SSHA512}abcd") is None


def test_a_generated_password_can_be_read_aloud() -> None:
    made = {generate_password().text() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[2-9a-hjkmnp-z]{5}(-[2-9a-hjkmnp-z]{5}){3}", word) for word in made)
    assert not {"l", "o", "0", "1", "i"} & set("".join(made))
