"""What was answered 250 survives: SIGKILL of each container and of all at once, and a start in any order."""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time

import pytest

from tests.integration.mail import arrive, submit, until_accepted, wait_for
from tests.integration.running import Appliance


class Ledger(threading.Thread):
    """A sender that notes every Message-ID answered 250 before it sends the next."""

    def __init__(self, where: Appliance) -> None:
        super().__init__(daemon=True)
        self.where, self.over, self.acknowledged = where, threading.Event(), set[str]()

    def run(self) -> None:
        """Sends until told to stop."""
        while not self.over.is_set():
            ident = f"ledger-{secrets.token_hex(6)}@tests"
            if arrive(self.where, ident, timeout=10).accepted:
                self.acknowledged.add(ident)
            else:
                time.sleep(0.05)

    def stop(self) -> set[str]:
        """Ends it; returns the acknowledged Message-IDs."""
        self.over.set()
        self.join(timeout=30)
        return self.acknowledged


def services(where: Appliance) -> list[str]:
    return [s.name for s in where.app.bundle().services]


def kill(where: Appliance, *names: str) -> None:
    """SIGKILL by the host's pid: after `docker kill` the engine would not start it again."""
    for name in names:
        pid = where.client.containers.get(f"{where.name}-{name}").attrs["State"]["Pid"]
        if pid:
            os.kill(pid, signal.SIGKILL)


def running(where: Appliance, names: list[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        states = {n: where.client.containers.get(f"{where.name}-{n}").status for n in names}
        if set(states.values()) == {"running"}:
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.1)


@pytest.mark.root
def test_no_acknowledged_mail_is_lost_by_sigkill(appliance_up: Appliance) -> None:
    assert until_accepted(lambda: arrive(appliance_up, "before@tests")).accepted
    names, ledger = services(appliance_up), Ledger(appliance_up)
    ledger.start()
    for victims in [[n] for n in names] + [names]:
        before = len(ledger.acknowledged)
        kill(appliance_up, *victims)
        running(appliance_up, names)
        assert until_accepted(lambda: arrive(appliance_up, f"after-{secrets.token_hex(3)}@tests")).accepted, victims
        deadline = time.monotonic() + 30
        while len(ledger.acknowledged) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    acknowledged = ledger.stop()
    assert len(acknowledged) >= 3 * len(names)
    found = wait_for(appliance_up, acknowledged, seconds=120)
    lost = acknowledged - set(found)
    twice = [i for i in acknowledged if found.get(i, 0) > 1]
    queue = appliance_up.exec("postfix", "postqueue", "-p")
    assert not lost, f"{len(lost)} of {len(acknowledged)} not in the mailbox ({len(twice)} twice); the queue:\n{queue[-1500:]}"


@pytest.mark.parametrize("order", ["backwards", "shuffled"])
def test_services_start_in_any_order(appliance_up: Appliance, order: str) -> None:
    names = services(appliance_up)
    containers = {n: appliance_up.client.containers.get(f"{appliance_up.name}-{n}") for n in names}
    for name in names:
        containers[name].stop(timeout=10)
    names.reverse()
    if order == "shuffled":
        random.Random(20261124).shuffle(names)  # noqa: S311
    for name in names:
        containers[name].start()
    ident = f"order-{secrets.token_hex(4)}@tests"
    assert until_accepted(lambda: submit(appliance_up, ident), seconds=90).accepted
    assert ident in wait_for(appliance_up, {ident}, "bob@example.org")
    assert appliance_up.cli("plan", "--detailed-exitcode", check=False).returncode == 0
