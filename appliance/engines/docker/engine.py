"""The Docker engine as one object: connect() and the things that engines.base asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import docker

from appliance.engines.base import ExecResult, Report, SecretSource
from appliance.engines.docker import archive, labels, talk
from appliance.engines.docker.answer import answer
from appliance.engines.docker.api import Api, Refused
from appliance.engines.docker.apply import apply
from appliance.engines.docker.connect import open_client
from appliance.engines.docker.down import down
from appliance.engines.docker.history import records
from appliance.engines.docker.interact import interact
from appliance.engines.docker.logs import logs
from appliance.engines.docker.memory import memory
from appliance.engines.docker.observe import observe, read_manifest, with_manifests
from appliance.engines.docker.steps import Runner, nothing
from appliance.errors import ApplianceError
from appliance.observed import Manifest, Observed
from appliance.plan.model import Plan


def connect(host: str | None = None) -> DockerEngine:
    """The engine that DOCKER_HOST (or ``host``) names. Raises Unavailable, with what to do."""
    reached = open_client(host)
    return DockerEngine(reached.client, reached.where, reached.close, reached.shell)


class DockerEngine:
    """One host through the Docker API. ``client``: the docker SDK's client; ``where``: unix (this machine), tcp or ssh.

    ``shell``: argv of a shell on that host, with which observe() looks how dockerd was started; empty where there is none.
    """

    runner: type[Runner] = Runner

    def __init__(
        self, client: docker.DockerClient, where: str = "unix", close: Callable[[], None] = nothing, shell: Sequence[str] = ()
    ) -> None:
        self.client, self.where, self._close, self.shell = client, where, close, shell
        self.api = Api(client)

    def close(self) -> None:
        """Ends the connection, and the ssh below it."""
        self.client.close()
        self._close()

    @property
    def local(self) -> bool:
        """Whether the engine's host is this machine."""
        return self.where == "unix"

    def observe(self, instance: str, *, ports: Sequence[tuple[str, int]] = (), manifests: bool = True) -> Observed:
        """The instance as it is; see observe.py."""
        observed = observe(self.api, instance, ports, local=self.local, shell=self.shell)
        return with_manifests(self.api, observed) if manifests else observed

    def manifests(self, observed: Observed, wanted: Mapping[str, str]) -> Observed:
        """The same with the manifests of those services read whose live digest is not the wanted one."""
        return with_manifests(self.api, observed, wanted)

    def read(self, instance: str, service: str, live: str) -> Mapping[str, bytes]:
        """The files of a generation by path; those that hold secrets read b"". Empty when there is no such generation."""
        for name in (labels.container(instance, service), labels.previous(instance, service)):
            try:
                entries = archive.get(self.api, name, f"/config/gen/{live}")
                manifest = read_manifest(self.api, name, f"/config/gen/{live}/manifest.json")
            except Refused as why:
                if why.status == 404:
                    continue
                raise
            if entries is not None and manifest is not None:
                marks = manifest.files
                return {e.path: b"" if marks[e.path].ref else e.data for e in entries if e.path in marks}
        return {}

    def history(self, instance: str) -> tuple[Manifest, ...]:
        """The records of all releases kept, newest first: one Manifest per service and release."""
        return records(self.api, instance)

    def apply(
        self, plan: Plan, secrets: SecretSource, report: Report, *, who: str, why: str, wait: int, break_lock: bool
    ) -> None:
        """Carries out the plan; see apply.py."""
        apply(
            self.api,
            plan,
            secrets,
            report,
            who=who,
            why=why,
            wait=wait,
            break_lock=break_lock,
            local=self.local,
            runner=self.runner,
        )

    def exec(
        self, instance: str, service: str, argv: Sequence[str], *, stdin: bytes = b"", user: str = "", timeout: int = 60
    ) -> ExecResult:
        """Runs a command in a running container. Raises ApplianceError when there is none, or it does not end in time."""
        try:
            return talk.run(self.api, labels.container(instance, service), argv, stdin=stdin, user=user, seconds=timeout)
        except Refused as why:
            if why.status in (404, 409):
                raise ApplianceError(f"{service} does not run in {instance}", hint="`appliance ps` shows what does") from None
            raise

    def interact(self, instance: str, service: str, argv: Sequence[str], *, user: str = "", tty: bool = False) -> int:
        """Runs a command on this process's own stdin, stdout and stderr; returns its exit code."""
        try:
            return interact(self.api, labels.container(instance, service), argv, user=user, tty=tty)
        except Refused as why:
            if why.status in (404, 409):
                raise ApplianceError(f"{service} does not run in {instance}", hint="`appliance ps` shows what does") from None
            raise

    def memory(self, instance: str) -> Mapping[str, int]:
        """service → bytes of memory in use, of those that run; takes about a second."""
        return memory(self.api, instance)

    def logs(
        self, instance: str, services: Sequence[str], *, follow: bool, tail: int | None, since: int | None
    ) -> Iterator[tuple[str, bytes]]:
        """(service, line) pairs; see logs.py."""
        return logs(self.api, instance, services, follow=follow, tail=tail, since=since)

    def answer(
        self, instance: str, path: str, content: bytes, *, addresses: Sequence[str], port: int
    ) -> AbstractContextManager[None]:
        """One file at one port of the host; see answer.py."""
        services = self.api.get("/containers/json", filters=labels.of_instance(instance, "service"))
        if not services:
            raise ApplianceError(f"{instance} does not run here", hint="`appliance up` starts it")
        image = str(services[0]["ImageID"])
        return answer(self.api, instance, image, path, content, addresses=addresses, port=port, local=self.local)

    def down(self, instance: str, report: Report, *, volumes: bool, break_lock: bool) -> None:
        """Removes the instance; see down.py."""
        down(self.api, instance, report, volumes=volumes, break_lock=break_lock)
