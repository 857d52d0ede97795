"""The zone snippet loads as it stands, each zone's part under its own origin."""

from __future__ import annotations

from pathlib import Path

import dns.rdatatype
import dns.zone
import pytest

from appliance.dns.wanted import wanted
from appliance.dns.zone import snippet, zone_of, zones
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView
from tests.unit.keys_room import Told, ring, spec

FRAME = "@ 3600 IN SOA ns.nic.example. hostmaster.nic.example. 1 3600 600 86400 5\n@ 3600 IN NS ns.nic.example.\n"


def test_it_loads_and_says_what_was_wanted(tmp_path: Path) -> None:
    of, keys = spec(("example.org", "bücher.example"), settings={}), ring(tmp_path)
    keys.create(of, Told())
    records = wanted(of, keys.view(of), (4, 6))
    text = snippet(records, of)
    for origin, group in zones(records, of).items():
        if not origin:
            continue
        zone = dns.zone.from_text(FRAME + text, origin=f"{origin}.", relativize=False)
        loaded = {
            (str(name), dns.rdatatype.to_text(data.rdtype), value(rdata))
            for name, data in zone.iterate_rdatasets()
            for rdata in data
            if data.rdtype not in (dns.rdatatype.SOA, dns.rdatatype.NS)
        }
        assert loaded == {(f"{r.name}.", r.type, r.value + ("." if r.type == "MX" else "")) for r in group}


def value(rdata: object) -> str:
    strings = getattr(rdata, "strings", None)
    return b"".join(strings).decode() if strings else str(rdata)


def test_what_the_provider_must_set_is_a_comment(tmp_path: Path) -> None:
    of = spec()
    keys = ring(tmp_path)
    keys.create(of, Told())
    lines = [line for line in snippet(wanted(of, keys.view(of), (4,)), of).splitlines() if "PTR" in line and "IN" in line]
    assert lines == ["; 7.113.0.203.in-addr.arpa. 3600 IN PTR mail.example.org."]


def test_a_record_without_its_key_is_not_printed_as_a_zone() -> None:
    with pytest.raises(ApplianceError, match=r"s1-ed25519\._domainkey\.example\.org waits for a key") as refused:
        snippet(wanted(spec(), KeyView(), (4,)), spec())
    assert "keys create" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("example.org", "example.org"),
        ("_dmarc.example.org", "example.org"),
        ("mail.example.org", "example.org"),
        ("x.sub.example.org", "sub.example.org"),
        ("notexample.org", "notexample.org"),
        ("mail.provider.net", "provider.net"),
        ("vps1.eu.provider.net", "eu.provider.net"),
    ],
)
def test_the_zone_that_a_name_belongs_to(name: str, zone: str) -> None:
    assert zone_of(name, spec(("example.org", "sub.example.org"))) == zone
