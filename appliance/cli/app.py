"""What every verb shares: the global options, where output goes, and the arrow from the text to the bundle, step by step."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.catalog.role import Role
    from appliance.cli.progress import Progress
    from appliance.engines.base import Engine
    from appliance.keys.ring import KeyRing
    from appliance.keys.view import KeyView
    from appliance.observed import Observed
    from appliance.people import People
    from appliance.render.bundle import Bundle
    from appliance.spec.load import Loaded
    from appliance.spec.model import Spec
    from appliance.topology import Topology

SCHEMA_VERSION = 1
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class App:
    """One run of the program. Everything is made when it is first asked for, so that a verb loads only what it needs."""

    file: Path = Path("mail.yml")
    inventory: Path | None = None
    json: bool = False
    yes: bool = False
    verbose: int = 0
    progress_mode: str = "auto"
    color: bool | None = None
    started: float = field(default=0.0)
    challenge_port: int = 80  # where a certificate authority looks (RFC 8555, 8.3); another one only for an authority of tests

    # -- output: stdout is data, stderr is messages ------------------------------------------------------------------
    def print(self, text: str) -> None:
        """A line of data."""
        click.echo(text, color=self.colored(sys.stdout))

    def print_json(self, document: Mapping[str, Any]) -> None:
        """One JSON document with its ``schema_version``."""
        click.echo(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False, default=str))

    def say(self, text: str) -> None:
        """A line for people."""
        click.echo(text, err=True, color=self.colored(sys.stderr))

    def colored(self, stream: Any) -> bool:
        """Whether colour fits on this stream: only a terminal, and neither NO_COLOR nor --no-color."""
        if self.color is not None:
            return self.color
        return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @property
    def interactive(self) -> bool:
        """Whether a question can be asked."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def report(self) -> Progress:
        """Progress of long steps, in the form that the stream takes."""
        return self._progress

    @cached_property
    def _progress(self) -> Progress:
        from appliance.cli.progress import progress

        return progress(self)

    # -- the arrow ---------------------------------------------------------------------------------------------------
    @property
    def folder(self) -> Path:
        """The folder of the spec; everything that the spec names is relative to it."""
        return self.file.parent

    def catalog(self) -> Mapping[str, Role]:
        """All roles."""
        return self._catalog

    @cached_property
    def _catalog(self) -> Mapping[str, Role]:
        from appliance.catalog.load import load
        from appliance.resources import role_folders

        return load(role_folders())

    def loaded(self) -> Loaded:
        """The spec with its line marks and warnings."""
        return self._loaded

    @cached_property
    def _loaded(self) -> Loaded:
        from appliance.spec.load import DiskReader, load

        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            hint = "`appliance init example.org` writes one; -f FILE or APPLIANCE_FILE names another"
            raise ApplianceError(f"there is no spec {self.file}", hint=hint, code=_usage()) from None
        except IsADirectoryError:
            raise ApplianceError(f"{self.file} is a folder, not a spec", code=_usage()) from None
        except PermissionError:
            raise ApplianceError(f"{self.file} may not be read by you", hint=f"chmod u+r {self.file}", code=_usage()) from None
        except UnicodeDecodeError as why:
            raise ApplianceError(f"{self.file} is not UTF-8 text (byte {why.start})", code=_invalid()) from None
        return load(text, str(self.file), self.catalog(), DiskReader(self.folder))

    def spec(self) -> Spec:
        """The spec."""
        return self.loaded().spec

    def ring(self) -> KeyRing:
        """The key ring beside the spec."""
        from appliance.keys.ring import KeyRing

        return KeyRing(self.folder / "keys" / self.spec().name)

    def keys(self) -> KeyView:
        """What the pure part may know of the ring, as it is now."""
        return self.ring().view(self.spec())

    def people(self) -> People:
        """Who exists."""
        from appliance.people import people

        return people(self.spec(), self.keys())

    def topology(self) -> Topology:
        """The roles joined."""
        from appliance.topology import resolve

        return resolve(self.spec(), self.catalog())

    def tags(self) -> Mapping[str, str]:
        """Image name → tag."""
        from appliance.images.lock import read
        from appliance.images.tags import tags

        return tags(read(self.folder))

    def bundle(self, families: tuple[int, ...] = (4,), removed: tuple[str, ...] = ()) -> Bundle:
        """The rendered bundle with the ring as it is now. ``families``: where the true client address arrives.

        ``removed``: addresses whose mailbox goes, and which the ring does not know of yet.
        """
        from appliance.render.render import render

        keys = self.keys()
        if removed:
            keys = replace(keys, removed=keys.removed.union(removed))
        return render(self.topology(), keys, self.tags(), families)

    @property
    def who(self) -> str:
        """Who runs this, from where, as releases and the lock say it: ``user@host:folder``."""
        import getpass
        import socket

        return f"{getpass.getuser()}@{socket.gethostname()}:{self.folder.resolve()}"

    def engine(self) -> Engine:
        """The hands on the host that DOCKER_HOST names, this one without it."""
        return self._engine

    @cached_property
    def _engine(self) -> Engine:
        from appliance.engines.docker.engine import connect
        from appliance.errors import UsageError

        if self.inventory is not None:
            raise UsageError("fleets (-i) are not there yet", hint="leave -i out: DOCKER_HOST names one host")
        return connect()

    def observe(self, *, manifests: bool = True) -> Observed:
        """The instance as it is, with the holders of the ports that the spec wants."""
        return self.engine().observe(self.spec().name, ports=self.wanted_ports(), manifests=manifests)

    def wanted_ports(self) -> tuple[tuple[str, int], ...]:
        """(address, port) pairs that the spec publishes."""
        listen = self.spec().listen
        ports = [p for p in listen.ports.model_dump().values() if p is not None]
        return tuple((address, port) for address in listen.address or ("0.0.0.0",) for port in ports)  # noqa: S104


def _usage() -> Any:
    from appliance.errors import Exit

    return Exit.USAGE


def _invalid() -> Any:
    from appliance.errors import Exit

    return Exit.INVALID_SPEC


def pass_app(function: F) -> F:
    """Hands the App to a verb as its first argument."""
    return cast(F, click.make_pass_decorator(App, ensure=True)(function))
