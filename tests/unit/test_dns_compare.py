"""Published records compared with the wanted ones, by meaning."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from appliance.dns.compare import Finding, compare
from appliance.dns.records import Answer
from appliance.dns.wanted import wanted
from appliance.keys.view import KeyView, dkim_ref
from tests.unit.keys_room import spec

SPEC = spec(settings={"dkim": {"algorithms": ("rsa-2048",)}})
RECORDS = wanted(SPEC, KeyView("ring", {}, {dkim_ref("example.org", "s1", "rsa-2048"): "MIIBrsakey="}), (4, 6))
DKIM, DMARC, PTR4 = "s1-rsa._domainkey.example.org", "_dmarc.example.org", "7.113.0.203.in-addr.arpa"
World = dict[tuple[str, str], tuple[str, ...] | None]


def published() -> World:
    """The world when everything is as wanted."""
    found: dict[tuple[str, str], tuple[str, ...] | None] = {}
    for record in RECORDS:
        found[record.name, record.type] = (*(found.get((record.name, record.type)) or ()), record.value)
    return found


def findings(world: World) -> Mapping[tuple[str, str], Finding]:
    def lookup(name: str, kind: str) -> Answer:
        values = world.get((name, kind), ())
        return Answer(failed="no answer in time") if values is None else Answer(values)

    return {(f.name, f.type): f for f in compare(RECORDS, SPEC, lookup)}


def test_what_is_published_as_printed_is_well() -> None:
    found = findings(published())
    assert {f.status for f in found.values()} == {"ok"}
    assert not any(f.fails or f.note or f.remedy for f in found.values())
    assert len(found) == len(RECORDS)


def test_before_anything_is_published_each_remedy_is_the_record() -> None:
    found = findings({})
    assert {f.status for f in found.values()} == {"missing"}
    assert all(f.fails for f in found.values())
    assert found["example.org", "MX"].remedy == "publish example.org. 3600 IN MX 10 mail.example.org."
    assert found[PTR4, "PTR"].remedy.startswith("ask whoever gave you the address for 7.113.0.203.in-addr.arpa.")


WELL = [
    ("example.org", "MX", ("50 mail.example.org",), ""),
    ("example.org", "MX", ("10 mail.example.org", "20 mx2.example.net"), "mx2.example.net gets mail while this host is away"),
    ("example.org", "TXT", ("google-site-verification=x", "v=spf1 ip6:2001:DB8::7/128 +ip4:203.0.113.7 ~all"), ""),
    ("example.org", "TXT", ("v=spf1 mx -all",), "in other words than ours, and our addresses pass"),
    ("mail.example.org", "AAAA", ("2001:db8:0:0:0:0:0:7",), ""),
    (DKIM, "TXT", ("v=DKIM1;k=rsa;p=MIIB rsakey=;",), ""),
    (DKIM, "TXT", ("p=MIIBrsakey=",), ""),
    (DKIM, "TXT", ("v=DKIM1; k=rsa; t=y; p=MIIBrsakey=",), "t=y says that the domain is only testing"),
    (DKIM, "TXT", ("v=DKIM1; h=sha1:sha256; p=MIIBrsakey=",), ""),
    (DMARC, "TXT", ("v=DMARC1;p=none;rua=mailto:postmaster@example.org",), ""),
    (DMARC, "TXT", ("v=DMARC1; p=none; adkim=s",), "with other settings beside the policy"),
    (PTR4, "PTR", ("mail.example.org", "old.example.org"), ""),
]


@pytest.mark.parametrize(("name", "kind", "values", "note"), WELL)
def test_the_same_in_other_words_is_well(name: str, kind: str, values: tuple[str, ...], note: str) -> None:
    finding = findings({**published(), (name, kind): values})[name, kind]
    assert (finding.status, finding.note, finding.fails) == ("ok", note, False)


BAD = [
    ("mail.example.org", "A", ("203.0.113.9",), "lacks 203.0.113.7 and leads to 203.0.113.9 too"),
    ("mail.example.org", "A", ("203.0.113.7", "203.0.113.9"), "leads to 203.0.113.9 too"),
    ("example.org", "MX", ("10 mx.other.example",), "other hosts get the mail"),
    ("example.org", "MX", ("0 .",), "takes no mail"),
    ("example.org", "MX", ("5 mx.other.example", "10 mail.example.org"), "mx.other.example is asked first"),
    ("example.org", "MX", ("10 mail.example.org", "10 mx.other.example"), "asked first, or as often"),
    ("example.org", "TXT", ("v=spf1 mx -all", "v=spf1 -all"), "two SPF records"),
    ("example.org", "TXT", ("v=spf1 ip4:203.0.113.7 -all",), "2001:db8::7 gets fail"),
    ("example.org", "TXT", ("v=spf1 include:nobody.example -all",), "203.0.113.7 gets permerror"),
    (DKIM, "TXT", ("v=DKIM1; k=rsa; p=another",), "another public key"),
    (DKIM, "TXT", ("v=DKIM1; k=rsa; p=",), "revokes the key"),
    (DKIM, "TXT", ("v=DKIM1; k=ed25519; p=MIIBrsakey=",), "not a key of the kind rsa"),
    (DKIM, "TXT", ("v=DKIM1; h=sha1; p=MIIBrsakey=",), "h= does not allow sha256"),
    (DKIM, "TXT", ("p=MIIBrsakey=", "p=another"), "several keys"),
    (DMARC, "TXT", ("v=DMARC1; p=none", "v=DMARC1; p=reject"), "two DMARC records"),
    (DMARC, "TXT", ("v=DMARC1; rua=mailto:x@example.org",), "no policy"),
    (PTR4, "PTR", ("vps7.provider.example",), "the address is called vps7.provider.example"),
]


@pytest.mark.parametrize(("name", "kind", "values", "note"), BAD)
def test_what_harms_mail_is_a_failure_with_a_remedy(name: str, kind: str, values: tuple[str, ...], note: str) -> None:
    finding = findings({**published(), (name, kind): values})[name, kind]
    assert (finding.status, finding.fails) == ("different", True)
    assert note in finding.note
    assert finding.remedy
    assert finding.live == values


def test_another_policy_than_the_specs_is_told_and_is_no_failure() -> None:
    finding = findings({**published(), (DMARC, "TXT"): ("v=DMARC1; p=reject",)})[DMARC, "TXT"]
    assert (finding.status, finding.note, finding.fails) == ("different", "its policy is reject, the spec's is none", False)


def test_a_name_that_does_not_lead_back_is_not_confirmed() -> None:
    found = findings({**published(), ("mail.example.org", "A"): ("203.0.113.9",)})
    assert found[PTR4, "PTR"].note == "mail.example.org does not lead back to 203.0.113.7"


def test_a_relay_that_spf_must_include() -> None:
    of = spec(relay_host={"host": "smtp.relay.example", "spf_include": "spf.relay.example"})
    (record,) = (r for r in wanted(of, KeyView(), (4, 6)) if r.name == "example.org" and r.purpose == "spf")
    (finding,) = compare([record], of, lambda _n, _k: Answer(("v=spf1 ip4:203.0.113.7 ip6:2001:db8::7 ~all",)))
    assert (finding.note, finding.fails) == ("it does not say include:spf.relay.example", True)


def test_a_family_that_is_not_served_must_not_be_published() -> None:
    four = wanted(SPEC, KeyView(), (4,), sets=("host",))
    world = {("mail.example.org", "A"): ("203.0.113.7",), ("mail.example.org", "AAAA"): ("2001:db8::7",)}
    found = compare(four, SPEC, lambda name, kind: Answer(world[name, kind]))
    assert [(f.type, f.status) for f in found] == [("A", "ok"), ("AAAA", "different")]
    assert found[1].remedy.startswith("remove the AAAA record")


def test_what_cannot_be_looked_up_is_not_called_missing() -> None:
    finding = findings({**published(), ("example.org", "MX"): None})["example.org", "MX"]
    assert (finding.status, finding.note, finding.fails) == ("unknown", "no answer in time", True)
