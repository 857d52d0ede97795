"""Which domain is signed with which key, by one service per algorithm: one OpenDKIM signs with one algorithm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.catalog.role import FileDef
from appliance.keys.view import dkim_ref, dkim_selector
from appliance.people import spellings
from appliance.spec.model import Spec
from appliance.topology import View

#: service → algorithm as the spec begins its name, and as OpenDKIM's SignatureAlgorithm has it (RFC 6376, RFC 8463)
SIGNERS = {"opendkim-rsa": ("rsa", "rsa-sha256"), "opendkim-ed25519": ("ed25519", "ed25519-sha256")}
#: user of the image; the daemon drops nothing, it starts as this
OPENDKIM = 906


@dataclass(frozen=True)
class Signer:
    """One domain's key. ``names``: the domain in every spelling that From may have; ``path``: the key in the container."""

    domain: str
    names: tuple[str, ...]
    selector: str
    ref: str
    path: str


def services(spec: Spec, options: Mapping[str, Any]) -> Iterable[str]:  # noqa: ARG001  # the hook's signature
    """A service that no domain uses does not run."""
    return tuple(name for name, (kind, _) in SIGNERS.items() if any(_algorithm(spec, d, kind) for d in spec.domains))


def context(view: View) -> Mapping[str, object]:
    """More variables for the templates."""
    return {
        "signers": tuple(_signers(view)),
        "algorithm": SIGNERS[view.service.name][1],
        "socket": f"/sock/{view.service.name}/{view.service.offers[0].socket}",
    }


def files(view: View) -> Iterator[FileDef]:
    """The private keys of this service's algorithm, one per domain."""
    for signer in _signers(view):
        yield FileDef(signer.ref, ref=signer.ref, mode=0o400, owner=(OPENDKIM, OPENDKIM), on_change="reload")


def _signers(view: View) -> Iterator[Signer]:
    kind, _ = SIGNERS[view.service.name]
    for domain, settings in view.spec.domains.items():
        algorithm = _algorithm(view.spec, domain, kind)
        if algorithm:
            ref = dkim_ref(domain, settings.dkim.selector, algorithm)
            selector = dkim_selector(settings.dkim.selector, algorithm)
            yield Signer(domain, spellings(domain), selector, ref, f"{view.config}/{ref}")


def _algorithm(spec: Spec, domain: str, kind: str) -> str | None:
    return next((a for a in spec.domains[domain].dkim.algorithms if a.partition("-")[0] == kind), None)
