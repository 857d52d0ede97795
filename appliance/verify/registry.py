"""The list of steps: each is a small function in ``steps/``, registered with what it needs and what to do when it fails."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.verify.proof import Suite

if TYPE_CHECKING:
    from appliance.verify.context import Context
    from appliance.verify.target import Target

StepFunction = Callable[["Context"], None]


class StepFailed(Exception):
    """The check did not find what it must find. ``remedy`` replaces the step's own when it is known better."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class NotRun(Exception):
    """The check cannot be carried out here; the text says why. It is no failure."""


@dataclass(frozen=True)
class StepDef:
    """A registered step.

    ``roles``: all of these must run. ``ports``: all of these listeners must be open. ``login``: it needs the probe's login.
    ``reads``: it reads the probe's mailbox. ``seconds``: its own deadline. ``last``: after all others (it judges their traces).
    """

    name: str
    title: str
    group: str
    suite: Suite
    remedy: str
    function: StepFunction
    roles: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    login: bool = False
    reads: bool = False
    seconds: float = 20.0
    last: bool = False

    def missing(self, target: Target) -> str:
        """Why it cannot be run against this target; empty when it can."""
        for role in self.roles:
            if role not in target.roles:
                return f"{role} is off"
        for port in self.ports:
            if target.endpoint(port) is None:
                return f"the listener {port} is closed in the spec"
        if self.reads and not any(target.endpoint(p) for p in ("imaps", "imap")):
            return "no IMAP listener is open in the spec to read the mail with"
        return ""


_STEPS: dict[str, StepDef] = {}


def step(
    name: str,
    title: str,
    group: str,
    *,
    remedy: str,
    suite: Suite = "smoke",
    roles: tuple[str, ...] = (),
    ports: tuple[str, ...] = (),
    login: bool = False,
    reads: bool = False,
    seconds: float = 20.0,
    last: bool = False,
) -> Callable[[StepFunction], StepFunction]:
    """Registers a function as a step; the arguments are those of :class:`StepDef`."""

    def register(function: StepFunction) -> StepFunction:
        if name in _STEPS:
            raise ValueError(f"two steps are called {name}")
        _STEPS[name] = StepDef(name, title, group, suite, remedy, function, roles, ports, login, reads, seconds, last)
        return function

    return register


def steps(suite: Suite) -> tuple[StepDef, ...]:
    """The steps of a suite in the order in which they are shown; ``full`` has all of them."""
    from appliance.verify import steps as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    order = {group: i for i, group in enumerate(GROUPS)}
    found = [s for s in _STEPS.values() if suite == "full" or s.suite == "smoke"]
    return tuple(sorted(found, key=lambda s: order[s.group]))


#: headings, in the order of a reader's questions
GROUPS = (
    "probe",
    "delivery",
    "signatures",
    "filters",
    "relay",
    "logins",
    "senders",
    "recipients",
    "limits",
    "tls",
    "outwards",
    "traces",
)
