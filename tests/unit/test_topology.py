"""Roles that only these tests know, joined: order, milters by stage, addresses, and what cannot be joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.catalog.load import load
from appliance.catalog.role import Role
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView
from appliance.render.bundle import Bundle
from appliance.render.render import render
from appliance.spec.model import RoleSettings, Spec
from appliance.topology import Topology, derived_subnet, derived_subnet6, resolve

EDGE = """
summary: edge
services:
  edge:
    image: edge
    command: [edge]
    address: 10
    ports: {smtp: 25}
    offers: {reinjection: {port: 10587}}
    uses: {lmtp: required, quota: optional}
    takes_milters: [mx, submission]
    reload: [edge, reload]
    files:
      edge.cf: {template: edge.cf.j2}
"""
STORE = """
summary: store
state: {mail: everybody's mail}
services:
  store:
    image: store
    command: [store]
    volumes: [{name: mail, path: /srv/mail}]
    offers: {lmtp: {socket: lmtp}}
    uses: {reinjection: later}
"""
MILTER = """
summary: milter
services:
  NAME:
    image: NAME
    command: [NAME]
    offers: {milter: {socket: m.sock, stage: STAGE, joins: [mx]}}
"""
RESOLVER = """
summary: resolver
services:
  resolver:
    image: resolver
    command: [resolver]
    address: 2
    offers: {resolver: {port: 53}}
"""


def role(folder: Path, name: str, text: str, **templates: str) -> None:
    (folder / name / "templates").mkdir(parents=True)
    (folder / name / "role.yml").write_text(text)
    for template, body in templates.items():
        (folder / name / "templates" / template.replace("_", ".")).write_text(body)


@pytest.fixture
def catalog(tmp_path: Path) -> dict[str, Role]:
    role(
        tmp_path,
        "edge",
        EDGE,
        edge_cf_j2="lmtp = {{ joins.lmtp.socket }}\nmilters ={% for m in milters.mx %} {{ m.name }}{% endfor %}\n\n",
    )
    role(tmp_path, "store", STORE)
    for name, stage in (("asign", "sign"), ("change", "change"), ("verdict", "verdict"), ("bverdict", "verdict")):
        role(tmp_path, name, MILTER.replace("NAME", name).replace("STAGE", stage))
    role(tmp_path, "resolver", RESOLVER)
    return dict(load([tmp_path]))


def spec(*off: str, **changes: object) -> Spec:
    base = {
        "version": 1,
        "name": "t",
        "hostname": "mail.example.org",
        "postmaster": "alice@example.org",
        "domains": {"example.org": {}},
        "mailboxes": {"alice@example.org": {}},
        "roles": {name: RoleSettings(False, {}) for name in off},
    }
    return Spec.model_validate(base | changes)


def bundle(topology: Topology) -> Bundle:
    return render(topology, KeyView(), {n.service.image: f"appliance/{n.service.image}:1" for n in topology.nodes})


def test_providers_start_before_their_users_and_a_late_use_breaks_the_circle(catalog: dict[str, Role]) -> None:
    order = [n.name for n in resolve(spec(), catalog).nodes]
    assert order.index("store") < order.index("edge")


def test_milters_are_ordered_by_stage_and_then_by_name(catalog: dict[str, Role]) -> None:
    edge = resolve(spec(), catalog).node("edge")
    assert edge is not None
    assert [m.name for m in edge.milters["mx"]] == ["bverdict", "verdict", "change", "asign"]
    assert edge.milters["submission"] == ()


def test_a_required_offer_that_is_off_is_named_with_its_role(catalog: dict[str, Role]) -> None:
    with pytest.raises(ApplianceError, match="edge needs lmtp") as why:
        resolve(spec("store"), catalog)
    assert why.value.hint == "switch on roles.store, or switch roles.edge off"


def test_sockets_are_shared_by_volume_and_users_do_not_seed_it(catalog: dict[str, Role]) -> None:
    made = bundle(resolve(spec(), catalog))
    own = {m.path: m for m in made.service("store").runtime.mounts}
    used = {m.path: m for m in made.service("edge").runtime.mounts}
    assert (own["/sock/store"].volume, own["/sock/store"].nocopy) == ("t-store-sock", False)
    assert (used["/sock/store"].volume, used["/sock/store"].nocopy) == ("t-store-sock", True)
    assert used["/config"].read_only


def test_a_tcp_offer_has_a_fixed_address_and_a_name(catalog: dict[str, Role]) -> None:
    made = bundle(resolve(spec(network={"subnet": "198.18.25.0/24"}), catalog))
    assert made.service("edge").runtime.address == "198.18.25.10"
    assert made.service("store").runtime.hosts == (("reinjection.internal", "198.18.25.10"),)
    assert made.network.dynamic == "198.18.25.128/25"


def test_every_service_asks_the_resolver_but_the_resolver_itself(catalog: dict[str, Role]) -> None:
    made = bundle(resolve(spec(network={"subnet": "198.18.25.0/24"}), catalog))
    assert {s.name: s.runtime.dns for s in made.services if s.runtime.dns != ("198.18.25.2",)} == {"resolver": ()}


def test_templates_see_joins_and_milters(catalog: dict[str, Role]) -> None:
    made = bundle(resolve(spec("change"), catalog))
    assert made.service("edge").files[0].data == b"lmtp = /sock/store/lmtp\nmilters = bverdict verdict asign\n"  # type: ignore[union-attr]


def test_rendering_twice_gives_the_same_digests(catalog: dict[str, Role]) -> None:
    assert bundle(resolve(spec(), catalog)).release == bundle(resolve(spec(), catalog)).release


@pytest.mark.parametrize(
    ("families", "listen", "addresses"),
    [
        ((4,), {}, ["0.0.0.0"]),
        ((4, 6), {}, ["0.0.0.0", "::"]),
        ((4,), {"address": ["127.0.0.1", "::1"]}, ["127.0.0.1"]),
        ((4, 6), {"address": ["127.0.0.1", "::1"]}, ["127.0.0.1", "::1"]),
        ((4, 6), {"address": ["::1"]}, ["::1"]),
        ((4, 6), {"address": ["127.0.0.1"]}, ["127.0.0.1"]),
        ((6,), {}, ["::"]),
    ],
)
def test_a_family_is_published_only_where_the_true_client_address_arrives(
    catalog: dict[str, Role], families: tuple[int, ...], listen: dict[str, object], addresses: list[str]
) -> None:
    topology = resolve(spec(listen=listen), catalog)
    tags = {n.service.image: "x" for n in topology.nodes}
    assert [p.address for p in render(topology, KeyView(), tags, families).service("edge").runtime.ports] == addresses


@pytest.mark.parametrize(
    ("families", "address", "words"),
    [
        ((4,), ["::1"], "names only ::1, and IPv6 is not served"),
        ((4,), ["2001:db8::7", "::1"], "names only 2001:db8::7, ::1, and IPv6"),
        ((4,), ["::"], "names only ::, and IPv6"),
        ((6,), ["127.0.0.1"], "names only 127.0.0.1, and IPv4"),
    ],
)
def test_an_address_that_cannot_be_served_never_becomes_all_addresses(
    catalog: dict[str, Role], families: tuple[int, ...], address: list[str], words: str
) -> None:
    topology = resolve(spec(listen={"address": address}), catalog)
    with pytest.raises(ApplianceError, match=words) as why:
        render(topology, KeyView(), {n.service.image: "x" for n in topology.nodes}, families)
    assert "`appliance doctor`" in why.value.hint


def test_state_volumes_say_what_they_hold(catalog: dict[str, Role]) -> None:
    made = {v.name: v for v in bundle(resolve(spec(), catalog)).volumes}
    assert (made["t-mail"].state, made["t-mail"].holds) == (True, "everybody's mail")
    assert not made["t-store-config"].state


def test_the_subnet_follows_from_the_name() -> None:
    assert derived_subnet("example") == derived_subnet("example") != derived_subnet("other")
    assert str(derived_subnet("example")).startswith("198.1")
    assert derived_subnet6("example") == derived_subnet6("example") != derived_subnet6("other")
    assert (str(derived_subnet6("example"))[:2], derived_subnet6("example").prefixlen) == ("fd", 64)


@pytest.mark.parametrize(
    ("families", "network", "subnet6"),
    [
        ((4,), {}, ""),
        ((4,), {"subnet6": "fd00:1::/64"}, ""),
        ((4, 6), {}, str(derived_subnet6("t"))),
        ((4, 6), {"subnet6": "fd00:1::/64"}, "fd00:1::/64"),
    ],
)
def test_the_network_has_ipv6_only_where_ipv6_is_served(
    catalog: dict[str, Role], families: tuple[int, ...], network: dict[str, str], subnet6: str
) -> None:
    topology = resolve(spec(network=network), catalog)
    tags = {n.service.image: "x" for n in topology.nodes}
    assert render(topology, KeyView(), tags, families).network.subnet6 == subnet6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a list\n", "x/role.yml: expected a mapping"),
        ("services: {}\n", "summary: is missing"),
        ("summary: x\nservise: {}\n", "servise: is not a field that a role has here"),
        ("summary: x\nservices: {x: {image: x, command: []}}\n", "a service needs a command"),
        ("summary: x\nservices: {y: {image: q, command: [z]}}\n", "a service's name begins with"),
        ("summary: x\nservices: {x: {image: x, command: [x], files: {f: {template: f.j2}}}}\n", "need a reload command"),
        ("summary: x\nservices: {x: {image: x, command: [x], files: {f: {}}}}\n", "either a template or a ref"),
        ("summary: x\nservices: {x: {image: x, command: [x], files: {../f: {template: f}}}}\n", "relative to the generation"),
        ("summary: x\nservices: {x: {image: x, command: [x], uses: {lmtp: perhaps}}}\n", "required, optional or later"),
        ("summary: x\nservices: {x: {image: x, command: [x], offers: {milter: {socket: s}}}}\n", "a milter says its stage"),
        ("summary: x\nservices: {x: {image: x, command: [x], memory: lots}}\n", "expected a size"),
        ("summary: x\noptions: {o: {type: colour, description: d}}\n", "colour is none of"),
        ("summary: [\n", "cannot be read"),
    ],
)
def test_a_role_that_does_not_fit_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    role(tmp_path, "x", text)
    with pytest.raises(ApplianceError) as why:
        load([tmp_path])
    assert words in why.value.message


def test_a_template_with_an_unknown_name_is_named(tmp_path: Path, catalog: dict[str, Role]) -> None:
    (tmp_path / "edge" / "templates" / "edge.cf.j2").write_text("x = {{ joins.nothing.socket }}\n")
    with pytest.raises(ApplianceError, match=r"roles/edge/templates/edge.cf.j2"):
        bundle(resolve(spec(), catalog))
