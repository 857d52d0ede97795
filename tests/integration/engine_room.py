"""Small services for the engine's tests: a shell that loads its settings like a daemon, and says which it has loaded.

Its settings, ``main.cf``, hold words: ``die`` and it ends at once, ``sick`` and it never can do its work, ``wrong`` and its check
refuses them, ``mute`` and its check is silent but nobody answers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import docker

from appliance.engines.docker.engine import DockerEngine
from appliance.engines.docker.steps import Runner
from appliance.images.build import build
from appliance.images.lock import read
from appliance.images.tags import tags
from appliance.observed import Observed
from appliance.plan import Plan, plan
from appliance.plan.build import without_keys
from appliance.render.bundle import (
    AnyFile,
    Bundle,
    File,
    Health,
    Mount,
    NetworkBundle,
    OnChange,
    Port,
    Runtime,
    SecretFile,
    ServiceBundle,
    Validate,
    VolumeBundle,
)
from tests.reports import Recorder

#: loads settings at start and on SIGHUP, as a daemon does; /tmp/loaded is what it works on
DAEMON = """
load() { cat /config/current/main.cf > /tmp/loaded; echo "loaded $(cat /tmp/loaded)"; }
trap 'exit 0' TERM; trap load HUP
load; grep -q die /tmp/loaded && { echo "dying of its settings" >&2; exit 3; }
touch /tmp/up
while :; do sleep 60 & wait $!; done
"""
HEALTH = b"test -e /tmp/up && ! grep -q sick /tmp/loaded || { echo 'I am sick'; exit 1; }\n"
CHECK = ("sh", "-c", "! grep -n wrong /config/current/main.cf /dev/null >&2")
TRIAL = (
    "for n in 1 2 3 4 5 6 7 8 9 10; do grep -q . /tmp/loaded 2>/dev/null && break; sleep 0.1; done; ! grep -q mute /tmp/loaded"
)
RELOAD = "kill -HUP 1; for n in 1 2 3 4 5 6 7 8 9; do cmp -s /tmp/loaded /config/current/main.cf && exit; sleep 0.1; done; exit 1"
VALIDATE = Validate((CHECK,), ("sh", "-c", TRIAL), timeout=10)


def base_image(client: docker.DockerClient) -> str:
    """The tag of the base image, built when it is missing."""
    lock = read(Path("/nonexistent"))
    build(client, ["base"], lock, Recorder())
    return tags(lock)["base"]


class Room:
    """One instance of small services on the machine's engine."""

    def __init__(self, engine: DockerEngine, instance: str, image: str) -> None:
        self.engine, self.instance, self.image = engine, instance, image
        self.network = self._free_network()
        self.report = Recorder()

    def service(
        self,
        name: str,
        main: str = "one",
        *,
        users: str = "alice",
        start: str = "",
        after: tuple[str, ...] = (),
        **runtime: object,
    ) -> ServiceBundle:
        """A service whose settings are ``main``; ``users`` stands in a live file with a table; ``start`` needs a restart."""
        files: list[AnyFile] = [
            _file("main.cf", main, "reload"),
            _file(
                "users",
                users,
                "map",
                mode=0o440,
                owner=(0, 903),
                secret=True,
                build=("sh", "-c", "tr a-z A-Z < {path} > {path}.db"),
            ),
            _file("start.cf", start, "restart"),
            File("health.sh", HEALTH, 0o444, (0, 0), "none", "templates/health.sh"),
            SecretFile("tls/key.pem", f"{name}/key.pem", "5f3a", 0o400, (903, 903), "reload", "role.yml"),
        ]
        made = Runtime(
            image=self.image,
            command=("sh", "-c", DAEMON),
            hostname="mail.example.org",
            memory=64 << 20,
            pids=64,
            nofile=1024,
            mounts=(Mount(f"{self.instance}-{name}-config", "/config", True), Mount(f"{self.instance}-data", "/data")),
            tmpfs=(("/tmp", "mode=1777,size=8m"),),  # noqa: S108
            network=self.instance,
            stop_timeout=5,
            health=Health(("sh", "/config/live/health.sh")),
        )
        settled = replace(made, **runtime)  # type: ignore[arg-type]
        reload = ("sh", "-c", RELOAD)
        return ServiceBundle(name, "x", settled, tuple(sorted(files, key=lambda f: f.path)), reload, VALIDATE, after)

    def bundle(self, *services: ServiceBundle, ring: str = "ring-1") -> Bundle:
        """The instance with these services."""
        data = f"{self.instance}-data"
        names = sorted({m.volume for s in services for m in s.runtime.mounts} | {data})
        volumes = tuple(VolumeBundle(name, state=name == data, holds="data" if name == data else "") for name in names)
        return Bundle(self.instance, self.network, volumes, services, ring)

    def observe(self) -> Observed:
        """What is there; the base image counts as one of ours."""
        observed = self.engine.observe(self.instance)
        return replace(observed, images=observed.images | {self.image})

    def plan(self, bundle: Bundle) -> Plan:
        """The plan from what is there to the bundle."""
        return without_keys(plan(bundle, self.observe()))

    def up(self, bundle: Bundle, *, wait: int = 15, runner: type[Runner] = Runner, break_lock: bool = False) -> Plan:
        """Plans and applies; returns the plan."""
        order = self.plan(bundle)
        self.engine.runner = runner
        self.engine.apply(order, secret, self.report, who="tester@here", why="up", wait=wait, break_lock=break_lock)
        return order

    def actions(self, bundle: Bundle) -> dict[str, str]:
        """service → action of the plan, without those that are kept."""
        return {c.service: c.action for c in self.plan(bundle).changes if c.action != "keep"}

    def sh(self, service: str, script: str) -> str:
        """The output of a script inside a service."""
        result = self.engine.exec(self.instance, service, ["sh", "-c", script])
        assert result.code == 0, (script, result)
        return result.stdout.decode()

    def works_on(self, service: str) -> tuple[str, str]:
        """(settings that the daemon has loaded, its live table)."""
        loaded, table = self.sh(service, "cat /tmp/loaded; echo; cat /config/live/users.db").split("\n")
        return loaded, table

    def containers(self) -> list[str]:
        """Names of all containers of the instance."""
        found = self.engine.api.get("/containers/json", all=True, filters={"label": [f"appliance.instance={self.instance}"]})
        return sorted(c["Names"][0].lstrip("/") for c in found)

    def _free_network(self) -> NetworkBundle:
        taken = [ip_network(r, strict=False) for r in self.engine.observe(self.instance).host.routes]
        first = int(hashlib.sha256(self.instance.encode()).hexdigest(), 16)
        for n in range(256):
            third = (first + n) % 256
            subnet = ip_network(f"198.19.{third}.0/24")
            if not any(t.version == 4 and t.overlaps(subnet) for t in taken):
                return NetworkBundle(self.instance, str(subnet), f"198.19.{third}.1", f"198.19.{third}.128/25")
        raise OSError("no free subnet")


def _file(path: str, text: str, on_change: OnChange, **more: object) -> File:
    mode, owner = more.pop("mode", 0o444), more.pop("owner", (0, 0))
    return File(path, text.encode(), mode, owner, on_change, f"templates/{path}.j2", **more)  # type: ignore[arg-type]


def secret(ref: str) -> bytes:
    """The test's key ring."""
    return b"KEY of " + ref.encode()


def until(true: Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Polls until something is true, with a deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def port(number: int) -> Port:
    """A listener on loopback."""
    return Port("smtp", "127.0.0.1", number, 25)
