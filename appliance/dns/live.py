"""Looks records up, with dnspython. What a name server says, or that it says nothing, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING

from appliance.dns.records import Answer
from appliance.errors import UsageError

if TYPE_CHECKING:
    from dns.resolver import Resolver

#: seconds for one question, retries included
_PATIENCE = 8.0
_AT_ONCE = 16
#: bytes; larger answers come over TCP (what DNS software agreed on, because fragments get lost)
_PAYLOAD = 1232


def resolver(server: str = "") -> Resolver:
    """A resolver: this machine's, or the one at ``ADDRESS`` or ``ADDRESS@PORT``. Raises UsageError for something else."""
    import dns.resolver

    made = dns.resolver.Resolver(configure=not server)
    if server:
        address, _, port = server.partition("@")
        try:
            made.nameservers = [str(ip_address(address))]
            made.port = int(port or 53)
        except ValueError:
            raise UsageError(f"{server} is not a resolver's address", hint="--resolver 9.9.9.9, or ADDRESS@PORT") from None
    made.lifetime = _PATIENCE
    made.use_edns(0, 0, _PAYLOAD)
    return made


def look_up(using: Resolver, name: str, kind: str) -> Answer:
    """One question."""
    import dns.exception
    import dns.resolver

    try:
        found = using.resolve(f"{name}.", kind, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return Answer()
    except dns.resolver.LifetimeTimeout:
        return Answer(failed="no answer in time")
    except dns.resolver.NoNameservers:
        return Answer(failed="the name servers fail (SERVFAIL, REFUSED or a broken DNSSEC chain)")
    except dns.exception.DNSException as why:
        return Answer(failed=str(why) or type(why).__name__)
    return Answer(tuple(sorted(_value(kind, rdata) for rdata in found)))


def _value(kind: str, rdata: object) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
    text = str(rdata).lower()
    return text.removesuffix(".") if kind in ("MX", "PTR") and not text.endswith(" .") else text


def look_up_all(using: Resolver, questions: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Answer]:
    """Many questions, several at once, each asked once."""
    asked = list(dict.fromkeys(questions))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(asked, pool.map(lambda question: look_up(using, *question), asked), strict=True))
