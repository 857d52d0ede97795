"""The spec, version 1, as a frozen model. Unknown fields are refused.

``About`` beside each field says what it is and what it does; the schema, ``explain`` and the messages are made from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from appliance.spec import hops
from appliance.spec.types import (
    Address,
    Domain,
    Duration,
    Flag,
    Ip,
    Kind,
    PasswordHash,
    Path,
    PortNumber,
    RecordName,
    Size,
    one_or_many,
    unique,
)


@dataclass(frozen=True)
class About:
    """What a field is (``text``), what changing it does (``effect``), its unit and an example as it is written in the spec."""

    text: str
    effect: str = ""
    unit: str = ""
    example: str = ""
    default: str = ""  # in words, where the default is not a value


class Model(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_MANY = BeforeValidator(one_or_many)
_UNIQUE = AfterValidator(unique)


class Ports(Model):
    """Published ports of the host; null closes a listener."""

    smtp: Annotated[PortNumber | None, About("port for mail from other servers (MX)", "other servers look for port 25 only")] = 25
    submission: Annotated[PortNumber | None, About("port for submission with STARTTLS (RFC 6409)")] = 587
    submissions: Annotated[PortNumber | None, About("port for submission with implicit TLS (RFC 8314)")] = 465
    imap: Annotated[PortNumber | None, About("port for IMAP with STARTTLS")] = 143
    imaps: Annotated[PortNumber | None, About("port for IMAP with implicit TLS")] = 993
    pop3: Annotated[PortNumber | None, About("port for POP3 with STARTTLS")] = 110
    pop3s: Annotated[PortNumber | None, About("port for POP3 with implicit TLS")] = 995
    sieve: Annotated[PortNumber | None, About("port for ManageSieve (RFC 5804)")] = 4190


class Listen(Model):
    """Where the published ports are bound."""

    address: Annotated[
        tuple[Ip, ...],
        _MANY,
        _UNIQUE,
        About(
            "host addresses on which ports are published: one, or a list",
            "127.0.0.1 keeps everything on this machine",
            example="127.0.0.1",
            default="all addresses, in each family where the true client address arrives",
        ),
    ] = ()
    ports: Annotated[Ports, About("published ports of the host; null closes a listener")] = Field(default_factory=Ports)


class Network(Model):
    """The instance's own network."""

    subnet: Annotated[
        str | None,
        Kind("subnet", "private IPv4 network", "198.18.25.0/24", r"^[0-9.]+/[0-9]+$"),
        BeforeValidator(hops.subnet),
        About(
            "IPv4 subnet of the containers, private, /8 to /26",
            "changing it makes the network and every container anew",
            example="198.18.25.0/24",
            default="a /24 of 198.18.0.0/15 that follows from the name",
        ),
    ] = None


class Tls(Model):
    """Where the certificate comes from."""

    mode: Annotated[
        Literal["self-signed", "files", "acme"],
        About("where the certificate comes from: made here, given as files, or fetched by ACME (RFC 8555)", example="files"),
    ] = "self-signed"
    certificate: Annotated[
        Path | None, About("mode files: the certificate with its chain, leaf first, PEM", example="tls/fullchain.pem")
    ] = None
    key: Annotated[Path | None, About("mode files: the private key, PEM, not encrypted", example="tls/privkey.pem")] = None
    email: Annotated[Address | None, About("mode acme: where the authority writes to", example="admin@example.org")] = None
    directory: Annotated[
        Annotated[str, Kind("url", "https address", "https://…", r"^https://\S+$")] | None,
        BeforeValidator(hops.https_url),
        About("mode acme: the authority's directory", example="https://acme-v02.api.letsencrypt.org/directory"),
    ] = None
    challenge: Annotated[
        Literal["http-01", "tls-alpn-01", "dns-01"] | None,
        About("mode acme: how control of the name is shown", example="http-01"),
    ] = None


class Dkim(Model):
    """Signatures of one domain (RFC 6376, RFC 8463)."""

    selector: Annotated[
        Annotated[str, Kind("selector", "DKIM selector", "s1", r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")],
        BeforeValidator(hops.selector),
        About(
            "beginning of the selectors: s1 is published as s1-rsa and s1-ed25519",
            "a new selector makes new keys; publish the new records before you change it",
            example="s2026",
        ),
    ] = "s1"
    algorithms: Annotated[
        tuple[Literal["rsa-2048", "rsa-3072", "rsa-4096", "ed25519"], ...],
        _MANY,
        AfterValidator(hops.algorithms),
        About("which signatures each mail gets: one RSA size, ed25519, or both", example="[rsa-2048, ed25519]"),
    ] = ("rsa-2048", "ed25519")


class Spf(Model):
    """The SPF record of one domain (RFC 7208)."""

    include: Annotated[
        tuple[RecordName, ...],
        _MANY,
        _UNIQUE,
        About("other senders' SPF records that may send for this domain too", example="[_spf.newsletter.example]"),
    ] = ()
    all: Annotated[
        Literal["fail", "softfail", "neutral"],
        About("what the record says of everybody else: -all, ~all or ?all", example="fail"),
    ] = "softfail"


class Dmarc(Model):
    """The DMARC record of one domain (RFC 7489)."""

    policy: Annotated[
        Literal["none", "quarantine", "reject"],
        About("what receivers do with mail that fails DMARC; reports go to postmaster@ of the domain", example="quarantine"),
    ] = "none"


class DomainSpec(Model):
    """A hosted domain."""

    dkim: Annotated[Dkim, About("signatures (RFC 6376)")] = Field(default_factory=Dkim)
    spf: Annotated[Spf, About("the SPF record (RFC 7208)")] = Field(default_factory=Spf)
    dmarc: Annotated[Dmarc, About("the DMARC record (RFC 7489)")] = Field(default_factory=Dmarc)
    catch_all: Annotated[
        Address | None,
        About(
            "mailbox or alias that gets mail for every address of the domain that does not exist",
            "misspelt addresses are no longer refused, and spam to guessed ones is delivered",
            example="alice@example.org",
            default="no catch-all: unknown addresses are refused",
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value


class Mailbox(Model):
    """A mailbox; its address is the key."""

    password: Annotated[
        PasswordHash | None,
        About(
            "hash of the password, made by `appliance keys hash`",
            "takes effect at the next login; nothing is restarted",
            example='"{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$…"',
            default="none: mail is stored and nobody can log in",
        ),
    ] = None
    quota: Annotated[
        Size | None,
        About(
            "how much mail the mailbox holds; beyond it, mail is refused at RCPT",
            unit="bytes",
            example="2 GiB",
            default="no limit",
        ),
    ] = None
    enabled: Annotated[
        Flag,
        About(
            "false: no login, and mail to it is refused, also where the domain has a catch-all; its mail is kept", example="false"
        ),
    ] = True

    @model_validator(mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return {} if value is None else value


class Alias(Model):
    """An alias. In the spec an address, a list of addresses, or ``{to: […], send_as: […]}``. ``send_as`` None: its local members."""

    to: Annotated[
        tuple[Address, ...], _MANY, _UNIQUE, About("who gets the mail", example="[alice@example.org, bob@elsewhere.net]")
    ]
    send_as: Annotated[
        tuple[Address, ...] | None,
        _MANY,
        About(
            "mailboxes that may send with the alias as sender; [] is nobody",
            example="[alice@example.org]",
            default="the alias's members that are mailboxes here",
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return {"to": value} if isinstance(value, str | list | tuple) else value


class Route(Model):
    """The next hop of a recipient domain. In the spec ``"[host]:port"``, ``host:port``, ``host``, or a map.

    ``mx``: the host's MX records are looked up (a text without brackets, as in Postfix's transport(5)).
    """

    host: Annotated[
        Annotated[str, Kind("host", "host name or IP address", "mx.partner.example", r"^\S+$")],
        BeforeValidator(hops.host),
        About("where mail for the domain goes", example="mx.partner.example"),
    ]
    port: Annotated[PortNumber, About("port of the host")] = 25
    mx: Annotated[Flag, About("the MX records of the host are looked up; [brackets] in the short form switch it off")] = False

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return hops.route(value) if isinstance(value, str) else value


class RelayHost(Model):
    """The next hop of everything else. In the spec a map, or the short form ``host:port``."""

    host: Annotated[
        Annotated[str, Kind("host", "host name or IP address", "smtp.relay.example", r"^\S+$")],
        BeforeValidator(hops.host),
        About("the relay that takes all mail to other servers", example="smtp.relay.example"),
    ]
    port: Annotated[PortNumber, About("port of the relay")] = 587
    credentials: Annotated[
        Path | None,
        About(
            "file with one line user:password, mode 0600, beside the spec; with it the relay's certificate is verified",
            example="relay-credentials",
        ),
    ] = None
    spf_include: Annotated[
        RecordName | None, About("the relay's SPF record, for the SPF of every domain", example="_spf.relay.example")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return hops.relay(value) if isinstance(value, str) else value


class Logs(Model):
    """Logs."""

    keep: Annotated[
        Duration, AfterValidator(hops.at_least_a_day), About("how long logs are kept", unit="seconds", example="30 days")
    ] = 14 * 86400


@dataclass(frozen=True)
class Folder:
    """A folder that the doorway has read: a role option of type ``folder``. Names are relative, without sub-folders."""

    path: str
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class RoleSettings:
    """What the spec says of one role; ``options`` has every option, defaults filled in."""

    enabled: bool
    options: Mapping[str, Any]


class Spec(Model):
    """The whole specification."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    version: Annotated[Literal[1], About("version of the spec's language", example="1")]
    name: Annotated[
        Annotated[str, Kind("name", "short name", "example", r"^[a-z][a-z0-9-]{0,30}$")],
        BeforeValidator(hops.instance_name),
        About(
            "prefix of containers, networks and volumes; several instances fit on one host",
            "another name is another, empty instance; the old one goes on running beside it",
            example="example",
        ),
    ]
    hostname: Annotated[
        Domain,
        About(
            "what Postfix says in EHLO; the A, AAAA and PTR name, and the name of the certificate",
            "every container is made anew; A, AAAA, MX and PTR records must follow",
            example="mail.example.org",
        ),
    ]
    addresses: Annotated[
        tuple[Ip, ...],
        _MANY,
        _UNIQUE,
        About(
            "addresses that the world sees, behind NAT too; they go into A, AAAA, SPF and PTR",
            "without them `appliance dns records` cannot say what to publish",
            example='[203.0.113.7, "2001:db8::7"]',
        ),
    ] = ()
    postmaster: Annotated[
        Address,
        About(
            "who gets mail for postmaster@ and abuse@ of every domain and of the host name (RFC 2142): a mailbox or an alias of a "
            "hosted domain, or an address elsewhere",
            "an address elsewhere works only while the way there does",
            example="alice@example.org",
        ),
    ]
    listen: Annotated[Listen, About("where the published ports are bound")] = Field(default_factory=Listen)
    network: Annotated[Network, About("the instance's own network")] = Field(default_factory=Network)
    message_size: Annotated[
        Size,
        AfterValidator(hops.message_size),
        About(
            "largest attachment-carrying message that is taken, 1 MiB to 500 MiB; one number renders every daemon's limit, base64 "
            "counted",
            unit="bytes",
            example="50 MiB",
        ),
    ] = 25 * 2**20
    tls: Annotated[Tls, About("where the certificate comes from")] = Field(default_factory=Tls)
    domains: Annotated[Mapping[Domain, DomainSpec], About("the domains whose mail is kept here", example="{example.org: {}}")]
    mailboxes: Annotated[
        Mapping[Address, Mailbox],
        About(
            "who has a mailbox: inline, or {include: mailboxes.csv} with the columns address,password,quota",
            "a new mailbox works at once, nothing is restarted; a removed one's mail is kept 30 days",
            example='{alice@example.org: {password: "{ARGON2ID}…", quota: 2 GiB}}',
        ),
    ] = Field(default_factory=dict)
    aliases: Annotated[
        Mapping[Address, Alias],
        About(
            "addresses that lead to others: an address, a list, or {to: […], send_as: […]}",
            example="{sales@example.org: [alice@example.org, bob@elsewhere.net]}",
        ),
    ] = Field(default_factory=dict)
    routes: Annotated[
        Mapping[Domain, Route],
        About("next hop of single recipient domains (transport(5))", example='{partner.example: "[mx.partner.example]:25"}'),
    ] = Field(default_factory=dict)
    relay_host: Annotated[
        RelayHost | None,
        About(
            "next hop of all other outbound mail",
            example="{host: smtp.relay.example, port: 587, credentials: relay-credentials}",
            default="mail goes straight to the recipients' servers",
        ),
    ] = None
    logs: Annotated[Logs, About("logs of all services")] = Field(default_factory=Logs)
    roles: Annotated[
        Mapping[str, RoleSettings],
        About("every role may be switched off (off), on, or tuned with its own options", example="{clamav: off}"),
    ] = Field(default_factory=dict)

    @property
    def wire_size(self) -> int:
        """``message_size`` as it travels, in bytes: base64 in lines of 76 characters and CRLF makes 78 of 57 (RFC 2045, 6.8)."""
        return -(-self.message_size * 78 // 57)
