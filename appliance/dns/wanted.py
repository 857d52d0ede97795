"""The records that a spec needs. Pure.

SPF names the addresses themselves (``ip4:``, ``ip6:``) and not a host: a receiver needs no further look-up, which could fail
(temperror) and counts against the ten that RFC 7208 (4.6.4) allows, of which ``include`` may need many.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import ip_address

from appliance.dns.records import Record
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView, dkim_ref, dkim_selector
from appliance.spec.model import DomainSpec, Spec

#: the sets of records that a role's ``dns`` may name
SETS = ("mx", "host", "spf", "dkim", "dmarc", "ptr")
_NEED_ADDRESS = frozenset(("host", "spf", "ptr"))
_ALL = {"fail": "-all", "softfail": "~all", "neutral": "?all"}


def wanted(spec: Spec, keys: KeyView, families: tuple[int, ...], sets: Collection[str] = SETS) -> tuple[Record, ...]:
    """All records: the host's, then domain by domain, at last what the provider of the addresses must set.

    ``families``: 4 and 6, those that are published. ``sets``: the purposes that the running roles ask for.
    Raises ApplianceError when a set needs an address of the spec and there is none: a guess would point the world elsewhere.
    """
    if not _NEED_ADDRESS.isdisjoint(sets) and not any(ip_address(a).version in families for a in spec.addresses):
        words = " and ".join(f"IPv{f}" for f in families)
        have = f"only {', '.join(spec.addresses)}" if spec.addresses else "no addresses"
        raise ApplianceError(
            f"the spec says {have}, and mail is served over {words}: what should A, SPF and PTR records name?",
            hint="addresses: [203.0.113.7] in the spec, what the world sees, also behind NAT; `appliance init` fills it in",
        )
    records = list(_host(spec, families))
    for domain, settings in spec.domains.items():
        records += _domain(spec, domain, settings, keys)
    records += _ptr(spec, families)
    return tuple(r for r in records if r.purpose in sets)


def _host(spec: Spec, families: tuple[int, ...]) -> Iterator[Record]:
    for address in spec.addresses:
        version = ip_address(address).version
        if version in families:
            why = "where the MX record's name leads; the PTR record must lead back"
            yield Record(spec.hostname, "A" if version == 4 else "AAAA", address, "host", why)
    if spec.hostname not in spec.domains:  # two SPF records at one name are an error (RFC 7208, 4.5)
        why = "bounces have an empty sender: receivers judge the EHLO name (RFC 7208, 2.3)"
        yield Record(spec.hostname, "TXT", "v=spf1 a -all", "spf", why)


def _ptr(spec: Spec, families: tuple[int, ...]) -> Iterator[Record]:
    why = "large receivers refuse addresses whose name does not lead back to them; set it where the address is rented"
    for address in spec.addresses:
        ip = ip_address(address)
        if ip.version in families:
            yield Record(ip.reverse_pointer, "PTR", spec.hostname, "ptr", why, provider=True)


def _domain(spec: Spec, domain: str, settings: DomainSpec, keys: KeyView) -> Iterator[Record]:
    yield Record(domain, "MX", f"10 {spec.hostname}", "mx", "mail for the domain is delivered to this host (RFC 5321, 5.1)")
    yield Record(domain, "TXT", spf(spec, settings), "spf", "who may send with this domain in the envelope (RFC 7208)")
    for algorithm in settings.dkim.algorithms:
        selector = dkim_selector(settings.dkim.selector, algorithm)
        half = keys.public_half(dkim_ref(domain, settings.dkim.selector, algorithm))
        kind = algorithm.partition("-")[0]
        why = f"the public key of the {algorithm} signatures ({'RFC 8463' if kind == 'ed25519' else 'RFC 6376, 3.6.1'})"
        yield Record(f"{selector}._domainkey.{domain}", "TXT", f"v=DKIM1; k={kind}; p={half}", "dkim", why)
    # reports go to an address of the same domain: another one would have to consent in its DNS (RFC 7489, 7.1)
    policy = f"v=DMARC1; p={settings.dmarc.policy}; rua=mailto:postmaster@{domain}"
    why = "what to do with mail that neither SPF nor DKIM proves, and where reports go (RFC 7489)"
    yield Record(f"_dmarc.{domain}", "TXT", policy, "dmarc", why)


def spf(spec: Spec, settings: DomainSpec) -> str:
    """The SPF record of a domain: our addresses in both families (a superset harms nothing), the relay's, the spec's includes."""
    terms = [f"ip{ip_address(a).version}:{a}" for a in spec.addresses]
    includes = [*settings.spf.include]
    if spec.relay_host and spec.relay_host.spf_include:
        includes.append(spec.relay_host.spf_include)
    terms += [f"include:{name}" for name in dict.fromkeys(includes)]
    return " ".join(("v=spf1", *terms, _ALL[settings.spf.all]))


def txt_lookup(records: Iterable[Record]) -> Callable[..., bytes | None]:
    """A look-up in these records alone, as dkimpy's ``dnsfunc``: name in bytes or str → text, None when there is none.

    So signatures are validated against exactly what ``dns records`` prints.
    """
    texts = {r.name: r.value.encode() for r in records if r.type == "TXT" and r.complete}

    def lookup(name: bytes | str, timeout: float = 0) -> bytes | None:  # noqa: ARG001 - dkimpy passes it
        text = name.decode() if isinstance(name, bytes) else name
        return texts.get(text.rstrip(".").lower())

    return lookup
