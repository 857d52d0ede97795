"""Does mail get out: port 25 of the world, per family, from the mail server's own container. Many providers block it."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator

from appliance.spec.model import Spec
from appliance.verify.context import Context
from appliance.verify.registry import NotRun, StepFailed, step

BLOCKED = "ask the provider to open port 25 outwards, or set relay_host"
OPTION = "appliance verify --outwards HOST"
#: prints the greeting; bash's own sockets, because no image gets a tool for a check's sake
GREETING = 'exec 3<>"/dev/tcp/$0/25" && IFS= read -r -t 10 line <&3 && printf "%s\\n" "$line"'


@step("outwards-ipv4", "port 25 of the world is reached over IPv4", "outwards", remedy=BLOCKED, ports=("smtp",), seconds=60)
def outwards_ipv4(ctx: Context) -> None:
    """From the container that delivers."""
    outwards(ctx, 4)


@step("outwards-ipv6", "port 25 of the world is reached over IPv6", "outwards", remedy=BLOCKED, ports=("smtp",), seconds=60)
def outwards_ipv6(ctx: Context) -> None:
    """From the container that delivers."""
    outwards(ctx, 6)


def outwards(ctx: Context, family: int) -> None:
    """A host that was named, or one of the exchangers of the domains that the spec itself names, must greet us."""
    domains = _asked(ctx, family)
    service = ctx.target.listening("smtp")
    addresses = [a for domain in domains for a in exchangers(domain, family)]
    if not addresses:
        if ctx.run.outwards and not exchangers(ctx.run.outwards, 10 - family):
            remedy = f"{OPTION} takes a domain that gets mail, or a mail host"
            raise StepFailed(f"{ctx.run.outwards} has no mail exchanger, or no resolver answers this machine", remedy)
        raise NotRun(f"{', '.join(domains)} {'have' if len(domains) > 1 else 'has'} no mail exchanger with IPv{family}")
    for address in addresses[:3]:
        end = ctx.target.engine.exec(ctx.target.instance, str(service), ("bash", "-c", GREETING, address), timeout=20)
        ctx.sent.append(f"connect [{address}]:25 from {service}")
        words = (end.stdout or end.stderr).decode("utf-8", "replace").strip()
        ctx.received.append(words)
        if end.code == 0 and words.startswith("220"):
            return
    raise StepFailed(f"none of {', '.join(addresses[:3])} greeted us: {ctx.received[-1]}")


def _asked(ctx: Context, family: int) -> tuple[str, ...]:
    """Who is asked; raises NotRun where nobody is, or mail does not leave this way."""
    spec = ctx.target.spec
    if not ctx.run.outwards:
        if not any(_public(a, family) for a in spec.addresses):
            raise NotRun(f"the spec has no public IPv{family} address")
        if spec.relay_host:
            raise NotRun("everything leaves through relay_host")
    if family not in ctx.target.families:
        raise NotRun(f"IPv{family} is not served here, so that no mail leaves over it (`appliance doctor` says why)")
    domains = (ctx.run.outwards,) if ctx.run.outwards else tuple(dict.fromkeys(outside(spec)))[:3]
    if not domains:
        raise NotRun(f"the spec names no address elsewhere whose mail exchanger could be asked; `{OPTION}` asks one")
    return domains


def unproven(spec: Spec) -> str:
    """What `plan` says beforehand of a host that is to send, and whose spec names nobody to try it with; "" for others."""
    if spec.relay_host or any(outside(spec)) or not any(_public(a, f) for a in spec.addresses for f in (4, 6)):
        return ""
    return f"the proof will not reach outwards: the spec names no address elsewhere; `{OPTION}` tries port 25 of the world"


def _public(address: str, family: int) -> bool:
    found = ipaddress.ip_address(address)
    return found.is_global and found.version == family


def outside(spec: Spec) -> Iterator[str]:
    """Domains elsewhere that the spec itself names: nobody else is asked."""
    here = {*spec.domains, spec.hostname}
    aliases = (address for alias in spec.aliases.values() for address in alias.to)
    for address in (spec.postmaster, *aliases):
        domain = address.rpartition("@")[2]
        if domain not in here:
            yield domain


def exchangers(domain: str, family: int) -> list[str]:
    """Addresses of a domain's mail exchangers, best first (RFC 5321, 5.1); an address is its own."""
    with contextlib.suppress(ValueError):
        return [domain] if ipaddress.ip_address(domain).version == family else []
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.Resolver()
    resolver.lifetime = 5.0
    try:
        answers = sorted(resolver.resolve(domain, "MX"), key=lambda r: int(r.preference))
        hosts = [str(r.exchange) for r in answers]
    except dns.resolver.NoAnswer:
        hosts = [domain]
    except dns.exception.DNSException:
        return []
    found: list[str] = []
    for host in hosts[:3]:
        try:
            found += [str(r.address) for r in resolver.resolve(host, "A" if family == 4 else "AAAA")]
        except dns.exception.DNSException:
            continue
    return found
