"""IPv6 from the day on which dockerd carries it: an engine of its own, in a container, and a stranger on a veth pair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.engine_room import until
from tests.integration.nested import STRANGERS, Host, nested
from tests.integration.running import Appliance, hashed

if TYPE_CHECKING:
    import docker

pytestmark = pytest.mark.slow

SPEC = """
version: 1
name: {name}
hostname: mail.example.org
addresses: [203.0.113.7, "2001:db8::7"]
postmaster: alice@example.org
domains: {{example.org: {{}}}}
mailboxes: {{alice@example.org: {{password: "{password}"}}}}
roles: {{clamav: off, opendkim: off}}
"""


class Served(Appliance):
    """An appliance on the nested host, at the standard ports of all its addresses."""

    def log(self, words: str) -> bool:
        """Whether Postfix's log holds the words."""
        return words in self.cli("logs", "postfix").stdout


@pytest.fixture
def host(engine: docker.DockerClient, instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with nested(engine, instance, tmp_path, monkeypatch) as made:
        monkeypatch.setenv("DOCKER_HOST", made.docker_host)
        yield made


def hello(family: int, port: int = 25) -> str:
    """Connects and prints the first line."""
    return f'exec 3<>/dev/tcp/{STRANGERS[family][0]}/{port} && read -r line <&3 && echo "$line"'


def test_ipv6_is_published_from_the_day_on_which_the_true_address_arrives(
    engine: docker.DockerClient, host: Host, tmp_path: Path
) -> None:
    (tmp_path / "mail.yml").write_text(SPEC.format(name="six", password=hashed("a password")))
    six = Served("six", tmp_path / "mail.yml", {}, engine)
    host.take(sorted({s.runtime.image for s in six.app.bundle().services}))

    # Debian's 26.1 as it comes: IPv4 alone, and plan says which lines of daemon.json change that
    assert '"experimental": true, "ip6tables": true' in six.cli("plan").stdout
    six.cli("-y", "up", "--no-verify")
    assert published(six) == {"0.0.0.0"}
    assert six.cli("exec", "postfix", "postconf", "-h", "inet_protocols").stdout.strip() == "ipv4"
    with host.stranger() as stranger:
        assert stranger(hello(4)).startswith("220 mail.example.org")
        assert six.log(f"[{STRANGERS[4][1]}]")
        with pytest.raises(AssertionError, match="Connection refused"):
            stranger(hello(6))

    # dockerd carries IPv6 now, and the network does not: what runs goes on
    host.configure({"experimental": True, "ip6tables": True})
    until(lambda: six.cli("ps", check=False).returncode == 0, "the services are back", 120)
    plan = six.cli("plan", "--detailed-exitcode")
    assert "IPv6 is left out: the network six was made without it; `appliance down`" in plan.stdout
    assert published(six) == {"0.0.0.0"}

    six.cli("-y", "down")
    six.cli("-y", "up", "--no-verify")
    assert "IPv6 is left out" not in six.cli("plan", "--detailed-exitcode").stdout  # 0: what was made reads back as wanted
    assert published(six) == {"0.0.0.0", "::"}
    assert six.cli("exec", "postfix", "postconf", "-h", "inet_protocols").stdout.strip() == "ipv4, ipv6"
    with host.stranger() as stranger:
        for family, (_, client) in STRANGERS.items():
            assert stranger(hello(family)).startswith("220 mail.example.org")
            assert six.log(f"[{client}]"), f"Postfix saw another address over IPv{family}"
            assert stranger(hello(family, 143)).startswith("* OK")
    gateway = six.app.bundle((4, 6)).network.subnet6.replace("/64", "1")
    assert not six.log(f"[{gateway}]")


def published(six: Served) -> set[str]:
    """The host addresses on which the running services are published."""
    host = six.engine.observe("six")
    return {p.address for s in host.services.values() for p in s.runtime.ports}
