"""The spec, version 1, as a frozen model. Unknown fields are refused.

``About`` beside each field says what it is and what it does; the schema, ``explain`` and the messages are made from it. The parts
are in ``host.py`` and ``hosted.py``; this is where everybody else imports them from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from appliance.spec import hops
from appliance.spec.about import MANY, UNIQUE, About, Model
from appliance.spec.host import Listen, Logs, Network, Ports, RelayHost, Route, Tls
from appliance.spec.hosted import Alias, Dkim, Dmarc, DomainSpec, Mailbox, Spf
from appliance.spec.types import Address, Domain, Ip, Kind, Size

__all__ = [
    "About", "Alias", "Dkim", "Dmarc", "DomainSpec", "Folder", "Listen", "Logs", "Mailbox", "Model", "Network", "Ports",
    "RelayHost", "RoleSettings", "Route", "Spec", "Spf", "Tls",
]  # fmt: skip


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
        tuple[Annotated[Ip, AfterValidator(hops.world_ip)], ...],
        MANY,
        UNIQUE,
        About(
            "addresses that the world sees, behind NAT too; they go into A, AAAA, SPF and PTR",
            "without them `appliance dns records` cannot say what to publish",
            example='[203.0.113.7, "2001:db8::7"]',
        ),
    ] = ()
    postmaster: Annotated[
        Address,
        About(
            "who gets mail for postmaster@ and abuse@ of every domain and of the host name (RFC 2142): a mailbox or an alias of "
            "a hosted domain, or an address elsewhere",
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
            "largest message, as people count it: the attachment before base64; 1 MiB to 500 MiB. One number renders every "
            "daemon's limit",
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
            "a new mailbox works at once, nothing is restarted; a removed one's mail is kept 30 days, and mail to it is refused, "
            "not caught by a catch-all",
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
