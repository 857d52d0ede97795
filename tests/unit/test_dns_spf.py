"""SPF judged: the answers that RFC 7208 gives."""

from __future__ import annotations

import pytest

from appliance.dns.records import Answer
from appliance.dns.spf import judge, terms

#: a small world: (name, type) → values
WORLD: dict[tuple[str, str], tuple[str, ...]] = {
    ("example.org", "A"): ("203.0.113.7",),
    ("example.org", "AAAA"): ("2001:db8::7",),
    ("example.org", "MX"): ("10 mail.example.org", "20 backup.example.org"),
    ("mail.example.org", "A"): ("203.0.113.7",),
    ("mail.example.org", "AAAA"): ("2001:db8::7",),
    ("backup.example.org", "A"): ("198.51.100.9",),
    ("relay.example", "TXT"): ("some other text", "v=spf1 ip4:192.0.2.0/24 -all"),
    ("two.example", "TXT"): ("v=spf1 +all", "v=spf1 -all"),
    ("loop.example", "TXT"): ("v=spf1 include:loop.example -all",),
    ("broken.example", "TXT"): ("v=spf1 ip4:300.1.2.3 -all",),
}


def world(name: str, kind: str) -> Answer:
    return Answer(failed="no answer in time") if name == "dead.example" else Answer(WORLD.get((name, kind), ()))


@pytest.mark.parametrize(
    ("record", "address", "result"),
    [
        ("v=spf1 ip4:203.0.113.7 -all", "203.0.113.7", "pass"),
        ("v=spf1 ip4:203.0.113.0/24 -all", "203.0.113.7", "pass"),
        ("v=spf1 ip4:203.0.113.8 ~all", "203.0.113.7", "softfail"),
        ("v=spf1 ip6:2001:db8::/32 -all", "2001:db8::7", "pass"),
        ("v=spf1 ip6:2001:db8::/32 -all", "203.0.113.7", "fail"),
        ("v=spf1 a -all", "203.0.113.7", "pass"),
        ("v=spf1 a -all", "2001:db8::7", "pass"),
        ("v=spf1 A:backup.example.org/24 -all", "198.51.100.200", "pass"),
        ("v=spf1 a:mail.example.org//64 -all", "2001:db8::99", "pass"),
        ("v=spf1 a:mail.example.org/24//64 -all", "203.0.113.99", "pass"),
        ("v=spf1 mx -all", "198.51.100.9", "pass"),
        ("v=spf1 mx -all", "192.0.2.1", "fail"),
        ("v=spf1 include:relay.example -all", "192.0.2.1", "pass"),
        ("v=spf1 include:relay.example ?all", "203.0.113.7", "neutral"),
        ("v=spf1 redirect=relay.example", "203.0.113.7", "fail"),
        ("v=spf1 exp=why.example ip4:203.0.113.7 -all", "203.0.113.7", "pass"),
        ("v=spf1 exists:mail.example.org -all", "203.0.113.7", "pass"),
        ("v=spf1 ptr -all", "203.0.113.7", "fail"),
        ("v=spf1", "203.0.113.7", "neutral"),
        ("v=spf1 include:two.example -all", "203.0.113.7", "permerror"),
        ("v=spf1 include:nothing.example -all", "203.0.113.7", "permerror"),
        ("v=spf1 include:broken.example -all", "203.0.113.7", "permerror"),
        ("v=spf1 include:loop.example -all", "203.0.113.7", "permerror"),
        ("v=spf1 " + "a:x.example " * 11 + "-all", "203.0.113.7", "permerror"),
        ("v=spf1 include:dead.example -all", "203.0.113.7", "temperror"),
        ("v=spf1 ipv4:203.0.113.7 -all", "203.0.113.7", "permerror"),
        ("v=spf1 exists:%{i}._spf.example.org -all", "203.0.113.7", "undecided"),
    ],
)
def test_judged(record: str, address: str, result: str) -> None:
    assert judge(record, address, "example.org", world) == result


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("v=spf1 ip4:203.0.113.7 ~all", "v=spf1 +IP4:203.0.113.7/32 ~all", True),
        ("v=spf1 ip6:2001:db8::7 a ~all", "v=spf1 a ip6:2001:DB8:0:0::7 ~all", True),
        ("v=spf1 ip4:203.0.113.7 ~all", "v=spf1 ip4:203.0.113.7 -all", False),
    ],
)
def test_the_same_in_other_words(one: str, other: str, same: bool) -> None:
    assert (terms(one) == terms(other)) is same
