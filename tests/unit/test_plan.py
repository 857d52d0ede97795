"""The plan as a table: what is wanted, what was found, what happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.errors import ApplianceError
from appliance.observed import FileMark, HostFacts, Manifest, Observed, ObservedService, PortHolder
from appliance.plan import Wishes, plan
from appliance.plan.diff import diff, moves
from appliance.plan.past import past_bundle
from appliance.render.bundle import (
    Bundle,
    File,
    Mount,
    NetworkBundle,
    OnChange,
    Port,
    Runtime,
    SecretFile,
    ServiceBundle,
    VolumeBundle,
)

RUNTIME = Runtime(
    image="appliance/x:1",
    command=("x",),
    hostname="mail.example.org",
    memory=256 * 2**20,
    mounts=(Mount("t-x-config", "/config", True),),
    ports=(Port("smtp", "0.0.0.0", 25, 25),),
)


def file(path: str, data: bytes = b"one", on_change: OnChange = "reload", *, secret: bool = False, people: bool = False) -> File:
    return File(path, data, 0o444, (0, 0), on_change, f"templates/{path}", secret, people)


FILES = (file("main.cf"), file("start.cf", on_change="restart"), file("table", on_change="map"), file("users", on_change="none"))
SERVICE = ServiceBundle("x", "x", RUNTIME, FILES, reload=("x", "reload"))


def keyed(fingerprint: str | None) -> ServiceBundle:
    return replace(SERVICE, files=(SecretFile("key.pem", "dkim/a.pem", fingerprint, 0o400, (0, 0), "reload", "role.yml"),))


def bundle(*services: ServiceBundle, ring: str | None = "ring1") -> Bundle:
    volumes = (VolumeBundle("t-x-config", False), VolumeBundle("t-mail", True, "mail"))
    return Bundle("t", NetworkBundle("t", "198.18.7.0/24", "198.18.7.1", "198.18.7.128/25"), volumes, services, ring)


def with_ipv6() -> Bundle:
    return replace(bundle(), network=replace(bundle().network, subnet6="fd00:7::/64"))


def manifest(service: ServiceBundle) -> Manifest:
    marks = {
        f.path: FileMark(
            f.digest, f.mode, f.owner, f.on_change, f.secret, f.people, f.ref if isinstance(f, SecretFile) else "", f.build
        )
        for f in service.files
    }
    return Manifest(service.name, service.live, service.frozen, "r1", 1.0, "me", "0", service.runtime, marks, service.reload)


def found(service: ServiceBundle, **changes: object) -> ObservedService:
    seen = ObservedService(
        service.name, "running", "healthy", service.runtime, service.live, service.live, manifest(service), None, "ring1"
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def observed(*services: ObservedService, **changes: object) -> Observed:
    base = Observed(
        instance="t",
        services={s.name: s for s in services},
        volumes={"t-x-config": "ring1", "t-mail": "ring1"},
        network=bundle().network,
        images=frozenset({"appliance/x:1", "appliance/x:2"}),
        ring_id="ring1",
        host=HostFacts("20.10", "1.41", (4,), 8 * 2**30, 4 * 2**30, 0, ()),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def changed(path: str, data: bytes = b"two") -> ServiceBundle:
    return replace(SERVICE, files=tuple(replace(f, data=data) if f.path == path else f for f in FILES))


def test_nothing_to_do() -> None:
    order = plan(bundle(SERVICE), observed(found(SERVICE)))
    assert order.empty
    assert [c.action for c in order.changes] == ["keep"]


@pytest.mark.parametrize(
    ("wanted", "action"),
    [
        (changed("users"), "update"),
        (changed("table"), "update"),
        (changed("main.cf"), "reload"),
        (changed("start.cf"), "restart"),
        (replace(SERVICE, files=FILES[1:]), "reload"),  # main.cf removed
        (replace(SERVICE, files=(*FILES, file("new.cf", on_change="none"))), "update"),
        (replace(SERVICE, files=tuple(replace(f, mode=0o400) if f.path == "main.cf" else f for f in FILES)), "reload"),
        (replace(SERVICE, runtime=replace(RUNTIME, image="appliance/x:2")), "replace"),
        (replace(SERVICE, runtime=replace(RUNTIME, memory=1)), "replace"),
        (replace(changed("main.cf"), reload=()), "restart"),
    ],
)
def test_the_mildest_action_that_is_right(wanted: ServiceBundle, action: str) -> None:
    order = plan(bundle(wanted), observed(found(SERVICE)))
    assert order.changes[0].action == action
    assert order.changes[0].why
    assert not order.empty


@pytest.mark.parametrize(
    ("old", "new", "said", "lines"),
    [
        ("a=1 b=1", "a=2 b=1 c=3", "packages: a 1 → 2, +c 3", ("a 1 → 2", "+c 3")),
        ("a=1 b=1", "a=1", "packages: -b 1", ("-b 1",)),
        ("a=1", "a=1", "packages: the same versions", ()),
        ("a=1:2=3", "a=1:2=4", "packages: a 1:2=3 → 1:2=4", ("a 1:2=3 → 1:2=4",)),
        (" ".join(f"p{i}=1" for i in range(9)), " ".join(f"p{i}=2" for i in range(9)), "p5 1 → 2 and 3 more", None),
        ("a=1", None, "packages: known once the image is built", ()),
        ("", "a=1", None, ()),  # what runs is no image of ours
    ],
)
def test_another_image_says_what_it_brings(old: str, new: str | None, said: str | None, lines: tuple[str, ...] | None) -> None:
    wanted = replace(SERVICE, runtime=replace(RUNTIME, image="appliance/x:2"))
    labels = {} if new is None else {"appliance/x:2": new}
    (change,) = plan(bundle(wanted), observed(found(SERVICE, image_packages=old), packages=labels)).changes
    told = [w for w in change.why if w.startswith("packages")]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]
    assert lines is None or change.packages == lines


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        (found(SERVICE, state="exited"), "start"),
        (found(SERVICE, state="paused"), "restart"),
        (found(SERVICE, health="unhealthy"), "restart"),
        (found(SERVICE, health="starting"), "keep"),
        (found(SERVICE, loaded="older"), "restart"),  # killed between the switch and the reload, nothing known of the older one
        (found(SERVICE, loaded="older", loaded_manifest=manifest(changed("main.cf"))), "reload"),
        (found(SERVICE, loaded="older", loaded_manifest=manifest(changed("start.cf"))), "restart"),
        (found(SERVICE, current=None, loaded=None, manifest=None), "replace"),
    ],
)
def test_what_is_found_not_well_is_a_pending_change(seen: ObservedService, action: str) -> None:
    assert plan(bundle(SERVICE), observed(seen)).changes[0].action == action


def test_a_first_plan_creates_everything_and_removes_nothing() -> None:
    order = plan(bundle(SERVICE, ring=None), Observed("t"), Wishes(missing_keys=("tls/key.pem",)))
    assert [c.action for c in order.changes] == ["create"]
    assert {(r.kind, r.action) for r in order.resources} == {
        ("key", "create"),
        ("network", "create"),
        ("volume", "create"),
        ("image", "create"),
    }
    assert not order.refusals


def test_additions_travel_store_before_edge_and_removals_the_other_way() -> None:
    store = replace(SERVICE, name="store")
    now = bundle(store, SERVICE)
    later = bundle(*(replace(s, files=changed("users").files) for s in (store, SERVICE)))
    seen = observed(*(found(s) for s in now.services))
    assert [c.service for c in plan(later, seen).changes] == ["store", "x"]
    assert [c.service for c in plan(later, seen, Wishes(removes_people=True)).changes] == ["x", "store"]


def test_a_role_that_went_is_removed_and_its_data_stays() -> None:
    gone = replace(SERVICE, name="gone")
    volumes = {"t-x-config": None, "t-mail": None, "t-gone-config": None, "t-gone-data": None}
    order = plan(bundle(SERVICE), observed(found(SERVICE), found(gone), volumes=volumes))
    assert [(c.service, c.action) for c in order.changes] == [("gone", "remove"), ("x", "keep")]
    assert [(r.ref, r.action) for r in order.resources] == [("t-gone-config", "remove")]
    assert any("t-gone-data" in w and "--allow-remove gone-data" in w for w in order.warnings)
    allowed = plan(bundle(SERVICE), observed(found(SERVICE), volumes=volumes), Wishes(allow_remove=frozenset({"gone-data"})))
    assert [r.danger for r in allowed.resources if r.ref == "t-gone-data"] == ["its content cannot be had back"]


@pytest.mark.parametrize(
    ("wanted", "seen", "wishes", "words"),
    [
        (bundle(SERVICE, ring="ring2"), observed(found(SERVICE)), Wishes(), "belongs to the key ring ring1"),
        (bundle(SERVICE, ring="ring2"), observed(found(SERVICE)), Wishes(adopt=True), ""),
        (bundle(SERVICE, ring=None), observed(found(SERVICE)), Wishes(missing_keys=("a", "b")), "2 keys are not here"),
        # its keys can be had back from the running services: no new ones are made
        (bundle(SERVICE, ring=None), observed(found(SERVICE)), Wishes(adopt=True), "`appliance keys pull`"),
        (bundle(SERVICE, ring=None), observed(), Wishes(), "belongs to the key ring ring1, and there is no ring here"),
        (bundle(SERVICE, ring=None), observed(), Wishes(adopt=True), ""),
        (replace(bundle(SERVICE, ring="ring2"), adopted=frozenset({"ring1"})), observed(), Wishes(), ""),
        (
            replace(bundle(SERVICE, ring="ring2"), adopted=frozenset({"ring1"})),
            observed(found(SERVICE, ring_id="ring3")),
            Wishes(),
            "belongs to the key ring ring3 (deployed by me), and the ring here is ring2",
        ),
        # the other folder came back: what it deployed is its own again, though its volumes were taken over once
        (
            replace(bundle(SERVICE, ring="ring2"), adopted=frozenset({"ring1"})),
            observed(found(SERVICE)),
            Wishes(),
            "belongs to the key ring ring1 (deployed by me), and the ring here is ring2",
        ),
        (bundle(keyed(None)), observed(found(keyed("aaaa"))), Wishes(missing_keys=("dkim/a.pem",)), "`appliance keys pull`"),
        (bundle(keyed("aaaa")), observed(found(keyed("aaaa"))), Wishes(missing_keys=("dkim/b.pem",)), ""),
        (
            bundle(SERVICE),
            observed(ports=(PortHolder("127.0.0.1", 25, "the container other-postfix"),)),
            Wishes(),
            "port 0.0.0.0:25 (smtp) is held by the container other-postfix",
        ),
        (
            bundle(SERVICE),
            observed(network=None, host=HostFacts("20", "1.41", (4,), 0, 0, 0, ("198.18.0.0/16",))),
            Wishes(),
            "the subnet 198.18.7.0/24 meets 198.18.0.0/16",
        ),
        (
            bundle(SERVICE),
            observed(network=replace(bundle().network, subnet="198.18.9.0/24")),
            Wishes(),
            "`appliance down` (data stays)",
        ),
        (
            with_ipv6(),
            observed(network=None, host=HostFacts("28", "1.51", (4, 6), 0, 0, 0, ("fd00::/16", "198.18.0.0/24"))),
            Wishes(),
            "the subnet fd00:7::/64 meets fd00::/16, which the engine's host already uses; set network.subnet6",
        ),
        (with_ipv6(), observed(network=replace(bundle().network, subnet6="fd00:8::/64")), Wishes(), "fd00:8::/64 → fd00:7::/64"),
        (with_ipv6(), observed(network=bundle().network), Wishes(), "(none → fd00:7::/64); `appliance down`"),
        # the engine serves IPv6 no more: the network may keep what nobody publishes
        (bundle(), observed(network=with_ipv6().network), Wishes(), ""),
    ],
)
def test_dangers_are_refused_with_a_remedy(wanted: Bundle, seen: Observed, wishes: Wishes, words: str) -> None:
    refused = " ".join(plan(wanted, seen, wishes).refusals)
    assert words in refused if words else not refused


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (HostFacts("20", "1.41", (4,), 128 * 2**20, 0, 0, ()), "may take 256 MiB together, and the machine has 128 MiB"),
        (HostFacts("20", "1.41", (4,), 0, 0, 100 * 2**20, ()), "only 100 MiB are free"),
        (HostFacts("20", "1.41", (4,), 0, 0, 0, (), clock_skew=30.0), "differ by 30 s"),
    ],
)
def test_warnings_say_the_number(host: HostFacts, words: str) -> None:
    assert any(words in w for w in plan(bundle(SERVICE), observed(found(SERVICE), host=host)).warnings)


@pytest.mark.parametrize(
    ("ring", "services", "words"),
    [("ring2", (found(SERVICE),), "from the key ring ring1 to ring2"), (None, (), "from the key ring ring1 to a new one")],
)
def test_taking_over_says_that_the_records_change(ring: str | None, services: tuple[ObservedService, ...], words: str) -> None:
    said = plan(bundle(SERVICE, ring=ring), observed(*services), Wishes(adopt=True)).warnings
    assert any(words in w and "its DKIM records change" in w for w in said)
    for order in (plan(bundle(SERVICE, ring=ring), observed(*services)), plan(bundle(SERVICE), observed(found(SERVICE)))):
        assert not any("DKIM" in w for w in order.warnings)


def test_containers_of_another_ring_are_made_anew_so_that_their_label_is_true() -> None:
    (change,) = plan(bundle(SERVICE, ring="ring2"), observed(found(SERVICE)), Wishes(adopt=True)).changes
    assert (change.action, change.why[0]) == ("replace", "it belongs to the key ring ring1")
    assert plan(bundle(SERVICE, ring="ring2"), observed(found(SERVICE, ring_id="ring2"))).empty


USERS = b"alice@example.org:{ARGON2ID}AAA::::::\nbob@example.org:{ARGON2ID}BBB::::::\n"


def with_users(data: bytes) -> ServiceBundle:
    return replace(SERVICE, files=(file("users", data, "none", secret=True, people=True),))


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (USERS.replace(b"AAA", b"CCC"), ["x/users: ~ alice@example.org: password changed"]),
        (USERS.replace(b"BBB::::::", b"BBB::::::userdb_quota_storage_size=1G"), ["x/users: ~ bob@example.org: settings changed"]),
        (USERS + b"carol@example.org:{ARGON2ID}DDD::::::\n", ["x/users: + carol@example.org"]),
        (USERS.splitlines(keepends=True)[0], ["x/users: - bob@example.org"]),
    ],
)
def test_a_diff_shows_addresses_and_no_hash(after: bytes, shown: list[str]) -> None:
    old, new = with_users(USERS), with_users(after)
    change = plan(bundle(new), observed(found(old))).changes[0]
    lines = diff(change, {"users": USERS})
    assert lines == shown
    assert "ARGON2ID" not in str(lines)


@pytest.mark.parametrize(("before", "after", "removes"), [(2, 1, True), (1, 2, False), (2, 2, False)])
def test_whether_somebody_only_goes(before: int, after: int, removes: bool) -> None:
    lines = USERS.splitlines(keepends=True)
    old, new = with_users(b"".join(lines[:before])), with_users(b"".join(lines[:after]))
    changes = plan(bundle(new), observed(found(old))).changes
    come, gone = moves(changes, {"x": {"users": b"".join(lines[:before])}})
    assert (bool(gone) and not come) is removes


def test_who_is_disabled_neither_comes_nor_goes() -> None:
    first, second = USERS.splitlines(keepends=True)

    def split(users: bytes, nologin: bytes) -> ServiceBundle:
        files = (("users", users), ("nologin", nologin))
        return replace(SERVICE, files=tuple(file(n, data, "none", secret=True, people=True) for n, data in files))

    old, new = split(USERS, b""), split(first, second)
    changes = plan(bundle(new), observed(found(old))).changes
    come, gone = moves(changes, {"x": {"users": USERS, "nologin": b""}})
    assert not come | gone


def test_a_rotated_key_shows_as_another_key() -> None:
    change = plan(bundle(keyed("bbbb")), observed(found(keyed("aaaa")))).changes[0]
    assert change.action == "reload"
    assert diff(change, {"key.pem": b""}) == ["x/key.pem: another key (bbbb)"]


def past(today: ServiceBundle, before: ServiceBundle) -> Bundle:
    """Today's service rolled back to an earlier form of it."""
    files = {f.path: f.data if isinstance(f, File) else b"" for f in before.files}
    return past_bundle(bundle(today), "r1", {"x": manifest(before)}, {"x": files})


def test_an_older_release_has_its_settings_and_image_with_the_people_of_today() -> None:
    users = file("users", b"alice", "none", people=True)
    before = replace(SERVICE, files=(file("main.cf", b"old"), users), runtime=replace(RUNTIME, image="appliance/x:0"))
    today = replace(SERVICE, files=(file("main.cf", b"new"), file("more.cf"), replace(users, data=b"alice, bob")))
    composed = past(today, before).service("x")
    assert {f.path: f.data for f in composed.files if isinstance(f, File)} == {"main.cf": b"old", "users": b"alice, bob"}
    assert composed.runtime.image == "appliance/x:0"


def test_a_retired_key_does_not_come_back() -> None:
    with pytest.raises(ApplianceError, match=r"needs the key dkim/a.pem") as why:
        past(SERVICE, keyed("aaaa"))
    assert "a retired key does not come back" in why.value.hint


def test_a_key_is_the_one_of_today() -> None:
    assert past(keyed("bbbb"), keyed("aaaa")).service("x").files == keyed("bbbb").files


def test_a_release_joined_to_a_service_that_is_off_today_is_refused() -> None:
    joined = replace(RUNTIME, mounts=(*RUNTIME.mounts, Mount("t-scanner-sock", "/sock/scanner", nocopy=True)))
    with pytest.raises(ApplianceError, match="was joined to scanner, which does not run today"):
        past(SERVICE, replace(SERVICE, runtime=joined))
