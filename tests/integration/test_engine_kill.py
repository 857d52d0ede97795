"""The controller is killed, or a step fails, between any two steps of an apply that has one change of each kind.

Killed: the next plan sees a pending change, and the next apply converges. Failed: everything is as it was before.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import docker
import pytest

from appliance.engines.docker.engine import connect
from appliance.engines.docker.steps import Runner, Step
from appliance.errors import ApplianceError, Exit
from appliance.render.bundle import Bundle
from tests.integration.engine_room import Room, base_image, until
from tests.reports import Recorder

#: every n-th step in the usual run; all of them in the slow one
SAMPLE = 7


@pytest.fixture
def room(engine: docker.DockerClient, instance: str) -> Iterator[Room]:
    hands = connect()
    yield Room(hands, instance, base_image(engine))
    hands.close()


def two_states(room: Room) -> tuple[Bundle, Bundle]:
    """Two wishes; from either to the other leads one update, reload, restart, replace, remove and create."""
    one = room.bundle(
        room.service("first", users="alice"),
        room.service("second", "one"),
        room.service("third", "one", start="a"),
        room.service("fourth", "one", memory=64 << 20),
        room.service("fifth", "one"),
    )
    two = room.bundle(
        room.service("first", users="bob"),
        room.service("second", "two"),
        room.service("third", "two", start="b"),
        room.service("fourth", "two", memory=80 << 20),
        room.service("sixth", "one", after=("fourth",)),
    )
    return one, two


def state(room: Room) -> dict[str, tuple[object, ...]]:
    """What must be equal before and after an apply that went back."""
    observed = room.observe()
    found: dict[str, tuple[object, ...]] = {
        name: (s.state, s.runtime, s.current, s.loaded, s.unsettled, *room.works_on(name))
        for name, s in observed.services.items()
    }
    found["containers"] = tuple(room.containers())
    found["releases"] = tuple(sorted({m.release for m in room.engine.history(room.instance)}))
    return found


def texts_of_steps(room: Room, wanted: Bundle) -> list[str]:
    """The texts of the steps from here to there, by an apply that fails before its first."""
    seen: list[str] = []

    class Looking(Runner):
        def run(self, steps: Sequence[Step]) -> None:
            seen.extend(f"{s.group}: {s.text}" for s in steps)
            raise ApplianceError("only looking")

    with pytest.raises(ApplianceError, match="only looking"):
        room.up(wanted, runner=Looking)
    return seen


def killed(room: Room, wanted: Bundle, at: int, closing: bool = False) -> None:
    """A controller of its own begins the apply and is gone before step ``at``, as by SIGKILL: nothing is closed or undone.

    ``closing``: count the steps that follow the last one that can fail.
    """
    order = room.plan(wanted)
    child = os.fork()
    if child == 0:
        try:

            class Dying(Runner):
                closes = False

                def before(self, number: int, step: Step) -> None:
                    if number == at and self.closes == closing:
                        os.kill(os.getpid(), signal.SIGKILL)

                def close(self, steps: Sequence[Step]) -> None:
                    self.closes = True
                    super().close(steps)

            hands = connect()
            hands.runner = Dying
            hands.apply(order, lambda ref: b"KEY", Recorder(), who="dying@here", why="up", wait=15, break_lock=False)
        finally:
            os._exit(17)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the controller ended by itself: {status}"
    until(lambda: f"{room.instance}-writer" not in room.containers(), "the lock is free")


def every_kill(room: Room, stride: int) -> None:
    one, two = two_states(room)
    room.up(one)
    number = len(texts_of_steps(room, two))
    assert number > 30
    here, there = one, two
    for at in range(0, number, stride):
        killed(room, there, at)
        assert not room.plan(there).empty, f"killed before step {at}, and nothing is pending"
        # whoever goes back to the old spec must see what was half done as well
        room.up(there)
        assert room.plan(there).empty, f"killed before step {at}: {room.plan(there)}"
        for service in there.services:
            users = "ALICE" if service.file("users").digest == one.services[0].file("users").digest else "BOB"  # type: ignore[union-attr]
            loaded = service.file("main.cf").data.decode()  # type: ignore[union-attr]
            assert room.works_on(service.name) == (loaded, users), f"killed before step {at}: {service.name}"
        assert room.containers() == sorted(f"{room.instance}-{s.name}" for s in there.services)
        here, there = there, here


def every_failure(room: Room, stride: int) -> None:
    one, two = two_states(room)
    room.up(one)
    steps = texts_of_steps(room, two)
    before = state(room)

    for at in range(1, len(steps) + 1, stride):

        class Failing(Runner):
            def before(self, number: int, step: Step, at: int = at) -> None:
                if number == at:
                    raise ApplianceError("the test says no")

            def run(self, steps: Sequence[Step], at: int = at) -> None:
                def refuse() -> None:
                    raise ApplianceError("the test says no")

                super().run([*steps[:at], Step("test", "failing", refuse)])

        with pytest.raises(ApplianceError, match="the test says no\n  everything was put back"):
            room.up(two, runner=Failing)
        assert state(room) == before, f"failed after step {at}: {steps[at - 1]}"


def test_killed_between_some_steps_the_next_apply_converges(room: Room) -> None:
    every_kill(room, SAMPLE)


def test_failed_after_some_steps_everything_is_as_before(room: Room) -> None:
    every_failure(room, SAMPLE)


def test_killed_while_it_clears_away_the_next_apply_goes_on_with_it(room: Room) -> None:
    one, two = two_states(room)
    room.up(one)
    for at, here, there in ((0, one, two), (1, two, one), (2, one, two)):
        killed(room, there, at, closing=True)
        assert room.plan(there).settle, f"killed before step {at} of the closing"
        room.up(there)
        assert room.plan(there).empty
        assert room.containers() == sorted(f"{room.instance}-{s.name}" for s in there.services)
        assert room.works_on("fourth") == (there.service("fourth").file("main.cf").data.decode(), "ALICE")  # type: ignore[union-attr]
        assert here != there


@pytest.mark.slow
def test_killed_between_any_two_steps_the_next_apply_converges(room: Room) -> None:
    every_kill(room, 1)


@pytest.mark.slow
def test_failed_after_any_step_everything_is_as_before(room: Room) -> None:
    every_failure(room, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits_everything_goes_back_and_the_exit_code_says_so(room: Room, number: int) -> None:
    before = room.bundle(room.service("first"))
    room.up(before)

    class Interrupting(Runner):
        def before(self, _number: int, step: Step) -> None:
            if "waiting" in step.text:
                os.kill(os.getpid(), number)

    with pytest.raises(ApplianceError, match="interrupted") as caught:
        room.up(room.bundle(room.service("first", "two", memory=80 << 20)), runner=Interrupting)
    assert caught.value.code == Exit.INTERRUPTED
    assert room.plan(before).empty
    assert room.works_on("first") == ("one", "ALICE")


def test_going_back_to_the_old_spec_after_a_kill_repairs_the_live_files(room: Room) -> None:
    """Killed after live files changed and before the link did: the old spec's plan must not be empty."""
    old, new = room.bundle(room.service("first")), room.bundle(room.service("first", users="bob"))
    room.up(old)
    texts = texts_of_steps(room, new)
    killed(room, new, texts.index("first: switching to the new files"))
    assert room.sh("first", "cat /config/live/users.db") == "BOB"
    assert not room.plan(old).empty
    room.up(old)
    assert room.works_on("first") == ("one", "ALICE")
    assert room.plan(old).empty


def test_interrupted_while_new_files_are_tried(room: Room) -> None:
    before = room.bundle(room.service("first"))
    room.up(before)
    slow = room.service("first", "two")
    slow = replace(slow, validate=replace(slow.validate, commands=(("sleep", "40"),), timeout=60))
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    begin = time.monotonic()
    with pytest.raises(ApplianceError, match="interrupted") as caught:
        room.up(room.bundle(slow))
    assert caught.value.code == Exit.INTERRUPTED
    assert time.monotonic() - begin < 20
    assert room.plan(before).empty
    assert room.containers() == [f"{room.instance}-first"]


def test_what_was_cut_off_stays_known_when_the_next_apply_fails_too(room: Room) -> None:
    """The daemon still runs on the old files, whatever was tried since: `unsettled` keeps naming them."""
    old = room.bundle(room.service("first"))
    room.up(old)
    new = room.bundle(room.service("first", "two"))
    killed(room, new, texts_of_steps(room, new).index("first: the reload"))
    was = room.observe().services["first"]
    assert (was.loaded, was.unsettled) == (None, old.service("first").live)

    class Failing(Runner):
        def run(self, steps: Sequence[Step]) -> None:
            def refuse() -> None:
                raise ApplianceError("the test says no")

            super().run([*steps, Step("test", "failing", refuse)])

    with pytest.raises(ApplianceError, match="the test says no"):
        room.up(room.bundle(room.service("first", "three")), runner=Failing)
    now = room.observe().services["first"]
    assert (now.current, now.loaded, now.unsettled) == (was.current, None, was.unsettled)
    assert room.actions(new) == {"first": "reload"}
    room.up(new)
    assert room.works_on("first")[0] == "two"
