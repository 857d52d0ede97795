"""Makes private keys and certificates, and reads them back. No disk here; bytes in, bytes out."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import ApplianceError
from appliance.keys.needs import Need

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
#: the clocks of a new host and of its peers may differ
_EARLIER = timedelta(days=1)
#: X.520 gives a common name no more
_COMMON_NAME = 64


def private_key(algorithm: str) -> bytes:
    """A new private key as PKCS#8 PEM (OpenDKIM reads it for both algorithms). ``algorithm``: rsa-BITS, ed25519 or ecdsa-p256."""
    key: PrivateKey
    if algorithm == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif algorithm == "ecdsa-p256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, int(algorithm.removeprefix("rsa-")))
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_key(data: bytes, place: str, *, ours: bool = True) -> PrivateKey:
    """A private key from PEM. ``place`` names it in the error. Keys that are not ``ours`` get the slow test of their numbers too.

    Raises ApplianceError: garbled, encrypted, or of a kind that no daemon here takes.
    """
    try:
        key = load_pem_private_key(data, None, unsafe_skip_rsa_key_validation=ours)
    except TypeError:
        hint = f"openssl pkey -in {place} -out PLAIN.pem takes the passphrase off"
        raise ApplianceError(f"{place} is encrypted with a passphrase; a daemon could not start by itself", hint=hint) from None
    except ValueError:
        raise ApplianceError(f"{place} holds no private key in PEM form") from None
    if not isinstance(key, PrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey")
        raise ApplianceError(f"{place} is a {kind} key; RSA, ECDSA and Ed25519 keys are known")
    return key


def parse_chain(data: bytes, place: str) -> list[x509.Certificate]:
    """Certificates from PEM, leaf first. Raises ApplianceError."""
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise ApplianceError(f"{place} holds no certificate in PEM form") from None


def dkim_public(key: PrivateKey) -> str:
    """The value of ``p=``: base64 of a public key.

    RSA: of the SubjectPublicKeyInfo (RFC 6376, 3.6.1). Ed25519: of the bare 32 bytes (RFC 8463, 4).
    """
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    return base64.b64encode(spki(public)).decode()


def spki(public: CertificateIssuerPublicKeyTypes) -> bytes:
    """A public key as DER SubjectPublicKeyInfo."""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_fingerprint(public: CertificateIssuerPublicKeyTypes) -> str:
    """SHA-256 of the public key in the form that Postfix logs and matches (TLS_README, "public key fingerprints"): AA:BB:…"""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki(public))
    return digest.finalize().hex(":").upper()


def certificate(need: Need, key: PrivateKey, issuer: x509.Certificate | None, issuer_key: PrivateKey, now: datetime) -> bytes:
    """Issues the certificate that ``need`` describes, as PEM. ``issuer`` None: self-signed."""
    ca = need.purpose == "ca"
    name = need.names[0] if len(need.names[0]) <= _COMMON_NAME else "appliance"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public, issuer_public = key.public_key(), issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(_end(now + timedelta(days=need.days) - _EARLIER, issuer))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(_key_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        # strict verifiers (OpenSSL's X509_V_FLAG_X509_STRICT, the default of newer Pythons) want it in all but roots
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )
    if not ca:
        use = ExtendedKeyUsageOID.SERVER_AUTH if need.purpose == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in need.names]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _end(wanted: datetime, issuer: x509.Certificate | None) -> datetime:
    """No certificate outlives its issuer."""
    return min(wanted, issuer.not_valid_after_utc) if issuer else wanted


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def covers(leaf: x509.Certificate, name: str) -> bool:
    """Whether a certificate is for a host name: an alternative name, or a wildcard in its first label (RFC 6125, 6.4.3)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return False
    return any(n.lower() in (name, f"*.{name.partition('.')[2]}") for n in names)
