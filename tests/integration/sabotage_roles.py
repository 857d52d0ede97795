"""What is broken → which of the roles' own checks must turn red, and no others. A table for tests/integration/test_sabotage.py.

What cannot be changed under a running container (its capabilities, its user) is doctored instead: the check is told what it
would see there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest import mock

from appliance.engines.base import ExecResult
from appliance.verify.shells import Shells
from tests.integration.running import Appliance
from tests.integration.sabotage import Break, Edit, Stopped, dovecot, main_cf, master_cf


@dataclass(frozen=True)
class Ran:
    """A command as the service's own user, or as ``user``, and the one that puts it right."""

    service: str
    do: str
    undo: str
    user: str = ""

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        self.run(appliance, self.do)
        try:
            yield
        finally:
            self.run(appliance, self.undo)

    def run(self, appliance: Appliance, script: str) -> None:
        end = appliance.engine.exec(appliance.name, self.service, ("sh", "-euc", script), user=self.user)
        assert end.code == 0, end.stderr


@dataclass(frozen=True)
class Helped:
    """A script on volumes of the instance, in a helper container, and the one that puts it right."""

    volume: str
    do: str
    undo: str

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        appliance.helper([self.volume], self.do)
        try:
            yield
        finally:
            appliance.helper([self.volume], self.undo)


@dataclass(frozen=True)
class Told:
    """Commands that contain ``command`` in a service are answered with ``old`` replaced by ``new``."""

    service: str
    command: str
    old: bytes
    new: bytes

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        honest, changed = Shells.run, []

        def run(shells: Shells, service: str, text: str, *, user: str, timeout: int) -> ExecResult:
            end = honest(shells, service, text, user=user, timeout=timeout)
            if service != self.service or self.command not in text:
                return end
            changed.append(text)
            assert self.old in end.stdout, end
            return replace(end, stdout=end.stdout.replace(self.old, self.new))

        with mock.patch.object(Shells, "run", run):
            yield
        assert changed, f"nobody asked {self.command} in {self.service}"


@dataclass(frozen=True)
class RoleSabotage:
    """``red``: names of checks that must fail, ``<role>/<test>``."""

    name: str
    how: Break
    red: frozenset[str]


def row(name: str, how: Break, *red: str) -> RoleSabotage:
    return RoleSabotage(name, how, frozenset(red))


STATUS = "/proc/1/status"
RIGHTS = (b"CapBnd:\t0000000000000000", b"CapBnd:\t0000000000200000")

ROLE_TABLE: tuple[RoleSabotage, ...] = (
    row("clamd is stopped", Stopped("clamd"), "clamav/test_clamd_scans", "clamav/test_whole_messages_are_scanned"),
    row("the scanner's milter is stopped", Stopped("clamav-milter"), "clamav/test_the_milter_answers"),
    row(
        "clamd takes less than Postfix",
        Edit("clamd", "current/clamd.conf", ("s/^StreamMaxLength .*/StreamMaxLength 1000/",), silent=True),
        "clamav/test_whole_messages_are_scanned",
    ),
    row(
        "LMTP is closed", Ran("dovecot", "doveadm service stop lmtp", "doveadm reload", "0:0"), "dovecot/test_the_sockets_answer"
    ),
    row(
        "the quota check is closed",
        Ran("dovecot", "doveadm service stop quota-status", "doveadm reload", "0:0"),
        "dovecot/test_aliases_are_left_to_postfix",
    ),
    row(
        "the quota check refuses whom it does not know",
        dovecot("s/^quota_status_nouser = .*/quota_status_nouser = REJECT/"),
        "dovecot/test_aliases_are_left_to_postfix",
    ),
    row("a mailbox is missing", Edit("dovecot", "live/users", ("/^bob@/d",), silent=True), "dovecot/test_mailboxes_are_known"),
    row("TLS is a choice", dovecot("s/^ssl = .*/ssl = yes/"), "dovecot/test_cleartext_passwords_are_refused"),
    row(
        "mail is open to others",
        Helped("mail", "chmod 755 /v/mail", "chmod 700 /v/mail"),
        "dovecot/test_mail_is_readable_by_its_user_only",
    ),
    row(
        "a domain is not signed for",
        Edit("opendkim-rsa", "current/signingtable", ("/@example.org/d",), restart=True),
        "opendkim/test_every_domain_is_signed_for",
    ),
    row(
        "a domain is not in the key table",
        Edit("opendkim-rsa", "current/keytable", ("/^example.org /d",), silent=True),
        "opendkim/test_every_domain_has_its_keys",
    ),
    row(
        "a key is open to others",
        Helped(
            "opendkim-rsa-config",
            "find -L /v/opendkim-rsa-config/current/dkim -type f -exec chmod 444 {} +",
            "find -L /v/opendkim-rsa-config/current/dkim -type f -exec chmod 400 {} +",
        ),
        "opendkim/test_keys_are_for_the_signer_only",
        "opendkim/test_every_domain_is_signed_for",  # RequireSafeKeys: the signer does not use it
    ),
    row("the signer has a right", Told("opendkim-rsa", STATUS, *RIGHTS), "opendkim/test_it_has_no_rights"),
    row(
        "the policy is stopped",
        Stopped("policy"),
        "policy/test_it_answers[policy]",
        "policy/test_it_has_no_rights[policy]",
        "policy/test_its_socket_is_for_its_group[policy]",
        "policy/test_counts_can_be_kept",
    ),
    row(
        "the recipients' server is stopped",
        Stopped("policy-recipients"),
        "policy/test_it_answers[policy-recipients]",
        "policy/test_it_has_no_rights[policy-recipients]",
        "policy/test_its_socket_is_for_its_group[policy-recipients]",
    ),
    row("the policy has a right", Told("policy", STATUS, *RIGHTS), "policy/test_it_has_no_rights[policy]"),
    row(
        "the recipients' server is root",
        Told("policy-recipients", STATUS, b"Uid:\t909", b"Uid:\t0"),
        "policy/test_it_has_no_rights[policy-recipients]",
    ),
    row(
        "the policy's socket is open to everybody",
        Ran("policy", "chmod 777 /sock/policy/milter.sock", "chmod 770 /sock/policy/milter.sock"),
        "policy/test_its_socket_is_for_its_group[policy]",
    ),
    row(
        "the counts are open to others",
        Ran("policy", "chmod 755 /var/lib/mailpolicy", "chmod 700 /var/lib/mailpolicy"),
        "policy/test_counts_can_be_kept",
    ),
    row("a setting that nobody knows", main_cf("$a nonsense = yes"), "postfix/test_it_runs_on_its_own_files"),
    row(
        "a table is older than its text",
        Edit("postfix", "live/aliases", ("$a late@example.org alice@example.org",), silent=True),
        "postfix/test_tables_are_what_their_text_says",
    ),
    row(
        "Postfix's key is open to its group",
        Helped(
            "postfix-config",
            "chmod 440 /v/postfix-config/current/tls/key.pem",
            "chmod 400 /v/postfix-config/current/tls/key.pem",
        ),
        "postfix/test_keys_are_for_root_only",
    ),
    row(
        "qmgr is root",
        Told("postfix", "/proc/[0-9]*/status", b"Uid:\t901\t901", b"Uid:\t0\t0"),
        "postfix/test_only_master_is_root",
    ),
    row(
        "Postfix may write its root file system",
        Told("postfix", "/proc/mounts", b" ro,", b" rw,"),
        "postfix/test_no_right_is_left_over",
    ),
    row("one port more", master_cf("$a 10025 inet n - n - - smtpd"), "postfix/test_it_listens_only_where_it_should"),
    row(
        "loopback is trusted",
        main_cf(
            "s/^mx_relay = .*/mx_relay = permit_mynetworks, reject_unauth_destination/",
            "/^mx_recipient/,/recipient_status/s/^    reject_unauth/    permit_mynetworks, reject_unauth/",
        ),
        "postfix/test_loopback_earns_no_relaying",
    ),
    row(
        "the resolver does not validate",
        Edit("resolver", "current/unbound.conf", ('0,/^server:/s//server:\\n    module-config: "iterator"/',), restart=True),
        "resolver/test_a_signed_name_is_validated",
        "resolver/test_a_forged_name_is_refused",
    ),
    row(
        "the resolver answers everybody",
        Edit(
            "resolver",
            "current/unbound.conf",
            ("s,access-control: 0.0.0.0/0 refuse,access-control: 0.0.0.0/0 allow,",),
            silent=True,
        ),
        "resolver/test_strangers_are_refused",
    ),
    row(
        "the trust anchor is gone",
        Ran(
            "resolver", "mv /var/lib/unbound/root.key /var/lib/unbound/kept", "mv /var/lib/unbound/kept /var/lib/unbound/root.key"
        ),
        "resolver/test_the_trust_anchor_is_kept",
    ),
)
#: checks that say "not run" with the tests' spec: its signatures are a folder
NOT_HERE = frozenset({"clamav/test_signatures_are_fresh"})
