"""What is broken → which steps of `verify` must turn red, and no others. The table of tests/integration/test_sabotage.py.

A sabotage changes a running instance in a throwaway way and puts everything back: an edited file of a service's configuration
volume (the daemon cannot write there, a helper container can), a service stopped or paused, a line in a log.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.integration.running import Appliance
from tests.unit.verify_world import certificate

if TYPE_CHECKING:
    from docker.models.containers import Container

RELOAD = {
    "postfix": ("postfix", "reload"),
    "dovecot": ("sh", "-euc", "doveadm service stop quota-status; doveadm reload; perl /config/current/health.pl 10"),
    "policy": ("true",),  # reads its files again by itself
}


class Break(Protocol):
    """Something that is broken for a while."""

    def on(self, appliance: Appliance) -> AbstractContextManager[None]:
        """Broken inside the context, whole again after it."""


@dataclass(frozen=True)
class Edit:
    """sed expressions on a file of a service, ``current/…`` or ``live/…``; a table is built again by postmap."""

    service: str
    path: str
    sed: tuple[str, ...]
    table: bool = False
    restart: bool = False
    silent: bool = False  # nobody is told: the file alone is looked at, or read again by itself

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        volume = f"{self.service}-config"
        file = f"/v/{volume}/{self.path}"
        probe = appliance.app.people().probe
        words = [quoted(expression.replace("PROBE", probe)) for expression in self.sed]
        edit = f"sed {' '.join(f'-e {w}' for w in words)} {file}.whole > {file}.new"
        build = f"postmap lmdb:{file}" if self.table else "true"
        keep = f"{file} {file}.lmdb" if self.table else file
        # a copy that keeps owner and mode is changed and renamed over the old one, as the writer does it
        steps = (
            f"for f in {keep}; do cp -a $f $f.whole; done",
            f"cp -a {file} {file}.new",
            edit,
            f"! cmp -s {file}.whole {file}.new || {{ echo nothing changed >&2; exit 1; }}",
            f"mv -f {file}.new {file}",
            build,
        )
        appliance.helper([volume], "\n".join(steps))
        try:
            self.take(appliance, whole=False)
            yield
        finally:
            appliance.helper([volume], f"for f in {keep}; do mv -f $f.whole $f; done")
            self.take(appliance, whole=True)

    def take(self, appliance: Appliance, *, whole: bool) -> None:
        """Makes the daemon read its files; what is not whole may be ill."""
        if self.restart:
            container(appliance, self.service).restart(timeout=10)
            appliance.wait(self.service, must=whole)
        elif not (self.table or self.silent):
            appliance.exec(self.service, *RELOAD[self.service])
            appliance.settled()


def quoted(text: str) -> str:
    """A word for sh."""
    return "'" + text.replace("'", "'\\''") + "'"


def container(appliance: Appliance, service: str) -> Container:
    return appliance.client.containers.get(f"{appliance.name}-{service}")


@dataclass(frozen=True)
class Stopped:
    """A service that is not there."""

    service: str

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        container(appliance, self.service).stop(timeout=10)
        try:
            yield
        finally:
            container(appliance, self.service).start()
            appliance.wait(self.service)


@dataclass(frozen=True)
class Together:
    """Several at once."""

    parts: tuple[Break, ...]

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        first, *rest = self.parts
        with first.on(appliance):
            if rest:
                with Together(tuple(rest)).on(appliance):
                    yield
            else:
                yield


@dataclass(frozen=True)
class OtherCertificate:
    """Postfix shows a certificate that is nobody's."""

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        pem = certificate("mail.example.org", 30)[0]
        tls = "/v/postfix-config/current/tls"
        parts = {"cert.pem": pem[: pem.index(b"-----BEGIN PRIVATE")], "key.pem": pem[pem.index(b"-----BEGIN PRIVATE") :]}
        write = [f"echo {base64.b64encode(data).decode()} | base64 -d > {tls}/{name}" for name, data in parts.items()]
        appliance.helper(["postfix-config"], "\n".join([f"cp -a {tls} {tls}.whole", *write]))
        try:
            appliance.exec("postfix", "postfix", "reload")
            yield
        finally:
            appliance.helper(["postfix-config"], f"rm -r {tls}\nmv {tls}.whole {tls}")
            appliance.exec("postfix", "postfix", "reload")


@dataclass(frozen=True)
class Said:
    """A service says something that it should not, a second after the run began."""

    service: str
    line: str

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        appliance.exec(self.service, "sh", "-c", f"(sleep 1; echo {quoted(self.line)} > /proc/1/fd/2) >/dev/null 2>&1 &")
        yield


@dataclass(frozen=True)
class NotOurs:
    """The folder of the probe's login belongs to somebody else: Dovecot reads it, and without DAC_OVERRIDE root may not write."""

    @contextmanager
    def on(self, appliance: Appliance) -> Iterator[None]:
        appliance.helper(["probe"], "chown 1:903 /v/probe; chmod 2755 /v/probe")
        try:
            yield
        finally:
            appliance.helper(["probe"], "chown 0:903 /v/probe; chmod 2750 /v/probe")


@dataclass(frozen=True)
class Sabotage:
    """``red``: the steps of the smoke suite that must fail; ``full``: those of the full suite beyond."""

    name: str
    how: Break
    red: frozenset[str]
    full: frozenset[str] = frozenset()


def main_cf(*sed: str) -> Edit:
    return Edit("postfix", "current/main.cf", sed)


def master_cf(*sed: str) -> Edit:
    return Edit("postfix", "current/master.cf", sed)


def dovecot(*sed: str) -> Edit:
    return Edit("dovecot", "current/dovecot.conf", sed)


def row(name: str, how: Break, red: str, full: str = "") -> Sabotage:
    return Sabotage(name, how, frozenset(red.split()), frozenset(full.split()))


#: what goes through port 25 and through submission: a filter that is down takes all of it with it
INBOUND = "inbound pop3 pop3s dkim-inbound smuggling"
SUBMITTED = "submission submissions attachment received dkim"
OPEN_FOR_ONE = "check_recipient_access inline:{elsewhere.invalid=OK}"

TABLE: tuple[Sabotage, ...] = (
    row(
        "port 25 relays for one domain",
        main_cf(
            f"s/^mx_relay = .*/mx_relay = {OPEN_FOR_ONE}, reject_unauth_destination/",
            f"/^mx_recipient/,/recipient_status/s/^    reject_unauth_destination,/    {OPEN_FOR_ONE},/",
        ),
        "relay relay-outside-ipv4",
    ),
    row(
        "submission takes mail of anybody, unfiltered",
        main_cf(
            f"s/^submission_relay = .*/submission_relay = {OPEN_FOR_ONE}, permit_sasl_authenticated, reject/",
            f"/^submission_recipient/,/reject$/c submission_recipient = {OPEN_FOR_ONE}, permit_sasl_authenticated, reject",
            "s/^submission_sender = .*/submission_sender = reject_authenticated_sender_login_mismatch/",
            "/^submission_milters/,/opendkim-rsa/c submission_milters =",
        ),
        "relay-submission dkim eicar-submission forged-from null-sender probe-confined",
    ),
    row("port 25 offers logins", master_cf("/syslog_name=postfix\\/mx/a\\    -o smtpd_sasl_auth_enable=yes"), "no-auth-mx"),
    row(
        "587 offers logins before TLS",
        master_cf("/^submission /,/^submissions/{s/security_level=encrypt/security_level=may/;s/auth_only=yes/auth_only=no/}"),
        "plaintext-submission",
    ),
    row(
        "IMAP and POP3 take passwords in the clear",
        dovecot("s/^ssl = .*/ssl = yes/", "s/^auth_allow_cleartext = .*/auth_allow_cleartext = yes/"),
        "plaintext-imap plaintext-pop3",
    ),
    row(
        "every password fits",
        dovecot(
            "/^passdb probe/,/^}/{s/driver = .*/driver = static/;s/passwd_file_path = .*/fields {\\n    nopassword = yes\\n  }/}"
        ),
        "wrong-password",
    ),
    row(
        "unknown addresses are accepted",
        Edit("postfix", "live/mailboxes", ("$a @example.org mailbox",), table=True),
        "unknown-recipient",
    ),
    row(
        "abuse is refused",
        Edit("postfix", "live/recipient_access", ("$a abuse@example.org 550 5.1.1 nobody reads this",), table=True),
        "postmaster",
    ),
    # Postfix still finds the bare name (virtual(5): "when site is equal to $myorigin"); the table is not what was rendered
    row("abuse is not in the table", Edit("postfix", "live/aliases", ("/^abuse@example.org/d",), table=True), "postmaster-table"),
    row(
        "the probe owns postmaster in the policy's table",
        Edit("policy", "live/senders", ("s/^\\(postmaster@example.org\\) .*/\\1 PROBE/",)),
        "forged-from null-sender",
    ),
    row(
        "the probe owns postmaster everywhere",
        Together(
            (
                Edit("policy", "live/senders", ("s/^\\(postmaster@example.org\\) .*/\\1 PROBE/",)),
                Edit("postfix", "live/senders", ("s/^\\(postmaster@example.org\\) .*/\\1 PROBE/",), table=True),
            )
        ),
        "forged-from null-sender forged-envelope",
    ),
    row(
        "the policy does not know the probe",
        Edit("policy", "live/policy.toml", ('s/^probe = .*/probe = "nobody@example.org"/',)),
        "probe-confined",
    ),
    row("one signer is not asked", main_cf("/^submission_milters/,/opendkim-rsa/{/opendkim-ed25519/d}"), "dkim"),
    row(
        "port 25 signs",
        master_cf(
            "s,smtpd_milters=$mx_milters,smtpd_milters=unix:/sock/clamav-milter/milter.sock\\,unix:/sock/opendkim-rsa/milter.sock,",
            "s/daemon_name=mx/daemon_name=submission/",
        ),
        "dkim-inbound",
    ),
    row("port 25 is not scanned", main_cf("/^mx_milters/,/clamav/c mx_milters ="), "eicar-inbound"),
    row("submission is not scanned", main_cf("/^submission_milters/,/opendkim-rsa/{/clamav/d}"), "eicar-submission"),
    row("another size limit", main_cf("s/^message_size_limit = .*/message_size_limit = 100000000/"), "oversize", "oversize-sent"),
    row(
        "bare newlines are taken",
        main_cf("s/^smtpd_forbid_bare_newline = .*/smtpd_forbid_bare_newline = no/"),
        "smuggling",
        "smuggling-submission",
    ),
    row("another certificate", OtherCertificate(), "certificate"),
    row(
        "old TLS is spoken",
        dovecot("s/^ssl_min_protocol = .*/ssl_min_protocol = TLSv1\\nssl_cipher_list = ALL:@SECLEVEL=0/"),
        "",
        "old-tls",
    ),
    row("the submitter is told", master_cf("s/hide_client_session=yes/hide_client_session=no/"), "received"),
    row("8-bit text is not taken", main_cf("s/^smtpd_discard_ehlo_keywords = /&8bitmime, /"), "attachment"),
    row(
        "465 is closed",
        master_cf("/^submissions /,/cleanup_service/d"),
        "submissions relay-submission certificate wrong-password",
        "old-tls",
    ),
    row(
        "587 is closed",
        master_cf("/^submission /,/cleanup_service/d"),
        "submission relay-submission certificate plaintext-submission attachment received dkim eicar-submission "
        "forged-envelope forged-from null-sender probe-confined",
        "smuggling-submission smuggling-bdat starttls-injection",
    ),
    row("a service says something fatal", Said("dovecot", "imap: Fatal: sabotage"), "logs"),
    row("the probe's login cannot be put in place", NotOurs(), "probe clean"),
    row(
        "the scanner is stopped",
        Stopped("clamd"),
        f"{INBOUND} {SUBMITTED} eicar-inbound eicar-submission forged-from null-sender",
        "smuggling-submission",
    ),
)
