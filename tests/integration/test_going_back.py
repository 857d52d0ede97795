"""Ways back on a running instance: a proof that fails, `rollback`, a ring that was lost after `down`. One instance, few roles."""

from __future__ import annotations

import imaplib
import json
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.instances import Instances, free_ports
from tests.integration.mail import arrive, imap, wait_for
from tests.integration.running import LISTENERS, PASSWORDS, Appliance, free_subnet, hashed

if TYPE_CHECKING:
    import docker

SPEC = """
version: 1
name: {name}
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: alice@example.org
listen: {{address: 127.0.0.1, ports: {ports}}}
network: {{subnet: {subnet}}}
domains: {{example.org: {{dkim: {{selector: s1, algorithms: [ed25519]}}}}}}
mailboxes:
  alice@example.org: {{password: "{alice}"}}
roles: {{clamav: off, resolver: off}}
"""


def with_mailbox(text: str, who: str) -> str:
    """The spec with one mailbox more; its password is that of PASSWORDS."""
    return text.replace("roles:", f'  {who}@example.org: {{password: "{hashed(PASSWORDS[f"{who}@example.org"])}"}}\nroles:')


ROLES = "roles: {"
#: it renders, its trial goes well, and whoever reads twice at once is turned away, as verify does
NARROW = ROLES + "dovecot: {sessions_per_user: 1}, "
FEWER = ROLES + "policy: {recipients_per_hour: 50}, "


@pytest.fixture(scope="module")
def where(engine: docker.DockerClient, instances: Instances, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    name, folder = instances.new("back"), tmp_path_factory.mktemp("back")
    ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    alice = hashed(PASSWORDS["alice@example.org"])
    path = folder / "mail.yml"
    path.write_text(SPEC.format(name=name, ports=json.dumps(ports), subnet=free_subnet(engine), alice=alice))
    made = Appliance(name, path, ports, engine)
    try:
        made.cli("-y", "up", "--no-verify")
        yield made
    finally:
        instances.remove(name)


@pytest.fixture
def spec(where: Appliance) -> Iterator[str]:
    """The text of the spec that runs, which stands there again afterwards."""
    text = where.spec_path.read_text()
    yield text
    where.spec_path.write_text(text)


def history(where: Appliance) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(where.cli("--json", "history").stdout)["releases"]
    return found


def containers(where: Appliance) -> dict[str, str]:
    """Name → id and files of each container of the instance."""
    observed = where.engine.observe(where.name, manifests=False)
    return {n: f"{s.container_id} {s.current} {s.loaded}" for n, s in observed.services.items()}


def allowed(where: Appliance) -> str:
    """The line of the policy's settings that FEWER changes."""
    return where.exec("policy", "grep", "-i", "per_hour", "/config/live/policy.toml").strip()


def is_as_wanted(where: Appliance) -> bool:
    """Whether what runs is what the spec asks for."""
    return where.cli("plan", "--detailed-exitcode", check=False).returncode == 0


def test_nobody_can_be_asked_and_nothing_is_changed(where: Appliance, spec: str) -> None:
    before = containers(where)
    where.spec_path.write_text(spec.replace("mail.example.org", "mx.example.org"))
    end = where.cli("up", check=False)
    assert end.returncode == 1
    assert "nobody can be asked" in end.stderr
    assert "interrupts" in end.stderr
    assert containers(where) == before
    assert len(history(where)) == 1


def test_a_release_that_cannot_be_proven_is_put_back(where: Appliance) -> None:
    before, spec = history(where)[0]["release"], where.spec_path.read_text()
    where.spec_path.write_text(with_mailbox(spec.replace(ROLES, NARROW), "bob"))
    end = where.cli("up", check=False)
    assert end.returncode == 3, end.stderr[-2000:]
    assert "NOT proven" in end.stdout
    assert f"release {before} was put back, with today's mailboxes, passwords and keys" in end.stderr
    where.spec_path.write_text(with_mailbox(spec, "bob"))
    assert is_as_wanted(where), "the earlier settings with the mailbox of today"
    imap(where, "bob@example.org").shutdown()


def test_rollback_takes_settings_back_and_leaves_people(where: Appliance, spec: str) -> None:
    earlier, limit = str(history(where)[0]["release"]), allowed(where)
    where.spec_path.write_text(spec.replace(ROLES, FEWER))
    where.cli("up", "--no-verify")
    assert allowed(where) != limit
    where.spec_path.write_text(with_mailbox(spec.replace(ROLES, FEWER), "full"))
    where.cli("up", "--no-verify")
    where.cli("rollback", earlier[:8], "--no-verify")
    assert allowed(where) == limit
    imap(where, "full@example.org").shutdown()
    with pytest.raises(imaplib.IMAP4.error):
        imap(where, "full@example.org", password="another")
    assert "policy" in str(history(where)[0]["changed"])
    where.spec_path.write_text(with_mailbox(spec, "full"))
    assert is_as_wanted(where), "earlier settings, today's people"


def test_rollback_refuses_a_retired_key(where: Appliance, spec: str) -> None:
    before, oldest = containers(where), str(history(where)[-1]["release"])
    where.spec_path.write_text(spec.replace("selector: s1", "selector: s2"))
    end = where.cli("-y", "rollback", oldest, check=False)
    assert end.returncode == 1
    assert "needs the key dkim/example.org/s1-ed25519.pem, which the spec of today does not have" in end.stderr
    assert "a retired key does not come back" in end.stderr
    assert containers(where) == before


def test_a_ring_that_was_lost_after_down(where: Appliance) -> None:
    keys = where.spec_path.parent / "keys"
    assert arrive(where, "kept@tests").accepted
    assert "kept@tests" in wait_for(where, {"kept@tests"})
    published = where.cli("dns", "records").stdout
    where.cli("-y", "down")
    shutil.rmtree(keys)
    for words in (["plan"], ["-y", "up"], ["keys", "create"], ["keys", "pull"]):
        end = where.cli(*words, check=False)
        assert end.returncode == 1, words
        assert "up --adopt`" in end.stdout + end.stderr, words
    assert not keys.exists()

    end = where.cli("up", "--adopt", "--no-verify")
    assert "its DKIM records change" in end.stderr
    assert where.cli("dns", "records").stdout != published
    assert "kept@tests" in wait_for(where, {"kept@tests"}), "the mail is in the mailbox of before"
    assert is_as_wanted(where), "without --adopt, from now on"
    where.cli("-y", "down")
    assert where.cli("plan").returncode == 0, "the volumes have the lost ring's label for ever, and are ours"
