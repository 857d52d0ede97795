"""The user's own files: a certificate with its key, the relay's credentials."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from appliance.errors import ApplianceError
from appliance.keys import make
from appliance.keys.needs import Need
from appliance.keys.view import RELAY_CREDENTIALS, TLS_CERT, TLS_KEY
from appliance.spec.model import Spec
from tests.unit.keys_room import NOW, Told, contents, ring, spec

FILES: dict[str, Any] = {"tls": {"mode": "files", "certificate": "c.pem", "key": "k.pem"}}
RELAY: dict[str, Any] = {"relay_host": {"host": "smtp.relay.example", "port": 587, "credentials": "relay.txt"}}


def bring(folder: Path, *, names: tuple[str, ...] = ("mail.example.org",), days: int = 90, algorithm: str = "ecdsa-p256") -> None:
    """A certificate of an authority, its issuer behind it, and its key."""
    ca_key, data = (make.parse_key(make.private_key("ecdsa-p256"), ""), make.private_key(algorithm))
    ca = make.certificate(Need("", "certificate", purpose="ca", names=("CA",), days=3000), ca_key, None, ca_key, NOW)
    need = Need("", "certificate", purpose="server", names=names, days=days)
    leaf = make.certificate(need, make.parse_key(data, ""), make.parse_chain(ca, "")[0], ca_key, NOW)
    for name, content in (("c.pem", leaf + ca), ("k.pem", data)):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "rsa-2048"])
def test_the_users_certificate_is_deployed_as_it_is_and_never_copied(tmp_path: Path, algorithm: str) -> None:
    bring(tmp_path, algorithm=algorithm)
    keys, wanted = ring(tmp_path), spec(**FILES)
    made = keys.create(wanted, Told())
    assert TLS_KEY not in made
    assert keys.read(TLS_CERT, wanted) == (tmp_path / "c.pem").read_bytes()
    assert keys.read(TLS_KEY, wanted) == (tmp_path / "k.pem").read_bytes()
    assert not [name for name in contents(keys.folder) if name.startswith("tls/")]
    assert keys.warnings(wanted) == ()
    view = keys.view(wanted)
    assert view.fingerprint(TLS_KEY)
    assert len(view.public_half(TLS_CERT)) == 95


def test_a_renewed_certificate_shows_in_the_fingerprints(tmp_path: Path) -> None:
    bring(tmp_path)
    keys, wanted = ring(tmp_path), spec(**FILES)
    keys.create(wanted, Told())
    before = keys.view(wanted)
    bring(tmp_path)
    after = keys.view(wanted)
    assert {r for r in before.fingerprints if before.fingerprint(r) != after.fingerprint(r)} == {TLS_CERT, TLS_KEY}


def encrypted(folder: Path) -> None:
    key = make.parse_key((folder / "k.pem").read_bytes(), "")
    (folder / "k.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))


def becomes_a_folder(folder: Path) -> None:
    (folder / "k.pem").unlink()
    (folder / "k.pem").mkdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no certificate": (lambda f: (f / "c.pem").unlink(), "cannot read .*c.pem: No such file"),
    "no key": (lambda f: (f / "k.pem").unlink(), "cannot read .*k.pem: No such file"),
    "a folder": (becomes_a_folder, "Is a directory"),
    "another key": (lambda f: (f / "k.pem").write_bytes(make.private_key("ecdsa-p256")), "is not the key of tls.certificate"),
    "issuer first": (lambda f: swap(f / "c.pem"), "is not the key of tls.certificate"),
    "garbled key": (lambda f: (f / "k.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nx\n"), "k.pem holds no private key"),
    "certificate for a key": (lambda f: (f / "k.pem").write_bytes((f / "c.pem").read_bytes()), "k.pem holds no private key"),
    "key for a certificate": (lambda f: (f / "c.pem").write_bytes((f / "k.pem").read_bytes()), "c.pem holds no certificate"),
    "empty": (lambda f: (f / "c.pem").write_bytes(b""), "c.pem holds no certificate"),
    "passphrase": (encrypted, "k.pem is encrypted with a passphrase"),
}


def swap(path: Path) -> None:
    leaf, ca = path.read_bytes().split(b"-----END CERTIFICATE-----\n")[:2]
    path.write_bytes(b"".join(part + b"-----END CERTIFICATE-----\n" for part in (ca, leaf)))


@pytest.mark.parametrize("case", BROKEN)
def test_what_a_daemon_would_choke_on_is_refused_beforehand(tmp_path: Path, case: str) -> None:
    breaks, words = BROKEN[case]
    bring(tmp_path)
    breaks(tmp_path)
    with pytest.raises(ApplianceError, match=words):
        ring(tmp_path).view(spec(**FILES))


@pytest.mark.parametrize(
    ("arguments", "later", "words"),
    [
        ({"names": ("*.example.org",)}, 0, ()),
        ({"names": ("example.org", "MAIL.example.org")}, 0, ()),
        ({"names": ("*.org",)}, 0, ("is not for mail.example.org",)),
        ({"names": ("other.example",)}, 0, ("is not for mail.example.org",)),
        ({}, 91, ("expired on 2026-05-29",)),
        ({}, -3, ("valid only from 2026-02-28",)),
    ],
)
def test_what_clients_would_refuse_is_a_warning(
    tmp_path: Path, arguments: dict[str, Any], later: int, words: tuple[str, ...]
) -> None:
    bring(tmp_path, **arguments)
    found = ring(tmp_path, after=timedelta(days=later)).warnings(spec(**FILES))
    assert len(found) == len(words)
    assert all(word in warning for word, warning in zip(words, found, strict=True))


def test_a_key_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    bring(tmp_path)
    (tmp_path / "k.pem").chmod(0o644)
    (warning,) = ring(tmp_path).warnings(spec(**FILES))
    assert warning == f"{tmp_path}/k.pem can be read by others on this machine; chmod go-rwx {tmp_path}/k.pem"


# -- the relay's credentials -----------------------------------------------------------------------------------------------
def relay(folder: Path, content: str | bytes) -> Spec:
    (folder / "relay.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "relay.txt").chmod(0o600)
    return spec(**RELAY)


@pytest.mark.parametrize("content", ["me:pass word:#=1", "me:pass word:#=1\n", "me:pass word:#=1\r\n", "\nme:pass word:#=1\n\n"])
def test_the_credentials_become_the_line_of_postfixs_table(tmp_path: Path, content: str) -> None:
    wanted, keys = relay(tmp_path, content), ring(tmp_path)
    assert keys.read(RELAY_CREDENTIALS, wanted) == b"[smtp.relay.example]:587 me:pass word:#=1\n"
    keys.create(wanted, Told())
    assert keys.view(wanted).fingerprint(RELAY_CREDENTIALS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has 0 lines"),
        ("me:secret\nyou:secret\n", "has 2 lines"),
        ("me", "not of the form"),
        (":secret", "not of the form"),
        ("me:", "not of the form"),
        ("me:secret \n", "white space at an end"),
        (b"me:secret\xff\n", "not UTF-8"),
    ],
)
def test_credentials_that_postfix_would_read_differently_are_refused(tmp_path: Path, content: str | bytes, words: str) -> None:
    wanted = relay(tmp_path, content)
    with pytest.raises(ApplianceError, match=words) as refused:
        ring(tmp_path).view(wanted)
    assert "secret" not in f"{refused.value} {refused.value.hint}"
