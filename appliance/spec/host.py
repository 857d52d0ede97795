"""The parts of the spec that concern the host: listeners, network, certificate, next hops, logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from appliance.spec import hops
from appliance.spec.about import MANY, UNIQUE, About, Model
from appliance.spec.types import Address, Duration, Flag, Ip, Kind, Path, PortNumber, RecordName


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
        MANY,
        UNIQUE,
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
    subnet6: Annotated[
        str | None,
        Kind("subnet6", "private IPv6 network", "fd12:3456:789a:1::/64", r"^[fF][cCdD][0-9a-fA-F:]+/64$"),
        BeforeValidator(hops.subnet6),
        About(
            "IPv6 subnet of the containers, a /64 of fc00::/7; used only where the true client address arrives over IPv6",
            "changing it makes the network and every container anew",
            example="fd12:3456:789a:1::/64",
            default="a /64 of fd00::/8 that follows from the name",
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
        About(
            "mode acme: the authority's directory (RFC 8555, 7.1.1); using it agrees to the authority's terms",
            "`up` asks the new authority at once",
            example="https://acme-staging-v02.api.letsencrypt.org/directory",
            default="Let's Encrypt",
        ),
    ] = None
    challenge: Annotated[
        Literal["http-01"] | None,
        BeforeValidator(hops.challenge),
        About(
            "mode acme: how control of the name is shown: a file at port 80 of the published addresses while the authority looks",
            example="http-01",
            default="http-01",
        ),
    ] = None


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
