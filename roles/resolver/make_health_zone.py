"""Makes the signed zone of the resolver's health check, and the trust anchor that belongs to it.

Run once: `python roles/resolver/make_health_zone.py`. The key is thrown away, so nothing can be signed with it again; the
signatures hold until 2090. ``ok`` validates; ``bogus`` has another's signature, so a validating resolver must refuse it
(RFC 4035, 5.5).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dns.dnssec
import dns.name
import dns.rdataset
import dns.versioned
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ed25519
from dns.dnssectypes import Algorithm
from dns.rdatatype import RRSIG, TXT

ZONE = dns.name.from_text("health.internal.")
FROM, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
TEXT = """
$TTL 3600
@      SOA    ns.health.internal. postmaster.health.internal. 1 86400 7200 3600000 3600
@      NS     ns.health.internal.
ns     A      127.0.0.1
ok     TXT    "validated"
bogus  TXT    "not signed by us"
"""


def main() -> None:
    """Writes templates/health.zone and templates/health.anchor beside this file."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ED25519, flags=257)
    zone = dns.zone.from_text(TEXT, ZONE, relativize=False, zone_factory=dns.versioned.Zone)
    with zone.writer() as txn:
        txn.add(ZONE, 3600, public)
        dns.dnssec.sign_zone(zone, txn, keys=[(key, public)], add_dnskey=False, inception=FROM, expiration=UNTIL)
    with zone.writer() as txn:
        swapped = txn.get(dns.name.from_text("ok", ZONE), RRSIG, TXT)
        txn.replace(dns.name.from_text("bogus", ZONE), swapped)
    folder = Path(__file__).parent / "templates"
    zone.to_file(str(folder / "health.zone"), relativize=False, nl="\n")
    (folder / "health.anchor").write_text(dns.rdataset.from_rdata(3600, public).to_text(ZONE) + "\n")


if __name__ == "__main__":
    main()
