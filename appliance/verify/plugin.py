"""The child pytest's only plugin: the fixtures ``hosts`` and ``facts``, and the outcome of each test as it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, cast

import pytest
from testinfra.host import Host

from appliance.verify.backend import Channel, host

REASON = 1500  # characters of a failure that are kept


class Checks:
    """Registered under the name ``appliance-checks``; holds the channel for the fixtures."""

    def __init__(self) -> None:
        self.channel = Channel.inherited()
        self.started = 0.0

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the instance is."""
        return self.channel.ask({"type": "facts"})

    @cached_property
    def hosts(self) -> Mapping[str, Host]:
        """Service → testinfra Host."""
        return {service: host(self.channel, service) for service in self.facts["services"]}

    @cached_property
    def daemons(self) -> Mapping[str, Host]:
        """Service → testinfra Host whose commands run as the container's own user."""
        return {service: host(self.channel, service, "") for service in self.facts["services"]}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Tells one outcome per test: the first phase that did not pass, else that of the call."""
        self.started, began = time.time(), time.monotonic()
        self.reports: list[pytest.TestReport] = []
        result = yield
        worst = next((r for r in self.reports if r.outcome != "passed"), self.reports[-1])
        document = (getattr(getattr(item, "function", None), "__doc__", "") or "").strip().splitlines()
        self.channel.tell(
            {
                "type": "test",
                "path": str(item.path),
                "name": item.name,
                "title": document[0].rstrip(".") if document else item.name.removeprefix("test_").replace("_", " "),
                "outcome": worst.outcome,
                "reason": reason(worst),
                "started": self.started,
                "seconds": time.monotonic() - began,
            }
        )
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collects the phases of a test."""
        self.reports.append(report)


def reason(report: pytest.TestReport) -> str:
    """Why a test did not pass, short."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    return str(crash or report.longreprtext)[:REASON] if report.outcome != "passed" else ""


def pytest_configure(config: pytest.Config) -> None:
    """Registers the plugin."""
    config.pluginmanager.register(Checks(), "appliance-checks")


def _checks(request: pytest.FixtureRequest) -> Checks:
    return cast(Checks, request.config.pluginmanager.get_plugin("appliance-checks"))


@pytest.fixture(scope="session")
def hosts(request: pytest.FixtureRequest) -> Mapping[str, Host]:
    """Service name → testinfra Host, commands as root of the container."""
    return _checks(request).hosts


@pytest.fixture(scope="session")
def daemons(request: pytest.FixtureRequest) -> Mapping[str, Host]:
    """The same as the container's own user: without capabilities root may not enter another user's socket folder."""
    return _checks(request).daemons


@pytest.fixture(scope="session")
def facts(request: pytest.FixtureRequest) -> dict[str, Any]:
    """instance, hostname, services, and the spec as plain data without password hashes."""
    return _checks(request).facts
