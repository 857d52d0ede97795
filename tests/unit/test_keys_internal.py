"""The certificates do their work: TLS sessions, in memory, between Dovecot's certificate and Postfix's internal listener."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from appliance.keys.needs import CLIENT_NAME, REINJECTION_NAME
from appliance.keys.ring import KeyRing
from tests.unit.keys_room import Told, spec


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    made = KeyRing(tmp_path / "keys" / "example")
    made.create(spec(), Told())
    return made


def context(keys: KeyRing, purpose: ssl.Purpose, ca: str, own: tuple[str, str] | None) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=str(keys.folder / ca))
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    if own:
        made.load_cert_chain(keys.folder / own[0], keys.folder / own[1])
    return made


def session(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A TLS session through two pipes in memory; raises what the handshake raises."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near, far = client.wrap_bio(down, up, server_hostname=name), server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return near, far


CLIENT = ("internal/client-cert.pem", "internal/client-key.pem")
SERVER = ("internal/server-cert.pem", "internal/server-key.pem")


def test_dovecot_and_the_internal_listener_know_each_other(keys: KeyRing) -> None:
    client = context(keys, ssl.Purpose.SERVER_AUTH, "internal/ca.pem", CLIENT)
    server = context(keys, ssl.Purpose.CLIENT_AUTH, "internal/ca.pem", SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    near, far = session(client, server, REINJECTION_NAME)
    shown = far.getpeercert()
    assert near.version() == "TLSv1.3"
    assert shown is not None
    assert shown["subject"] == ((("commonName", CLIENT_NAME),),)


@pytest.mark.parametrize(
    ("own", "name", "words"),
    [
        (SERVER, "mail.example.org", "not valid for"),  # another name
        (CLIENT, REINJECTION_NAME, "unsuitable certificate purpose|not valid for"),  # a client's certificate on a server
    ],
)
def test_what_is_not_the_internal_listener_is_refused(keys: KeyRing, own: tuple[str, str], name: str, words: str) -> None:
    client = context(keys, ssl.Purpose.SERVER_AUTH, "internal/ca.pem", CLIENT)
    server = context(keys, ssl.Purpose.CLIENT_AUTH, "internal/ca.pem", own)
    with pytest.raises(ssl.SSLCertVerificationError, match=words):
        session(client, server, name)


def test_the_self_signed_certificate_verifies_where_it_is_trusted_and_nowhere_else(keys: KeyRing) -> None:
    server = context(keys, ssl.Purpose.CLIENT_AUTH, "internal/ca.pem", ("tls/cert.pem", "tls/key.pem"))
    near, _far = session(context(keys, ssl.Purpose.SERVER_AUTH, "tls/cert.pem", None), server, "mail.example.org")
    assert near.getpeercert()
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
        session(context(keys, ssl.Purpose.SERVER_AUTH, "internal/ca.pem", None), server, "mail.example.org")
