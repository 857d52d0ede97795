"""Is a certificate the one that was meant: name, time, key."""

from __future__ import annotations

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.errors import ApplianceError
from appliance.render.bundle import NEW_AT_UP


def fingerprint(der: bytes) -> str:
    """SHA-256 of the public key as the key ring tells it: upper-case hexadecimal in pairs."""
    spki = x509.load_der_x509_certificate(der).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).digest().hex(":").upper()


def names(der: bytes) -> tuple[str, ...]:
    """DNS names of the certificate (RFC 6125, 6.4: only the alternative names count)."""
    certificate = x509.load_der_x509_certificate(der)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))


def problem(der: bytes, hostname: str, expected: str, now: datetime) -> str:
    """What is wrong with it, empty when nothing is. ``expected``: the ring's fingerprint of the public key."""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError as why:
        raise ApplianceError(f"the server's certificate cannot be read: {why}") from why
    if now < certificate.not_valid_before_utc:
        return f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on"
    if now > certificate.not_valid_after_utc:
        return f"it ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    if not any(matches(name, hostname) for name in names(der)):
        return f"it names {', '.join(names(der)) or 'nobody'}, not {hostname}"
    if expected not in (NEW_AT_UP, fingerprint(der)):
        return f"its public key {fingerprint(der)} is not the ring's {expected}"
    return ""


def matches(name: str, hostname: str) -> bool:
    """A name of a certificate against a host name; ``*`` stands for one whole first label (RFC 6125, 6.4.3)."""
    name, hostname = name.lower(), hostname.lower()
    return name == hostname or (name.startswith("*.") and name[1:] == hostname[hostname.find(".") :])
