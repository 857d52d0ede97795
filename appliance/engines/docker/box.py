"""A service's container in one apply: made, replaced, restarted, reloaded, waited for; and each of it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from appliance.engines.docker import labels, talk
from appliance.engines.docker.api import Refused
from appliance.engines.docker.hand import remove
from appliance.engines.docker.keep import keep_last_words
from appliance.engines.docker.logs import last_lines
from appliance.engines.docker.runtime import create_arguments
from appliance.engines.docker.site import Site
from appliance.errors import ApplianceError
from appliance.observed import ObservedService
from appliance.render.bundle import WAITING, Health, ServiceBundle

#: restarts by the engine after which a service that dies at once is not waited for any longer
CRASHES = 4
#: seconds that a service without a health command must run to count as up
STEADY = 1.0


class Box:
    """The container of one service. ``seen``: the service as it was, None for a new one; ``service``: None when it goes."""

    def __init__(self, site: Site, name: str, service: ServiceBundle | None, seen: ObservedService | None) -> None:
        self.site, self.api, self.service, self.seen = site, site.api, service, seen
        self.name, self.previous = labels.container(site.instance, name), labels.previous(site.instance, name)
        self.acted = False

    # -- forth -------------------------------------------------------------------------------------------------------
    def settle(self) -> None:
        """What a cut-off apply left: the old container takes its name again where there is no new one, else it goes."""
        if self._inspect(self.name) is None:
            self.api.post(f"/containers/{self.previous}/rename", name=self.name)
        else:
            remove(self.api, self.previous)

    def retire(self) -> None:
        """The present container takes the name that it waits under."""
        self.api.post(f"/containers/{self.name}/rename", name=self.previous)

    def create(self) -> None:
        """A new container, not started."""
        service = self._wanted()
        arguments = create_arguments(
            service.runtime, instance=self.site.instance, service=service.name, ring=self.site.ring, limits=self.site.limits
        )
        try:
            self.api.post("/containers/create", arguments, name=self.name)
        except Refused as why:
            if why.status == 409 and self._stranger():
                raise ApplianceError(
                    f"a container {self.name} exists that appliance has not made", hint="rename or remove it, or set another name"
                ) from None
            raise

    def stop_previous(self) -> None:
        """The old container stops: ports and addresses become free."""
        self._stop(self.previous)

    def start(self) -> None:
        """Starts the container."""
        self._start(self.name)

    def restart(self) -> None:
        """Stops and starts the container."""
        if (self._inspect(self.name) or {}).get("State", {}).get("Paused"):
            self.api.post(f"/containers/{self.name}/unpause")
        self.api.post(f"/containers/{self.name}/restart", timeout=self._patience(), t=self._grace())

    def reload(self) -> None:
        """The service's own reload command."""
        self._reload(self._wanted().reload)

    def arm(self) -> None:
        """Nothing has been done to the daemon yet: going back needs no second reload."""
        self.acted = False

    def act(self, act: Callable[[], None]) -> None:
        """Reloads or restarts, and remembers that it did."""
        self.acted = True
        act()

    def dismiss(self) -> None:
        """The old container goes; what it said last stays in the configuration volume, where `appliance logs` finds it."""
        if self._inspect(self.previous):
            keep_last_words(self.site, self.previous, self.service)
            remove(self.api, self.previous)

    def healthy(self) -> None:
        """Waits until the service can do its work, by our own probes: the engine's would come every 30 seconds only."""
        runtime = self._wanted().runtime
        self._until_healthy(runtime.health, time.monotonic() + self.site.wait)

    # -- back --------------------------------------------------------------------------------------------------------
    def create_back(self) -> None:
        """The new container goes, if it is ours."""
        found = self._inspect(self.name)
        if found and not self._stranger() and self._is_new(found):
            remove(self.api, self.name)

    def retire_back(self) -> None:
        """The old container takes its name again."""
        if self._inspect(self.previous) and not self._inspect(self.name):
            self.api.post(f"/containers/{self.previous}/rename", name=self.name)

    def stop_previous_back(self) -> None:
        """The old container runs again, if it ran."""
        if self.seen and self.seen.state in ("running", "restarting"):
            found = self._inspect(self.previous)
            if found and not found["State"]["Running"]:
                self._start(self.previous)

    def start_back(self) -> None:
        """Stopped, as it was."""
        found = self._inspect(self.name)
        if found and self._is_running(found):
            self._stop(self.name)

    def back(self, back: Callable[[], None]) -> None:
        """Tells the daemon to read the old files again, if it was told to read the new ones."""
        if self.acted:
            back()

    def restart_back(self) -> None:
        """Restarted on the old files."""
        self.restart()

    def reload_back(self) -> None:
        """Reloaded on the old files; by a restart where the old daemon does not listen any more."""
        old = self.seen.manifest.reload if self.seen and self.seen.manifest else ()
        try:
            self._reload(old or self._wanted().reload)
        except ApplianceError:
            self.restart()

    # -- by the engine -----------------------------------------------------------------------------------------------
    def _until_healthy(self, health: Health | None, deadline: float) -> None:
        pause, said, steady = 0.05, "", 0.0
        crashes = int((self._inspect(self.name) or {}).get("RestartCount", 0)) + CRASHES
        while True:
            found = self._inspect(self.name)
            if found is None:
                raise ApplianceError(f"{self.name} was removed by somebody else")
            running = self._is_running(found)
            if running and health is not None:
                code, said = self._probe(health)
                if code == WAITING:
                    self.site.report.note(f"{self.name}: {said}")
                if code in (0, WAITING):
                    return
            elif running:
                steady = steady or time.monotonic()
                if time.monotonic() - steady >= STEADY:
                    return
            else:
                steady, said = 0.0, f"it is {found['State']['Status']} (exit code {found['State']['ExitCode']})"
            if time.monotonic() > deadline or int(found.get("RestartCount", 0)) >= crashes or self._gone(found):
                raise ApplianceError(self._why(said), hint=f"`appliance logs {self._wanted().name}`")
            self.site.sleep(pause)
            pause = min(pause * 1.6, 1.0)

    def _probe(self, health: Health) -> tuple[int, str]:
        """How the health command ended, 0 for a service that can do its work, and what it said."""
        try:
            result = talk.run(self.api, self.name, health.command, seconds=health.timeout)
        except talk.TimedOut as why:
            return 1, str(why)
        except Refused as why:
            return 1, why.words  # it died between two looks
        words = (result.stdout + result.stderr).decode(errors="replace").strip()
        return result.code, words or f"its health command ended with {result.code}"

    def _why(self, said: str) -> str:
        lines = last_lines(self.api, self.name, 12)
        last = "".join(f"\n    {line}" for line in lines)
        return f"{self.name} cannot do its work: {said or 'no answer'}" + (f"\n  its last words:{last}" if lines else "")

    def _reload(self, argv: tuple[str, ...]) -> None:
        result = talk.run(self.api, self.name, argv, seconds=60)
        if result.code != 0:
            words = (result.stderr + result.stdout).decode(errors="replace").strip()
            raise ApplianceError(f"{self.name} does not reload ({' '.join(argv)}, {result.code}): {words}")

    def _start(self, container: str) -> None:
        self.api.post(f"/containers/{container}/start")

    def _stop(self, container: str) -> None:
        if (self._inspect(container) or {}).get("State", {}).get("Paused"):
            self.api.post(f"/containers/{container}/unpause")
        self.api.post(f"/containers/{container}/stop", timeout=self._patience(), t=self._grace())

    def _grace(self) -> int:
        """Seconds between SIGTERM and SIGKILL."""
        runtime = self.seen.runtime if self.seen else self._wanted().runtime
        return runtime.stop_timeout

    def _patience(self) -> float:
        return self._grace() + 30.0

    def _wanted(self) -> ServiceBundle:
        if self.service is None:
            raise ApplianceError(f"{self.name} is to be removed and has nothing wanted")
        return self.service

    def _inspect(self, container: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = self.api.get(f"/containers/{container}/json")
        except Refused as why:
            if why.status == 404:
                return None
            raise
        return found

    def _stranger(self) -> bool:
        found = self._inspect(self.name)
        return bool(found) and (found or {})["Config"]["Labels"].get(labels.INSTANCE) != self.site.instance

    def _is_new(self, found: Mapping[str, Any]) -> bool:
        return self.seen is None or found["Id"] != self.seen.container_id

    @staticmethod
    def _is_running(found: Mapping[str, Any]) -> bool:
        # "Running" stays true while the engine waits before it starts a crashed container again
        return bool(found["State"]["Running"]) and not found["State"]["Restarting"] and not found["State"]["Paused"]

    @staticmethod
    def _gone(found: Mapping[str, Any]) -> bool:
        """Ended for good: no restart policy brings it back."""
        return found["State"]["Status"] in ("exited", "dead")
