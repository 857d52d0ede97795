"""Each check of store, scanner and resolver has a sabotage in which it, and no other of them, turns red; then it heals."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from appliance.verify.run import verify
from tests.integration.running import Appliance
from tests.integration.sabotage import Edit, container
from tests.reports import Recorder

CHECKS = frozenset(
    f"{role}/{test}"
    for role, tests in {
        "dovecot": (
            "test_the_sockets_answer",
            "test_mailboxes_are_known",
            "test_cleartext_passwords_are_refused",
            "test_aliases_are_left_to_postfix",
            "test_mail_is_readable_by_its_user_only",
        ),
        "clamav": ("test_clamd_scans", "test_the_milter_answers", "test_whole_messages_are_scanned"),
        "resolver": (
            "test_a_signed_name_is_validated",
            "test_a_forged_name_is_refused",
            "test_strangers_are_refused",
            "test_the_trust_anchor_is_kept",
        ),
    }.items()
    for test in tests
)


@dataclass(frozen=True)
class Done:
    """A shell script in a helper container that has one volume of the instance at /v/<volume>, and one that undoes it."""

    volume: str
    script: str
    undo: str

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        appliance.helper([self.volume], self.script)
        try:
            yield
        finally:
            appliance.helper([self.volume], self.undo)


@dataclass(frozen=True)
class Resolves:
    """sed on one of the resolver's files, and its restart; it may be sick meanwhile, so its own health is not waited for."""

    file: str
    sed: str

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        file = f"/v/resolver-config/current/{self.file}"
        whole = f"! test -e {file}.whole || mv -f {file}.whole {file}"
        appliance.helper(
            ["resolver-config"], f"cp -a {file} {file}.whole\nsed -i -e '{self.sed}' {file}\n! cmp -s {file} {file}.whole"
        )
        try:
            self.restart(appliance)
            yield
        finally:
            appliance.helper(["resolver-config"], whole)
            container(appliance, "resolver").restart(timeout=5)
            appliance.wait("resolver")

    def restart(self, appliance: Appliance) -> None:
        container(appliance, "resolver").restart(timeout=5)
        deadline = time.monotonic() + 15
        while b"start of service" not in container(appliance, "resolver").logs(tail=3):
            assert time.monotonic() < deadline, "the resolver did not start"
            time.sleep(0.2)


def away(service: str, socket: str) -> Done:
    """A socket that is not where it should be."""
    path = f"/v/{service}-sock/{socket}"
    return Done(f"{service}-sock", f"mv {path} {path}.away", f"mv {path}.away {path}")


SABOTAGE = {
    "dovecot/test_the_sockets_answer": away("dovecot", "lmtp"),
    "dovecot/test_mailboxes_are_known": Edit("dovecot", "live/users", ("/^bob@/d",)),
    "dovecot/test_cleartext_passwords_are_refused": Edit("dovecot", "current/dovecot.conf", ("s/^ssl = required/ssl = yes/",)),
    "dovecot/test_aliases_are_left_to_postfix": Edit(
        "dovecot", "current/dovecot.conf", ("s/^quota_status_nouser = DUNNO/quota_status_nouser = REJECT/",)
    ),
    "dovecot/test_mail_is_readable_by_its_user_only": Done("mail", "chmod 755 /v/mail", "chmod 700 /v/mail"),
    "clamav/test_clamd_scans": away("clamd", "clamd.sock"),
    "clamav/test_the_milter_answers": away("clamav-milter", "milter.sock"),
    "clamav/test_whole_messages_are_scanned": Edit(
        "clamd", "current/clamd.conf", ("s/^StreamMaxLength .*/StreamMaxLength 1000/",), restart=True
    ),
    "resolver/test_a_signed_name_is_validated": Resolves("health.zone", 's/^ok\\(.*\\)"validated"/ok\\1"changed"/'),
    "resolver/test_a_forged_name_is_refused": Resolves("unbound.conf", "s/^    val-log-level: 1/    val-permissive-mode: yes/"),
    "resolver/test_strangers_are_refused": Resolves("unbound.conf", "s#0.0.0.0/0 refuse#0.0.0.0/0 allow#"),
    "resolver/test_the_trust_anchor_is_kept": Done(
        "resolver-state", "chown 0 /v/resolver-state/root.key", "chown 908 /v/resolver-state/root.key"
    ),
}


def red(appliance: Appliance) -> dict[str, str]:
    proof = verify(appliance.target(), "full", Recorder(), only=CHECKS)
    assert {s.name for s in proof.steps} >= CHECKS, "not every check was run"
    return {s.name: s.reason for s in proof.failed}


def test_every_check_has_a_sabotage() -> None:
    assert set(SABOTAGE) == CHECKS


@pytest.mark.slow
@pytest.mark.parametrize("check", sorted(SABOTAGE))
def test_a_sabotage_turns_its_check_red_and_no_other(appliance_up: Appliance, check: str) -> None:
    how: AbstractContextManager[None] = SABOTAGE[check].on(appliance_up)  # type: ignore[attr-defined]
    with how:
        found = red(appliance_up)
    assert set(found) == {check}, found
    assert red(appliance_up) == {}


def test_all_are_green_on_a_whole_appliance(appliance_up: Appliance) -> None:
    assert red(appliance_up) == {}
