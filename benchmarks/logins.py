"""Logins: how many a second per scheme, what a storm of wrong passwords does to others, what a waiting session weighs."""

from __future__ import annotations

import contextlib
import imaplib
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.keys.passwords import hash_password
from appliance.keys.secret import Secret
from benchmarks import cgroup
from benchmarks.arms import FULL, PASSWORD, USERS, Arm, user
from benchmarks.delivery import quantile, waits
from benchmarks.table import Control, Row
from tests.instances import LABEL, Instances
from tests.integration.mail import trusting

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

ROOM = "logins"
#: scheme → the user whose password is kept by it
SCHEMES = {"ARGON2ID": 0, "BLF-CRYPT": 1, "SSHA512": 2}
ROLES = FULL.replace("postfix:", "dovecot: {sessions: 1000, sessions_per_user: 1000}, postfix:")
SIDE_BY_SIDE, SECONDS, IDLE = 8, 8.0, 2000
STORM = Path(__file__).with_name("storm.py")


def rows(client: docker.DockerClient, instances: Instances) -> Iterator[Row]:
    """Every line of this room."""
    folder = Path(tempfile.mkdtemp(prefix="t-bench-"))
    hashes = [hash_password(Secret(PASSWORD), scheme) for scheme in SCHEMES]
    arm = None
    try:
        arm = Arm(client, instances, folder, "logins", ROLES, "--no-verify", hashes=hashes)
        for scheme, number in SCHEMES.items():
            yield Row(ROOM, f"logins a second, {scheme}", "1/s", rate(arm, user(number)), more_is_better=True)
        yield from storm(client, arm)
        yield from waiting(client, arm)
    finally:
        if arm:
            instances.remove(arm.name)
        shutil.rmtree(folder)


def login(port: int, address: str, context: ssl.SSLContext, password: str = PASSWORD) -> imaplib.IMAP4_SSL:
    """A session that is logged in."""
    session = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=60)
    session.login(address, password)
    return session


def rate(arm: Arm, address: str) -> float:
    """Logins a second, each with a connection and TLS of its own, several side by side."""
    port, context, end = arm.where.ports["imaps"], trusting(), time.monotonic() + SECONDS
    done: list[int] = []

    def work() -> None:
        count = 0
        while time.monotonic() < end:
            login(port, address, context).logout()
            count += 1
        done.append(count)

    side_by_side(work, SIDE_BY_SIDE)
    return sum(done) / SECONDS


def side_by_side(work: Callable[[], None], count: int) -> None:
    """The same work in several threads, to its end."""
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def storm(client: docker.DockerClient, arm: Arm) -> Iterator[Row]:
    """Wrong passwords by the dearest scheme from one address; another user, at another address, logs in and gets mail."""
    load = replace(arm.incoming, messages=60, pause=0.05)
    logins, (_, journeys) = timed(arm), waits(arm, load)
    with attack(client, arm) as attacker:
        stormy, (_, stormy_journeys) = timed(arm), waits(arm, load)
        attempts, own = said(attacker)
    control = Control("who storms, and then logs in from there", max(own))
    delay = quantile(stormy, 0.99) - quantile(logins, 0.99)
    note = f"{attempts} wrong passwords were tried meanwhile"
    yield Row(ROOM, "a storm of wrong passwords delays another's login, p99", "s", delay, 1, None, control=control, note=note)
    delay = (quantile(stormy_journeys, 0.5) - quantile(journeys, 0.5)) / 1000
    yield Row(ROOM, "and a delivery, p50", "s", delay, 0.1, None, control=control)


def timed(arm: Arm, count: int = 30) -> list[float]:
    """Seconds of logins, one after the other."""
    found, context = [], trusting()
    for _ in range(count):
        start = time.monotonic()
        login(arm.where.ports["imaps"], user(SCHEMES["SSHA512"]), context).logout()
        found.append(time.monotonic() - start)
    return found


@contextlib.contextmanager
def attack(client: docker.DockerClient, arm: Arm) -> Iterator[Container]:
    """A container of the instance's network that tries passwords, and at its end logs in as an honest user."""
    networks = client.containers.get(f"{arm.name}-dovecot").attrs["NetworkSettings"]["Networks"]
    host = networks[arm.name]["IPAddress"]
    image = client.containers.get(f"{arm.name}-policy").attrs["Config"]["Image"]
    attacker = client.containers.run(
        image,
        ["python3", "-u", "-c", STORM.read_text(), host, user(0), user(SCHEMES["SSHA512"]), PASSWORD],
        entrypoint=[],
        detach=True,
        labels={LABEL: arm.name},
        network=arm.name,
    )
    try:
        time.sleep(3)
        yield attacker
    finally:
        attacker.remove(force=True)


def said(attacker: Container) -> tuple[int, list[float]]:
    """How many passwords the attacker tried, and the seconds of its own logins; it is told to end."""
    attacker.kill("SIGTERM")
    attacker.wait(timeout=120)
    lines = attacker.logs(stderr=False).decode().split()
    return int(lines[0]), [float(word) for word in lines[1:]]


def waiting(client: docker.DockerClient, arm: Arm) -> Iterator[Row]:
    """Sessions in IDLE (RFC 2177): bytes of each, and that the last is served like the first."""
    before = cgroup.uses(client, arm.name)["dovecot"].memory
    port, context, sessions = arm.where.ports["imaps"], trusting(), []
    lock = threading.Lock()
    numbers = iter(range(IDLE))

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            session = login(port, user(2 + number % (USERS - 2)), context)
            session.select(readonly=True)
            session.send(b"W IDLE\r\n")
            session.readline()
            with lock:
                sessions.append(session)

    side_by_side(work, 4)
    time.sleep(40)  # sleeping sessions are put away after 30 s
    used = cgroup.uses(client, arm.name)["dovecot"].memory - before
    alive = 0
    for session in sessions:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            session.send(b"DONE\r\n")
            while line := session.readline():
                if line.startswith(b"W OK"):
                    alive += 1
                    break
    yield Row(ROOM, f"memory of one of {IDLE} sessions in IDLE", "KB", used / 1000 / max(len(sessions), 1), raw={"alive": alive})
    lost = Control("half of them cut", IDLE / 2)
    yield Row(ROOM, "of them answered at the end", "", alive, IDLE, IDLE, more_is_better=True, control=lost)
    for session in sessions:
        with contextlib.suppress(OSError):
            session.sock.close()
