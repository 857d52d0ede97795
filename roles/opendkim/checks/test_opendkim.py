"""The signers sign for every hosted domain, with keys that nobody else can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testinfra.host import Host

KINDS = {"opendkim-rsa": "rsa", "opendkim-ed25519": "ed25519"}
OPENDKIM = 906


def running(daemons: Mapping[str, Host]) -> Mapping[str, Host]:
    """The signers that the spec's algorithms need."""
    return {name: daemons[name] for name in KINDS if name in daemons}


def test_every_domain_is_signed_for(daemons: Mapping[str, Host]) -> None:
    """A message from each domain gets a signature with the domain's own selector."""
    assert running(daemons)
    for name, host in running(daemons).items():
        asked = host.run("perl /config/current/ask.pl --all")
        assert asked.rc == 0, f"{name}: {asked.stderr}"


def test_every_domain_has_its_keys(hosts: Mapping[str, Host], facts: dict[str, Any]) -> None:
    """The key tables name every domain of the spec, once for each of its algorithms."""
    for name, kind in KINDS.items():
        domains = facts["spec"]["domains"].items()
        wanted = {d for d, s in domains if any(a.split("-")[0] == kind for a in s["dkim"]["algorithms"])}
        assert (name in hosts) is bool(wanted), name
        if wanted:
            lines = hosts[name].file("/config/current/keytable").content_string.splitlines()
            assert {line.split()[0] for line in lines if line[0] != "#"} == wanted, name


def test_keys_are_for_the_signer_only(daemons: Mapping[str, Host]) -> None:
    """Each key is read by opendkim, written by nobody."""
    for name, host in running(daemons).items():
        keys = host.check_output("find /config/current/dkim -type f -exec stat -c '%a %u %n' {} +").splitlines()
        assert keys, name
        assert [key for key in keys if not key.startswith(f"400 {OPENDKIM} ")] == [], name


def test_it_has_no_rights(daemons: Mapping[str, Host]) -> None:
    """No root, no capability, no way to any; nothing listens on TCP."""
    for name, host in running(daemons).items():
        process = dict(line.split(":\t", 1) for line in host.check_output("cat /proc/1/status").splitlines())
        assert process["Uid"].split() == [str(OPENDKIM)] * 4, name
        assert (int(process["CapEff"], 16), int(process["CapBnd"], 16), process["NoNewPrivs"]) == (0, 0, "1"), name
        tables = host.check_output("cat /proc/net/tcp /proc/net/tcp6").splitlines()
        # 0A is LISTEN; 127.0.0.11 is the engine's own resolver
        open_ = [line for line in tables if line.split()[3] == "0A" and not line.split()[1].split(":")[0].endswith("7F")]
        assert open_ == [], name
