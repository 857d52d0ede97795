"""What every engine answers and takes. Plain data, so that the plan stays pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from appliance.observed import Manifest, Observed
from appliance.plan import Plan


@dataclass(frozen=True)
class ExecResult:
    """The end of a command inside a service's container."""

    code: int
    stdout: bytes
    stderr: bytes


class Report(Protocol):
    """Progress, as the engines tell it; cli shows it as lines, as an animation or as JSON lines."""

    def start(self, step: str, text: str) -> None:
        """A step of that name begins."""

    def done(self, step: str, text: str = "") -> None:
        """The step ended well."""

    def failed(self, step: str, text: str) -> None:
        """The step failed."""

    def note(self, text: str) -> None:
        """Something worth a line."""


SecretSource = Callable[[str], bytes]  # ref → bytes of the ring; raises ApplianceError


class Engine(Protocol):
    """One host's hands."""

    def observe(self, instance: str, *, ports: Sequence[tuple[str, int]] = (), manifests: bool = True) -> Observed:
        """Everything the plan needs, without changing anything; ``ports``: (address, port) pairs to look up holders of.

        ``manifests`` False leaves them out, which is several times faster on old engines; see ``manifests``.
        """

    def manifests(self, observed: Observed, wanted: Mapping[str, str]) -> Observed:
        """The same with the manifests of those services that are not on the ``wanted`` live digest (service → digest)."""

    def read(self, instance: str, service: str, live: str) -> Mapping[str, bytes]:
        """The files of a generation by path; those whose bytes come from the key ring read b""."""

    def history(self, instance: str) -> tuple[Manifest, ...]:
        """All manifests of all generations kept, newest first."""

    def apply(
        self, plan: Plan, secrets: SecretSource, report: Report, *, who: str, why: str, wait: int, break_lock: bool
    ) -> None:
        """Carries out the plan; on failure all is put back and ApplianceError raised. ``wait``: seconds until healthy."""

    def exec(
        self, instance: str, service: str, argv: Sequence[str], *, stdin: bytes = b"", user: str = "", timeout: int = 60
    ) -> ExecResult:
        """Runs a command in a running container."""

    def interact(self, instance: str, service: str, argv: Sequence[str], *, user: str = "", tty: bool = False) -> int:
        """Runs a command on this process's own stdin, stdout and stderr; returns its exit code."""

    def memory(self, instance: str) -> Mapping[str, int]:
        """service → bytes of memory in use, of those that run."""

    def logs(
        self, instance: str, services: Sequence[str], *, follow: bool, tail: int | None, since: int | None
    ) -> Iterator[tuple[str, bytes]]:
        """(service, line) pairs."""

    def answer(
        self, instance: str, path: str, content: bytes, *, addresses: Sequence[str], port: int
    ) -> AbstractContextManager[None]:
        """While the context is open, ``port`` of the host's ``addresses`` (none: all) answers GET ``path`` with ``content``.

        Raises ApplianceError naming who holds the port.
        """

    def down(self, instance: str, report: Report, *, volumes: bool, break_lock: bool) -> None:
        """Removes containers and network; with ``volumes`` the data too."""
