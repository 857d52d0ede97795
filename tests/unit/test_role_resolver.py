"""Who may ask the resolver, whom it asks, and the signed zone of its health check."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import dns.dnssec
import dns.exception
import dns.name
import dns.node
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.zone
import pytest

from appliance.errors import ApplianceError, InvalidSpec
from tests.unit.roles_room import bundle, text, view

ZONE = dns.name.from_text("health.internal.")


def configuration(rest: str = "", families: tuple[int, ...] = (4,)) -> str:
    return text(bundle(rest, families=families), "resolver", "unbound.conf")


def test_only_this_instance_may_ask() -> None:
    rules = re.findall(r"access-control: (\S+) (\S+)", configuration())
    assert [net for net, verdict in rules if verdict == "allow"] == ["127.0.0.0/8", view("resolver", "").network.subnet]
    assert {net for net, verdict in rules if verdict == "refuse"} == {"0.0.0.0/0", "::0/0"}


def test_no_port_of_it_is_published() -> None:
    assert bundle("").service("resolver").runtime.ports == ()


def test_everybody_asks_it() -> None:
    made = bundle("")
    address = made.service("resolver").runtime.address
    assert {s.name: s.runtime.dns for s in made.services if s.name != "resolver" and s.runtime.dns != (address,)} == {}


def test_by_default_it_asks_the_root_itself() -> None:
    assert "forward-zone" not in configuration()


def test_forwarders() -> None:
    found = configuration('roles: {resolver: {forward_to: [192.0.2.53, "2001:DB8::53"]}}\n')
    assert re.findall(r"forward-addr: (\S+)", found) == ["192.0.2.53", "2001:db8::53"]


@pytest.mark.parametrize("address", ["resolver.example", "192.0.2.300", "192.0.2.53#dns.example"])
def test_a_forwarder_is_an_address(address: str) -> None:
    with pytest.raises((ApplianceError, InvalidSpec)):
        configuration(f'roles: {{resolver: {{forward_to: ["{address}"]}}}}\n')


@pytest.mark.parametrize(("families", "said"), [((4,), "no"), ((4, 6), "yes")])
def test_families(families: tuple[int, ...], said: str) -> None:
    assert f"do-ip6: {said}\n" in configuration(families=families)


def zone() -> dns.zone.Zone:
    return dns.zone.from_text(text(bundle(""), "resolver", "health.zone"), ZONE, relativize=False)


def validate(name: str) -> None:
    node = zone().get_node(dns.name.from_text(name, ZONE))
    assert node is not None
    answer, signature = (
        node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.TXT),
        node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.RRSIG, dns.rdatatype.TXT),
    )
    anchor = dns.zone.from_text(text(bundle(""), "resolver", "health.anchor"), ZONE, relativize=False, check_origin=False)
    keys: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {ZONE: anchor.find_rdataset(ZONE, dns.rdatatype.DNSKEY)}
    assert answer is not None
    assert signature is not None
    full = dns.name.from_text(name, ZONE)
    dns.dnssec.validate((full, answer), (full, signature), keys, now=datetime(2080, 1, 1, tzinfo=UTC).timestamp())


def test_the_health_zone_validates_for_decades_and_its_forgery_does_not() -> None:
    validate("ok")
    with pytest.raises(dns.exception.ValidationFailure):
        validate("bogus")
