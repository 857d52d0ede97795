"""What a ring must hold for a spec. Pure: derived from the spec alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from appliance.keys import view
from appliance.spec.model import Spec

INTERNAL_CA_KEY = "internal/ca-key.pem"  # stays in the ring: no service gets it
REINJECTION_NAME = "reinjection.internal"
CLIENT_NAME = "store.internal"
EC = "ecdsa-p256"  # every client that speaks TLS 1.2 has it, and a handshake costs a tenth of RSA's

#: Apple's clients refuse server certificates that are valid for longer
SERVER_DAYS = 825
INTERNAL_DAYS = 3650


@dataclass(frozen=True)
class Need:
    """One entry of the ring.

    ``kind``: ``key`` is made once and never again; ``certificate`` is issued for ``key`` by ``issuer`` (empty: by
    itself) and issued again, for the same key, when it is due; ``given`` is a file of the user's, at ``path`` relative
    to the spec. ``fetched``: one that an authority issued (acme.py) takes the place of ours and stays.
    """

    ref: str
    kind: Literal["key", "certificate", "given"]
    algorithm: str = ""
    key: str = ""
    issuer: str = ""
    issuer_key: str = ""
    purpose: Literal["ca", "server", "client", ""] = ""
    names: tuple[str, ...] = ()
    days: int = 0
    path: str = ""
    fetched: bool = False
    domain: str = ""
    selector: str = ""


def needs(spec: Spec) -> tuple[Need, ...]:
    """Everything, in the order in which it can be made: keys before the certificates for them, issuers before what they issue."""
    return (*_tls(spec), *_internal(spec), *_relay(spec), *_dkim(spec))


def _tls(spec: Spec) -> Iterator[Need]:
    if spec.tls.mode == "files":
        yield Need(view.TLS_KEY, "given", path=spec.tls.key or "")
        yield Need(view.TLS_CERT, "given", key=view.TLS_KEY, path=spec.tls.certificate or "", names=(spec.hostname,))
        return
    # mode acme too: daemons need a certificate to start with, before the first one is issued
    acme = spec.tls.mode == "acme"
    yield Need(view.TLS_KEY, "key", EC)
    own = Need(view.TLS_CERT, "certificate", key=view.TLS_KEY, purpose="server", names=(spec.hostname,), days=SERVER_DAYS)
    yield replace(own, fetched=acme)
    if acme:
        yield Need(view.ACME_ACCOUNT, "key", EC)


def _internal(spec: Spec) -> Iterator[Need]:
    """The instance's own small authority: Dovecot shows its client certificate to Postfix's internal listener."""
    for key in (INTERNAL_CA_KEY, view.INTERNAL_SERVER_KEY, view.INTERNAL_CLIENT_KEY):
        yield Need(key, "key", EC)
    ca = view.INTERNAL_CA
    names = (f"{spec.name} internal CA",)
    yield Need(ca, "certificate", key=INTERNAL_CA_KEY, purpose="ca", names=names, days=INTERNAL_DAYS)
    leaf = Need("", "certificate", issuer=ca, issuer_key=INTERNAL_CA_KEY, days=INTERNAL_DAYS)
    yield replace(leaf, ref=view.INTERNAL_SERVER_CERT, key=view.INTERNAL_SERVER_KEY, purpose="server", names=(REINJECTION_NAME,))
    yield replace(leaf, ref=view.INTERNAL_CLIENT_CERT, key=view.INTERNAL_CLIENT_KEY, purpose="client", names=(CLIENT_NAME,))


def _relay(spec: Spec) -> Iterator[Need]:
    if spec.relay_host and spec.relay_host.credentials:
        yield Need(view.RELAY_CREDENTIALS, "given", path=spec.relay_host.credentials)


def _dkim(spec: Spec) -> Iterator[Need]:
    for domain, settings in spec.domains.items():
        for algorithm in settings.dkim.algorithms:
            selector = view.dkim_selector(settings.dkim.selector, algorithm)
            ref = view.dkim_ref(domain, settings.dkim.selector, algorithm)
            yield Need(ref, "key", algorithm, domain=domain, selector=selector)
