"""The records that a spec needs."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest

from appliance.dns.records import Record, strings
from appliance.dns.wanted import txt_lookup, wanted
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView, dkim_ref
from appliance.spec.model import Spec
from tests.unit.keys_room import Told, ring, spec

HALVES = {"rsa-2048": "RSAKEY", "ed25519": "EDKEY"}
KEYS = KeyView("ring", {}, {dkim_ref("example.org", "s1", algorithm): half for algorithm, half in HALVES.items()})


def lines(of: Spec, families: tuple[int, ...] = (4, 6), keys: KeyView = KEYS) -> list[str]:
    return [str(r) for r in wanted(of, keys, families)]


def test_one_domain_in_both_families() -> None:
    assert lines(spec(settings={})) == [
        "mail.example.org. 3600 IN A 203.0.113.7",
        "mail.example.org. 3600 IN AAAA 2001:db8::7",
        'mail.example.org. 3600 IN TXT "v=spf1 a -all"',
        "example.org. 3600 IN MX 10 mail.example.org.",
        'example.org. 3600 IN TXT "v=spf1 ip4:203.0.113.7 ip6:2001:db8::7 ~all"',
        's1-rsa._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=rsa; p=RSAKEY"',
        's1-ed25519._domainkey.example.org. 3600 IN TXT "v=DKIM1; k=ed25519; p=EDKEY"',
        '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"',
        "7.113.0.203.in-addr.arpa. 3600 IN PTR mail.example.org.",
        "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 3600 IN PTR mail.example.org.",
    ]


def test_a_family_that_is_not_served_is_not_published_but_may_send() -> None:
    shown = "\n".join(lines(spec(), (4,)))
    assert "AAAA" not in shown
    assert "ip6.arpa" not in shown
    assert "ip6:2001:db8::7" in shown


@pytest.mark.parametrize(
    ("settings", "fields", "record"),
    [
        ({"spf": {"all": "fail"}}, {"addresses": ("203.0.113.7",)}, "v=spf1 ip4:203.0.113.7 -all"),
        ({"spf": {"all": "neutral"}}, {"addresses": ("2001:db8::7",)}, "v=spf1 ip6:2001:db8::7 ?all"),
        (
            {"spf": {"include": ("news.example", "shop.example")}},
            {"addresses": ("203.0.113.7", "203.0.113.8")},
            "v=spf1 ip4:203.0.113.7 ip4:203.0.113.8 include:news.example include:shop.example ~all",
        ),
        (
            {"spf": {"include": ("relay.example",)}},
            {"addresses": ("203.0.113.7",), "relay_host": {"host": "smtp.relay.example", "spf_include": "relay.example"}},
            "v=spf1 ip4:203.0.113.7 include:relay.example ~all",
        ),
    ],
)
def test_spf(settings: dict[str, Any], fields: dict[str, Any], record: str) -> None:
    records = wanted(spec(settings=settings, **fields), KEYS, (4, 6))
    assert [r.value for r in records if (r.name, r.type) == ("example.org", "TXT")] == [record]


def test_a_host_that_is_a_hosted_domain_too_has_one_spf_record() -> None:
    """Two would be a permanent error for every receiver (RFC 7208, 4.5)."""
    found = [r.value for r in wanted(spec(hostname="example.org"), KEYS, (4, 6)) if r.purpose == "spf"]
    assert found == ["v=spf1 ip4:203.0.113.7 ip6:2001:db8::7 ~all"]


def test_international_domains_are_written_as_a_labels() -> None:
    records = wanted(spec(("bücher.example",)), KEYS, (4,))
    assert {r.name for r in records if "xn--" in r.name} == {
        "xn--bcher-kva.example",
        "s1-ed25519._domainkey.xn--bcher-kva.example",
        "_dmarc.xn--bcher-kva.example",
    }
    assert all(str(r).isascii() for r in records)


@pytest.mark.parametrize(
    ("addresses", "families", "words"),
    [((), (4, 6), "no addresses"), (("2001:db8::7",), (4,), "only 2001:db8::7, and mail is served over IPv4")],
)
def test_without_an_address_there_is_no_guess(addresses: tuple[str, ...], families: tuple[int, ...], words: str) -> None:
    with pytest.raises(ApplianceError, match=words) as refused:
        wanted(spec(addresses=addresses), KEYS, families)
    assert "appliance init" in refused.value.hint
    assert wanted(spec(addresses=addresses), KEYS, families, sets=("dkim", "dmarc"))


def test_only_the_sets_that_the_roles_ask_for() -> None:
    assert {r.purpose for r in wanted(spec(), KEYS, (4,), sets=("mx", "host"))} == {"mx", "host"}


def test_a_key_that_is_not_made_yet_says_so() -> None:
    records = [r for r in wanted(spec(), KeyView(), (4,)) if r.purpose == "dkim"]
    assert [(r.value, r.complete) for r in records] == [("v=DKIM1; k=ed25519; p=(new at up)", False)]


@pytest.mark.parametrize(("length", "parts"), [(0, [0]), (1, [1]), (255, [255]), (256, [255, 1]), (800, [255, 255, 255, 35])])
def test_texts_are_split_as_the_wire_wants_them(length: int, parts: list[int]) -> None:
    text = "x" * length
    assert [len(s) for s in strings(text)] == parts
    assert b"".join(strings(text)).decode() == text


def test_quotes_and_backslashes_survive_a_zone_file() -> None:
    assert Record("example.org", "TXT", 'a"b\\c\x01', "spf", "").rdata == r'"a\"b\\c\001"'


@pytest.mark.parametrize("algorithm", ["rsa-2048", "ed25519"])
def test_signatures_are_judged_by_exactly_these_records(tmp_path: Path, algorithm: str) -> None:
    of, keys = spec(settings={"dkim": {"algorithms": (algorithm,)}}), ring(tmp_path)
    keys.create(of, Told())
    lookup = txt_lookup(wanted(of, keys.view(of), (4,)))
    message = EmailMessage()
    message["From"], message["Subject"] = "alice@example.org", "signed"
    message.set_content("hello")
    selector = f"s1-{algorithm.partition('-')[0]}"
    method = b"ed25519-sha256" if algorithm == "ed25519" else b"rsa-sha256"
    pem = keys.read(f"dkim/example.org/{selector}.pem", of)
    secret = raw_ed25519(pem) if algorithm == "ed25519" else pem
    signature = dkim.sign(message.as_bytes(), selector.encode(), b"example.org", secret, signature_algorithm=method)
    assert dkim.verify(signature + message.as_bytes(), dnsfunc=lookup)
    assert not dkim.verify(signature + message.as_bytes().replace(b"hello", b"hullo"), dnsfunc=lookup)
    assert lookup(b"other._domainkey.example.org.") is None


def raw_ed25519(pem: bytes) -> bytes:
    """dkimpy signs with the bare 32 bytes in base64; a daemon reads the PKCS#8 around them."""
    import base64

    return base64.b64encode(base64.b64decode(b"".join(pem.splitlines()[1:-1]))[-32:])
