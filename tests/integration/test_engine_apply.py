"""An apply on a real engine: each action does what it says, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from appliance.engines.docker.engine import DockerEngine, connect
from appliance.errors import ApplianceError, Exit, Locked
from tests.integration.engine_room import Room, base_image, port, until


@pytest.fixture
def room(engine: docker.DockerClient, instance: str) -> Iterator[Room]:
    hands = connect()
    yield Room(hands, instance, base_image(engine))
    hands.close()


def test_the_first_apply_makes_everything_and_the_second_nothing(room: Room) -> None:
    wanted = room.bundle(room.service("store"), room.service("edge", after=("store",), address=_address(room, 10)))
    assert room.actions(wanted) == {"store": "create", "edge": "create"}
    room.up(wanted)
    observed = room.observe()
    assert {n: (s.state, s.current == s.loaded) for n, s in observed.services.items()} == {
        "edge": ("running", True),
        "store": ("running", True),
    }
    assert observed.network == wanted.network
    assert observed.volumes == dict.fromkeys((v.name for v in wanted.volumes), "ring-1")
    assert observed.ring_id == "ring-1"
    assert room.plan(wanted).empty
    assert room.works_on("edge") == ("one", "ALICE")


def test_files_have_their_owner_mode_secret_bytes_and_a_present_time(room: Room) -> None:
    room.up(room.bundle(room.service("store", capabilities=("DAC_OVERRIDE",))))
    listing = room.sh("store", "cd /config/current; stat -c '%n %a %u:%g' users users.db tls/key.pem main.cf; cat tls/key.pem")
    assert listing.splitlines() == [
        "users 440 0:903",
        "users.db 440 0:903",
        "tls/key.pem 400 903:903",
        "main.cf 444 0:0",
        "KEY of store/key.pem",
    ]
    assert abs(int(room.sh("store", "echo $(( $(date +%s) - $(stat -c %Y /config/live/users) ))"))) < 60


def test_a_new_mailbox_restarts_nothing_and_the_table_is_another_file(room: Room) -> None:
    room.up(room.bundle(room.service("store")))
    before = room.observe().services["store"]
    inode = room.sh("store", "stat -c %i /config/live/users.db")
    wanted = room.bundle(room.service("store", users="alice bob"))
    assert room.actions(wanted) == {"store": "update"}
    room.up(wanted)
    after = room.observe().services["store"]
    assert (after.container_id, after.started) == (before.container_id, before.started)
    assert room.works_on("store") == ("one", "ALICE BOB")
    assert room.sh("store", "stat -c %i /config/live/users.db") != inode
    assert room.plan(wanted).empty


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"main": "two"}, "reload"),
        ({"main": "two", "start": "other"}, "restart"),
        ({"main": "two", "memory": 80 << 20}, "replace"),
        ({"main": "two", "users": "bob", "capabilities": ("KILL",)}, "replace"),
    ],
)
def test_a_change_takes_the_mildest_way(room: Room, change: dict[str, object], action: str) -> None:
    room.up(room.bundle(room.service("store")))
    wanted = room.bundle(room.service("store", **change))  # type: ignore[arg-type]
    assert room.actions(wanted) == {"store": action}
    room.up(wanted)
    assert room.works_on("store")[0] == "two"
    assert room.plan(wanted).empty
    assert room.containers() == [f"{room.instance}-store"]


def test_a_service_that_goes_leaves_nothing_but_its_state(room: Room) -> None:
    both = room.bundle(room.service("store"), room.service("edge"))
    room.up(both)
    one = room.bundle(room.service("store"))
    assert room.actions(one) == {"edge": "remove"}
    room.up(one)
    assert room.containers() == [f"{room.instance}-store"]
    assert room.plan(one).empty
    room.up(both)
    assert room.works_on("edge") == ("one", "ALICE")


@pytest.mark.parametrize("how", ["stop", "pause"])
def test_a_service_that_does_not_run_is_a_pending_change(room: Room, how: str) -> None:
    wanted = room.bundle(room.service("store"))
    room.up(wanted)
    room.engine.api.post(f"/containers/{room.instance}-store/{how}")
    assert room.actions(wanted) == {"store": "start" if how == "stop" else "restart"}
    room.up(wanted)
    assert room.plan(wanted).empty
    assert room.observe().services["store"].state == "running"


# -- what is refused, and what goes back --------------------------------------------------------------------------------
def test_files_that_the_daemon_refuses_disturb_nothing(room: Room) -> None:
    wanted = room.bundle(room.service("store"))
    room.up(wanted)
    for main, words in (("this is wrong", "wrong"), ("mute", "does not work on its new files"), ("die", "dying of its settings")):
        with pytest.raises(ApplianceError, match=words) as caught:
            room.up(room.bundle(room.service("store", main)))
        assert "templates/main.cf.j2" in str(caught.value) or main != "this is wrong"
        assert room.works_on("store") == ("one", "ALICE")
        assert room.plan(wanted).empty
    assert room.containers() == [f"{room.instance}-store"]


@pytest.mark.parametrize("change", [{}, {"start": "other"}, {"memory": 80 << 20}], ids=["reload", "restart", "replace"])
def test_a_service_that_cannot_do_its_work_goes_back_with_all_that_came_before(room: Room, change: dict[str, object]) -> None:
    before = room.bundle(room.service("store"), room.service("edge"))
    room.up(before)
    sick = room.bundle(room.service("store", "two", users="bob"), room.service("edge", "sick", users="bob", **change))  # type: ignore[arg-type]
    with pytest.raises(ApplianceError, match="I am sick") as caught:
        room.up(sick, wait=2)
    assert "everything was put back" in str(caught.value)
    assert room.plan(before).empty
    assert room.works_on("store") == ("one", "ALICE")
    assert room.works_on("edge") == ("one", "ALICE")
    assert room.containers() == [f"{room.instance}-edge", f"{room.instance}-store"]


def test_a_first_apply_that_fails_leaves_only_state(room: Room) -> None:
    with pytest.raises(ApplianceError, match="I am sick"):
        room.up(room.bundle(room.service("store"), room.service("edge", "sick")), wait=2)
    observed = room.observe()
    assert (observed.services, observed.network, set(observed.volumes)) == ({}, None, {f"{room.instance}-data"})
    assert room.containers() == []


def test_a_held_port_is_named_with_its_holder_and_the_start_goes_back(room: Room, ports: object) -> None:
    (number,) = ports(1)  # type: ignore[operator]
    room.up(room.bundle(room.service("store", ports=(port(number),))))
    seen = room.engine.observe("another", ports=(("127.0.0.1", number),)).ports
    assert [(p.port, p.who) for p in seen] == [(number, f"the instance {room.instance} (container {room.instance}-store)")]
    with pytest.raises(ApplianceError, match="port is already allocated"):
        room.up(room.bundle(room.service("store", ports=(port(number),)), room.service("edge", ports=(port(number),))))
    assert room.containers() == [f"{room.instance}-store"]


def test_a_stranger_of_the_same_name_is_not_touched(room: Room, engine: docker.DockerClient) -> None:
    stranger = engine.containers.create(room.image, ["true"], name=f"{room.instance}-store")
    try:
        with pytest.raises(ApplianceError, match="that appliance has not made"):
            room.up(room.bundle(room.service("store")))
        stranger.reload()
        assert stranger.status == "created"
    finally:
        stranger.remove(force=True)


# -- the lock -----------------------------------------------------------------------------------------------------------
def test_a_second_apply_is_refused_with_who_when_and_why(room: Room) -> None:
    from appliance.engines.docker.lock import acquire

    room.up(room.bundle(room.service("store")))
    held = acquire(
        room.engine.api,
        room.instance,
        room.image,
        ("store",),
        room.report,
        who="eve@laptop",
        why="up",
        ring=None,
        break_lock=False,
    )
    changed = room.bundle(room.service("store", "two"))
    with pytest.raises(Locked, match=r"locked by eve@laptop since 20.* \(up\)") as caught:
        room.up(changed)
    assert caught.value.code == Exit.LOCKED
    room.up(changed, break_lock=True)
    assert any("eve@laptop" in note for note in room.report.notes)
    with pytest.raises(Locked, match="ended by somebody else"):
        held.run("true", "anything")
    assert room.works_on("store")[0] == "two"


def test_the_lock_ends_with_its_controller(room: Room) -> None:
    from appliance.engines.docker.lock import acquire

    room.up(room.bundle(room.service("store")))
    held = acquire(
        room.engine.api,
        room.instance,
        room.image,
        ("store",),
        room.report,
        who="eve@laptop",
        why="up",
        ring=None,
        break_lock=False,
    )
    held._stream.close()  # what the kernel does to a killed process
    until(lambda: f"{room.instance}-writer" not in room.containers(), "the writer is gone")


def test_nothing_is_done_while_the_plan_refuses(room: Room) -> None:
    room.up(room.bundle(room.service("store")))
    with pytest.raises(ApplianceError, match="ring-2"):
        room.up(room.bundle(room.service("store", "two"), ring="ring-2"))


def _address(room: Room, host: int) -> str:
    return room.network.subnet.replace(".0/24", f".{host}")


def test_connect_is_the_engine_of_the_contract() -> None:
    from appliance.engines.base import Engine

    hands: Engine = connect()
    assert isinstance(hands, DockerEngine)
    hands.close()
