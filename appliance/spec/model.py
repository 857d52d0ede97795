"""The spec, version 1, as a frozen model. Unknown fields are refused. Field descriptions feed the schema and ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from appliance.spec.types import Address, Domain, Duration, Ip, PasswordHash, PortNumber, Size


class Model(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(Model):
    """Published ports of the host; null closes a listener."""

    smtp: PortNumber | None = Field(25, description="mail from other servers (MX)")
    submission: PortNumber | None = Field(587, description="submission with STARTTLS")
    submissions: PortNumber | None = Field(465, description="submission with implicit TLS (RFC 8314)")
    imap: PortNumber | None = Field(143, description="IMAP with STARTTLS")
    imaps: PortNumber | None = Field(993, description="IMAP with implicit TLS")
    pop3: PortNumber | None = Field(110, description="POP3 with STARTTLS")
    pop3s: PortNumber | None = Field(995, description="POP3 with implicit TLS")
    sieve: PortNumber | None = Field(4190, description="ManageSieve")


class Listen(Model):
    """Where the published ports are bound."""

    address: tuple[Ip, ...] = Field((), description="host addresses to bind; empty: all, in each family where the true client address arrives")
    ports: Ports = Field(default_factory=Ports)


class Network(Model):
    """The instance's own network."""

    subnet: str | None = Field(None, description="IPv4 subnet of the containers; derived from the name when not said")


class Tls(Model):
    """Where the certificate comes from."""

    mode: Literal["self-signed", "files", "acme"] = "self-signed"
    certificate: str | None = None
    key: str | None = None
    email: Address | None = None
    directory: str | None = None
    challenge: Literal["http-01", "tls-alpn-01", "dns-01"] | None = None


class Dkim(Model):
    """Signatures of one domain (RFC 6376, RFC 8463)."""

    selector: str = "s1"
    algorithms: tuple[Literal["rsa-2048", "rsa-3072", "rsa-4096", "ed25519"], ...] = ("rsa-2048", "ed25519")


class Spf(Model):
    """The SPF record of one domain (RFC 7208)."""

    include: tuple[Domain, ...] = ()
    all: Literal["fail", "softfail", "neutral"] = "softfail"


class Dmarc(Model):
    """The DMARC record of one domain (RFC 7489)."""

    policy: Literal["none", "quarantine", "reject"] = "none"


class DomainSpec(Model):
    """A hosted domain."""

    dkim: Dkim = Field(default_factory=Dkim)
    spf: Spf = Field(default_factory=Spf)
    dmarc: Dmarc = Field(default_factory=Dmarc)
    catch_all: Address | None = None


class Mailbox(Model):
    """A mailbox; its address is the key."""

    password: PasswordHash | None = None
    quota: Size | None = None
    enabled: bool = True


class Alias(Model):
    """An alias. ``send_as`` None: its local members may send as it."""

    to: tuple[Address, ...]
    send_as: tuple[Address, ...] | None = None


class Route(Model):
    """The next hop of a recipient domain; ``mx``: the host's MX records are looked up (no brackets)."""

    host: str
    port: int = 25
    mx: bool = False


class RelayHost(Model):
    """The next hop of everything else. ``credentials``: a file ``user:password`` relative to the spec."""

    host: str
    port: int = 587
    credentials: str | None = None
    spf_include: Domain | None = None


class Logs(Model):
    """Logs."""

    keep: Duration = 14 * 86400


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

    version: Literal[1]
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    hostname: Domain
    addresses: tuple[Ip, ...] = ()
    postmaster: Address
    listen: Listen = Field(default_factory=Listen)
    network: Network = Field(default_factory=Network)
    message_size: Size = 25 * 2**20
    tls: Tls = Field(default_factory=Tls)
    domains: Mapping[Domain, DomainSpec]
    mailboxes: Mapping[Address, Mailbox] = Field(default_factory=dict)
    aliases: Mapping[Address, Alias] = Field(default_factory=dict)
    routes: Mapping[Domain, Route] = Field(default_factory=dict)
    relay_host: RelayHost | None = None
    logs: Logs = Field(default_factory=Logs)
    roles: Mapping[str, RoleSettings] = Field(default_factory=dict)

    @property
    def wire_size(self) -> int:
        """``message_size`` as it travels, in bytes: base64 in lines of 76 characters and CRLF makes 78 of 57 (RFC 2045, 6.8)."""
        return -(-self.message_size * 78 // 57)
