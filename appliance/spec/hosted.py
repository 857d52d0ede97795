"""The parts of the spec that concern whom it serves: domains, mailboxes, aliases."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from appliance.spec import hops
from appliance.spec.about import MANY, UNIQUE, About, Model
from appliance.spec.types import Address, Flag, Kind, PasswordHash, RecordName, Size


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
        MANY,
        AfterValidator(hops.algorithms),
        About("which signatures each mail gets: one RSA size, ed25519, or both", example="[rsa-2048, ed25519]"),
    ] = ("rsa-2048", "ed25519")


class Spf(Model):
    """The SPF record of one domain (RFC 7208)."""

    include: Annotated[
        tuple[RecordName, ...],
        MANY,
        UNIQUE,
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
            "how much mail the mailbox holds; beyond it, mail is refused at RCPT; 0 is no limit",
            unit="bytes",
            example="2 GiB",
            default="what the mail store gives everybody",
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
    """An alias. In the spec an address, a list, or ``{to: […], send_as: […]}``. ``send_as`` None: its local members."""

    to: Annotated[
        tuple[Address, ...],
        MANY,
        UNIQUE,
        AfterValidator(hops.some),
        About("who gets the mail", example="[alice@example.org, bob@elsewhere.net]"),
    ]
    send_as: Annotated[
        tuple[Address, ...] | None,
        MANY,
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
