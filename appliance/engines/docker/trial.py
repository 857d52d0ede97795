"""New files are checked by the daemon itself, then started on and spoken to once, in a throwaway container of the new image.

Nothing of the running service is touched: no network, no volumes, a root file system of its own that goes with it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from appliance.engines.docker import archive, talk
from appliance.engines.docker.archive import Entry, moved, pack
from appliance.engines.docker.files import SELF_READ
from appliance.engines.docker.hand import VOLUMES, remove
from appliance.engines.docker.labels import labels
from appliance.engines.docker.logs import last_lines
from appliance.engines.docker.runtime import NO_HEALTH, hardening
from appliance.engines.docker.site import Site
from appliance.engines.docker.stream import Stream
from appliance.engines.docker.words import blame
from appliance.errors import ApplianceError
from appliance.plan.model import Change
from appliance.render.bundle import ServiceBundle

#: waits for a line on stdin, then becomes the service's own command; ends with its controller, like every hand
GATE = ["sh", "-c", 'read -r go && exec "$@"', "trial"]
AT_ONCE = 4


class Trials:
    """The trials of one apply, in parallel."""

    def __init__(self, site: Site, changes: Sequence[Change]) -> None:
        self.site = site
        self.wanted = [c.bundle for c in changes if c.bundle is not None and self._needed(c)]

    def do(self) -> None:
        """Raises ApplianceError with the daemons' words, of all services whose files are refused."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            # the edge joins most and takes longest: begun last, the others would wait for it alone
            running = [pool.submit(self._one, service) for service in reversed(self.wanted)]
            try:
                while not all(r.done() for r in running):
                    self.site.sleep(0.05)
            except ApplianceError:
                self._cut_off(running)
                raise
        problems = [r.result() for r in running if r.result()]
        if problems:
            raise ApplianceError("\n".join(problems), hint="nothing was disturbed; the running services keep their files")

    def _cut_off(self, running: list[Future[str]]) -> None:
        """Somebody asked to end: without their containers the trials end at once."""
        for future in running:
            future.cancel()
        for service in self.wanted:
            remove(self.site.api, name_of(self.site, service))

    def _needed(self, change: Change) -> bool:
        if change.bundle is None or not (change.bundle.validate.commands or change.bundle.validate.trial):
            return False
        seen = self.site.observed.services.get(change.service)
        return change.parsed or seen is None or seen.runtime.image != change.bundle.runtime.image

    def _one(self, service: ServiceBundle) -> str:
        try:
            Trial(self.site, service).run()
        except ApplianceError as why:
            return why.message
        return ""


def name_of(site: Site, service: ServiceBundle) -> str:
    """The name of a service's trial container."""
    return f"{site.instance}-{service.name}-trial"


class Trial:
    """One service's trial."""

    def __init__(self, site: Site, service: ServiceBundle) -> None:
        self.site, self.api, self.service = site, site.api, service
        self.seconds = service.validate.timeout

    def run(self) -> None:
        """Raises ApplianceError with the daemon's words when it refuses its files."""
        made = str(
            self.api.post("/containers/create", self._body(), name=f"{self.site.instance}-{self.service.name}-trial")["Id"]
        )
        stream: Stream | None = None
        try:
            archive.put(self.api, made, "/", self._config())
            stream = self.api.hijack(f"/containers/{made}/attach", stream=True, stdin=True)
            self.api.post(f"/containers/{made}/start")
            self._commands(made)
            self._dialogue(made, stream)
        finally:
            if stream is not None:
                stream.close()
            remove(self.api, made)

    def _commands(self, container: str) -> None:
        for argv in self.service.validate.commands:
            try:
                result = talk.run(self.api, container, argv, seconds=self.seconds)
            except talk.TimedOut as why:
                raise ApplianceError(blame(self.service, "", str(why))) from None
            # warnings are fatal: `postfix check` answers 0 for an unknown parameter and only says so
            if result.code != 0 or result.stderr.strip():
                words = (result.stderr + b"\n" + (result.stdout if result.code else b"")).decode(errors="replace")
                said = f"refuses its new files ({' '.join(argv)}: {result.code or 'warnings'})"
                raise ApplianceError(blame(self.service, words, said))

    def _dialogue(self, container: str, stream: Stream) -> None:
        if not self.service.validate.trial:
            return
        deadline = time.monotonic() + self.seconds
        stream.send(b"go\n", deadline)
        try:
            result = talk.run(self.api, container, self.service.validate.trial, seconds=self.seconds)
            failed = result.code != 0
            said = (result.stdout + result.stderr).decode(errors="replace")
        except ApplianceError as why:  # it did not end in time, or the daemon died and took the container along
            failed, said = True, why.message
        if failed:
            log = "\n".join(last_lines(self.api, container, 12))
            raise ApplianceError(blame(self.service, f"{said.strip()}\n{log}", "does not work on its new files"))

    def _config(self) -> bytes:
        """/config as the service will see it, from the bytes that were staged, tables included."""
        service, root = self.service, f"config/gen/{self.service.live}"
        staged = archive.get(self.api, self.site.hand.container, f"{VOLUMES}/{service.name}/gen/{service.live}") or []
        live = {f.path for f in service.files if f.on_change in SELF_READ}
        tables = tuple(f"{f.path}." for f in service.files if f.build and f.path in live)
        copies = [e for e in staged if e.path in live or (tables and e.path.startswith(tables))]
        links = [Entry("config/current", b"", link=f"gen/{service.live}")]
        return pack([*moved(staged, root), *moved(copies, "config/live"), *links], time=self.site.time, folders=["config/live"])

    def _body(self) -> dict[str, Any]:
        runtime = self.service.runtime
        return {
            "Image": runtime.image,
            "Cmd": [*GATE, *runtime.command],
            "Hostname": runtime.hostname,
            "User": runtime.user,
            "Env": [f"{name}={value}" for name, value in runtime.env],
            "Labels": labels(self.site.instance, self.service.name, kind="trial"),
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "Healthcheck": NO_HEALTH,
            "HostConfig": {
                **hardening(runtime, self.site.limits),
                "NetworkMode": "none",
                "ExtraHosts": [f"{name}:{address}" for name, address in runtime.hosts],
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            },
        }
