"""A short round of `make chaos` with the controls that must fail; the whole rooms are tests/chaos."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tests.chaos import full, kills, matrix, power
from tests.chaos.cells import tried
from tests.chaos.world import services
from tests.instances import Instances
from tests.integration.running import Appliance

if TYPE_CHECKING:
    import docker

PARTS = {part.name: part for part in matrix.PARTS}
#: cells that take seconds: those that end with a time limit are in `make chaos`
SHORT = (
    ("clamd", "missing"),
    ("clamav-milter", "garbage"),
    ("policy", "garbage"),
    ("quota of the store", "garbage"),
)


@pytest.mark.root
def test_nothing_acknowledged_is_lost_when_two_or_all_are_killed(appliance_up: Appliance) -> None:
    names = tuple(services(appliance_up))
    strikes = [("postfix", "dovecot"), ("clamd", "policy-recipients"), names]
    found = kills.struck(appliance_up, strikes, pause=0.1, rest=False)
    assert found.acknowledged >= 10
    assert (found.lost, found.hard) == ((), {})


def test_what_nobody_kept_is_counted_as_lost(appliance_up: Appliance) -> None:
    assert kills.forgetful(appliance_up) == 100


@pytest.mark.root
@pytest.mark.parametrize(("part", "fault"), SHORT)
def test_mail_waits_or_is_taken_whole(appliance_up: Appliance, part: str, fault: str) -> None:
    cell = tried(appliance_up, PARTS[part], fault)
    assert not cell.wrong, cell


def test_a_filter_that_is_passed_by_is_seen(appliance_up: Appliance) -> None:
    assert matrix.opened(appliance_up, ("policy",)) == 1


def test_the_limits_are_those_that_are_rendered(appliance_up: Appliance) -> None:
    main_cf = appliance_up.exec("postfix", "postconf", "submission_milters", "mx_milters")
    found = {s: float(n) for s, n in re.findall(r"unix:/sock/([^/]+)/[^}]*content_timeout=(\d+)s", main_cf)}
    assert found == {part.service: part.limit for part in PARTS.values() if part.socket == "milter.sock"}


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(not Path("/usr/sbin/mkfs.btrfs").exists(), reason="not run: needs mkfs.btrfs (apt-get install btrfs-progs)")
@pytest.mark.parametrize("room", [power, full], ids=lambda m: m.ROOM)
def test_a_whole_room(engine: docker.DockerClient, instances: Instances, room: ModuleType) -> None:
    for row in room.rows(engine, instances):
        assert row.verdict in ("goal", "floor", "context"), row
