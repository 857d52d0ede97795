"""The policy programs answer as Postfix asks, as an ordinary user without any capability, and only by their sockets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from testinfra.host import Host

SERVICES = ("policy", "policy-recipients")
SOCKETS = {"policy": "milter.sock", "policy-recipients": "recipients.sock"}
MAILPOLICY, MAILSOCK = 909, 900


@pytest.mark.parametrize("service", SERVICES)
def test_it_answers(daemons: Mapping[str, Host], service: str) -> None:
    """One question as Postfix asks it: the milter lets the probe send, the recipients' server has an answer."""
    asked = daemons[service].run("sh /config/current/health.sh")
    assert asked.rc == 0, asked.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_it_has_no_rights(hosts: Mapping[str, Host], service: str) -> None:
    """No root, no capability, no way to any."""
    text = hosts[service].check_output("cat /proc/1/status")
    process = dict(line.split(":\t", 1) for line in text.splitlines())
    assert process["Uid"].split() == [str(MAILPOLICY)] * 4
    assert (int(process["CapEff"], 16), int(process["CapBnd"], 16), process["NoNewPrivs"]) == (0, 0, "1")


@pytest.mark.parametrize("service", SERVICES)
def test_its_socket_is_for_its_group(daemons: Mapping[str, Host], service: str) -> None:
    """Folder and socket are open to mailsock and closed to everybody else; nothing listens on TCP."""
    host = daemons[service]
    folder = host.check_output("stat -c '%%a %%u %%g' %s", f"/sock/{service}")
    socket = host.check_output("stat -c '%%a %%u %%g' %s", f"/sock/{service}/{SOCKETS[service]}")
    assert folder == f"2770 {MAILPOLICY} {MAILSOCK}"
    assert socket == f"770 {MAILPOLICY} {MAILSOCK}"
    tables = host.check_output("cat /proc/net/tcp /proc/net/tcp6").splitlines()
    # 0A is LISTEN; 127.0.0.11 is the engine's own resolver
    assert [line for line in tables if line.split()[3] == "0A" and not line.split()[1].split(":")[0].endswith("7F")] == []


def test_counts_can_be_kept(daemons: Mapping[str, Host]) -> None:
    """The folder of the counts can be written by the filter and read by nobody else."""
    host = daemons["policy"]
    assert host.run("test -w /var/lib/mailpolicy").rc == 0
    assert host.check_output("stat -c '%a %u' /var/lib/mailpolicy") == f"700 {MAILPOLICY}"
