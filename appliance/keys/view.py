"""What the pure part may know of the key ring: public halves and fingerprints, never a secret byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.render.bundle import NEW_AT_UP

# References into the ring ("/"-separated, also the file names below the ring's folder).
TLS_CERT = "tls/cert.pem"  # chain, leaf first
TLS_KEY = "tls/key.pem"
INTERNAL_CA = "internal/ca.pem"
INTERNAL_SERVER_CERT = "internal/server-cert.pem"  # name: reinjection.internal
INTERNAL_SERVER_KEY = "internal/server-key.pem"
INTERNAL_CLIENT_CERT = "internal/client-cert.pem"
INTERNAL_CLIENT_KEY = "internal/client-key.pem"
ACME_ACCOUNT = "acme/account.pem"  # the account at the certificate authority: stays in the ring
RELAY_CREDENTIALS = "relay/credentials"  # one texthash line: "[host]:port user:password"


def dkim_selector(selector: str, algorithm: str) -> str:
    """The selector that is published (``s1-rsa``, ``s1-ed25519``): one per algorithm, because one OpenDKIM signs with one."""
    return f"{selector}-{algorithm.partition('-')[0]}"


def dkim_ref(domain: str, selector: str, algorithm: str) -> str:
    """The ring's name of a DKIM private key, e.g. ``dkim/example.org/s1-rsa.pem``."""
    return f"dkim/{domain}/{dkim_selector(selector, algorithm)}.pem"


@dataclass(frozen=True)
class KeyView:
    """A snapshot of the ring for the pure part.

    ``fingerprints``: ref → HMAC of the bytes. ``public``: ref → public half (DKIM: the base64 of ``p=``; certificates: SHA-256
    of the public key as colon-separated upper-case hexadecimal, Postfix's fingerprint form). ``tokens``: purpose → unguessable
    name part (``probe``, ``double-bounce``), derived with a key of the ring. What is not there reads ``(new at up)``.
    ``removed``: addresses that had a mailbox once. ``adopted``: ids of rings whose instance this one took over.
    """

    ring_id: str | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()

    def fingerprint(self, ref: str) -> str | None:
        """The fingerprint of a key that exists."""
        return self.fingerprints.get(ref)

    def public_half(self, ref: str) -> str:
        """The public half, or ``(new at up)``."""
        return self.public.get(ref, NEW_AT_UP)

    def token(self, purpose: str) -> str:
        """A lower-case alphanumeric token of 16 characters; a placeholder of the same form before the ring exists."""
        return self.tokens.get(purpose, "newatup000000000")
