"""What a server's certificate says of itself: who issued it, how long it lasts. No disk, no clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

#: how an issuer is called that is the certificate itself
ITSELF = "itself"
#: a certificate with less time left than this, or than a sixth of its life, is a reason to look
SOON = timedelta(days=14)


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key has signed the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is signed with its own key."""
    return issued_by(certificate, certificate)


def issuer_name(certificate: x509.Certificate) -> str:
    """``itself``, or the issuer as people call it: ``Let's Encrypt R11``."""
    if self_signed(certificate):
        return ITSELF
    words: list[str] = []
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(oid)[:1]:
            word = attribute.value if isinstance(attribute.value, str) else attribute.value.decode("utf-8", "replace")
            # an authority that repeats its name in both would be called twice
            words = [w for w in words if w not in word] + [word]
    return " ".join(words) or "an issuer without a name"


def spent(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether less than a third of its life is left: the time to renew it, as authorities advise."""
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - now < life / 3


def ends_soon(issued: datetime, expires: datetime, now: datetime) -> bool:
    """Whether renewal should have come long ago. A certificate of six days is never far from its end: a sixth of its life."""
    return expires - now < min(SOON, (expires - issued) / 6)
