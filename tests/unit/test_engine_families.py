"""In which address families a published port sees the true client address, and what is said of the one that is left out."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from appliance.engines.docker.daemon import Daemon, look, parse, without_ipv6
from appliance.engines.docker.facts import _kernel_routes6, host_facts
from appliance.render.bundle import NetworkBundle

#: what was tried: Debian's 20.10.24, 26.1.5 and 28.5.2, a stranger on a veth pair, with and without IPv6 in the network
DEFAULTS = Daemon("vps", settings={}, arguments=("/usr/sbin/dockerd", "-H", "fd://"))
OLD = '"experimental": true, "ip6tables": true'


def info(version: str, **more: Any) -> dict[str, Any]:
    return {"ServerVersion": version, "Name": "vps", "SecurityOptions": ["name=seccomp"], **more}


@pytest.mark.parametrize(
    ("engine", "daemon", "words"),
    [
        # before 27 it is experimental, and off
        (info("20.10.24+dfsg1"), DEFAULTS, OLD),
        (info("26.1.5"), None, OLD),
        (info("26.1.5"), replace(DEFAULTS, settings={"ip6tables": True}), OLD),
        (info("26.1.5", ExperimentalBuild=True), DEFAULTS, 'needs "ip6tables": true too'),
        (info("26.1.5", ExperimentalBuild=True), replace(DEFAULTS, settings={"ip6tables": True}), ""),
        (info("20.10.24", ExperimentalBuild=True), replace(DEFAULTS, arguments=("dockerd", "--ip6tables")), ""),
        # from 27 on it is on
        (info("27.0.1"), DEFAULTS, ""),
        (info("28.5.2+dfsg4"), replace(DEFAULTS, settings={"ip6tables": False}), 'needs "ip6tables": true, then'),
        (info("28.5.2"), replace(DEFAULTS, arguments=("dockerd", "--ip6tables=false")), 'needs "ip6tables": true, then'),
        (info("28.5.2"), replace(DEFAULTS, changed=True), "has changed since dockerd started"),
        (info("28.5.2"), replace(DEFAULTS, ipv6=False), "has no IPv6"),
        (info("29.1.0", SecurityOptions=["name=rootless"]), DEFAULTS, "a rootless engine"),
        # what nobody can see counts as no
        (info("28.5.2"), None, "DOCKER_HOST=ssh://user@host gives one"),
        (info("28.5.2", Name="docker-desktop"), DEFAULTS, "the engine's host is docker-desktop, and the shell's is vps"),
        (info("28.5.2"), replace(DEFAULTS, settings=None), "may not be read by you"),
        (info("28.5.2"), replace(DEFAULTS, arguments=None), "no process that you may look at"),
        (info("28.5.2"), replace(DEFAULTS, arguments=("dockerd", "--config-file=/etc/other.json")), "--config-file"),
        (info("a nightly build"), DEFAULTS, OLD),
    ],
)
def test_ipv6_is_served_only_where_the_true_client_arrives(engine: dict[str, Any], daemon: Daemon | None, words: str) -> None:
    why = without_ipv6(engine, daemon)
    assert words in why if words else not why
    facts = host_facts(engine, "1.41", [], None, (0, 0), daemon, local=False)
    assert (facts.families, facts.without_ipv6) == ((4,) if words else (4, 6), why)
    assert not why or why.startswith("IPv6 is left out: ")


def test_a_network_without_ipv6_carries_none() -> None:
    network = NetworkBundle("t", "198.18.1.0/24", "198.18.1.1", "198.18.1.128/25")
    facts = host_facts(info("28.5.2"), "1.51", [], network, (0, 0), DEFAULTS, local=False)
    assert (facts.families, "`appliance down` (data stays)" in facts.without_ipv6) == ((4,), True)
    network = replace(network, subnet6="fd00::/64")
    assert host_facts(info("28.5.2"), "1.51", [], network, (0, 0), DEFAULTS, local=False).families == (4, 6)


@pytest.mark.parametrize(("name", "warned"), [("vps", True), ("another", False)])
def test_a_daemon_without_iptables_is_warned_of(name: str, warned: bool) -> None:
    daemon = replace(DEFAULTS, settings={"iptables": False})
    facts = host_facts(info("28.5.2", Name=name), "1.51", [], None, (0, 0), daemon, local=False)
    assert any("iptables off" in w for w in facts.warnings) == warned


@pytest.mark.parametrize(
    ("said", "daemon"),
    [
        (
            'machine vps\nipv6\narguments /usr/sbin/dockerd -H fd:// \nsettings\n{"ip6tables": false}',
            replace(DEFAULTS, settings={"ip6tables": False}),
        ),
        ("machine vps\nipv6\nchanged\narguments \nsettings\n\n", replace(DEFAULTS, changed=True, arguments=None)),
        ("machine vps\narguments \nsettings\n{broken", Daemon("vps", ipv6=False)),
        ("machine vps\narguments \nsettings\n[]", Daemon("vps", ipv6=False)),
        ("machine vps\narguments \n", Daemon("vps", ipv6=False)),
        ("This service allows sftp connections only.\n", None),
        ("", None),
    ],
)
def test_what_the_shell_says(said: str, daemon: Daemon | None) -> None:
    assert parse(said) == daemon


def test_a_look_at_this_machine() -> None:
    found = look(("sh", "-s"))
    assert found is not None
    assert found.machine == os.uname().nodename


@pytest.mark.parametrize("shell", [(), ("/nonexistent/sh",), ("false",)])
def test_without_a_shell_nobody_knows(shell: tuple[str, ...]) -> None:
    assert look(shell) is None


def test_a_shell_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.engines.docker.daemon.PATIENCE", 0.05)
    assert look(("sleep", "20")) is None


def test_ipv6_routes_of_this_machine(tmp_path: Any) -> None:
    table = tmp_path / "ipv6_route"
    rest = "00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
    networks = [
        "fd000007000000000000000000000000 40 ",
        "fd000007000000000000000000000001 80 ",
        "fe800000000000000000000000000000 40 ",
        "ff000000000000000000000000000000 08 ",
        "00000000000000000000000000000000 00 ",
    ]
    table.write_text("".join(n + rest for n in networks))
    assert list(_kernel_routes6(table)) == ["fd00:7::/64", "::/0"]
    assert list(_kernel_routes6(tmp_path / "none")) == []
