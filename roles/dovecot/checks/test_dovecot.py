"""Dovecot does what its settings promise: the sockets answer, every mailbox is known, nobody logs in without TLS."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from testinfra.host import Host

QUOTA_STATUS = (
    r'my $s = IO::Socket::UNIX->new(Peer => "/sock/dovecot/quota-status") or die "no answer: $!\n"; alarm 10; '
    r'print $s "request=smtpd_access_policy\nrecipient=$ARGV[0]\nsize=1000\n\n"; $s->flush; print scalar <$s>'
)


def test_the_sockets_answer(hosts: Mapping[str, Host]) -> None:
    """LMTP, the SASL server and IMAP greet."""
    asked = hosts["dovecot"].run("perl /config/current/health.pl")
    assert asked.rc == 0, asked.stderr


def test_mailboxes_are_known(hosts: Mapping[str, Host], facts: dict[str, Any]) -> None:
    """The first twenty mailboxes are found by LMTP and have their quota."""
    default = facts["spec"]["roles"].get("dovecot", {}).get("options", {}).get("default_quota", 0)
    for address, mailbox in islice(facts["spec"]["mailboxes"].items(), 20):
        found = hosts["dovecot"].run("doveadm user -f uid %s && doveadm user -f quota_storage_size %s", address, address)
        quota = default if mailbox["quota"] is None else mailbox["quota"]
        assert found.stdout.split() == ["905", f"{quota}B"], f"{address}: {found.stdout}{found.stderr}"


def test_cleartext_passwords_are_refused(hosts: Mapping[str, Host]) -> None:
    """TLS is required of everybody, 1.2 or newer."""
    wanted = {"ssl": "required", "auth_allow_cleartext": "no", "ssl_min_protocol": "TLSv1.2"}
    assert {name: hosts["dovecot"].check_output("doveconf -h %s", name) for name in wanted} == wanted


def test_aliases_are_left_to_postfix(hosts: Mapping[str, Host], facts: dict[str, Any]) -> None:
    """The quota check has no opinion on an address without a mailbox."""
    said = hosts["dovecot"].run(f"perl -MIO::Socket::UNIX -e '{QUOTA_STATUS}' %s", f"no-such-mailbox@{facts['hostname']}")
    assert said.stdout.strip() == "action=DUNNO", said.stdout + said.stderr


def test_mail_is_readable_by_its_user_only(hosts: Mapping[str, Host]) -> None:
    """The mail's folder belongs to vmail alone."""
    folder = hosts["dovecot"].file("/srv/mail")
    assert (folder.user, folder.mode & 0o077) == ("vmail", 0)
