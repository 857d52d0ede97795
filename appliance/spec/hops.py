"""Validators that belong to single fields of the model: next hops, selectors, subnets, bounds. Each raises ``Fault``."""

from __future__ import annotations

import ipaddress
import re

from appliance.spec.names import Fault, domain, text
from appliance.spec.types import ip, port

MIB = 2**20
#: networks that no server of the internet has: RFC 1918, RFC 6598, RFC 2544
PRIVATE = tuple(
    ipaddress.IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15")
)
PRIVATE6 = ipaddress.IPv6Network("fc00::/7")  # RFC 4193
_HOP = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<bare>[^\[\]:\s]+))(?::(?P<port>\d+))?")
_HOP_HINT = 'write "[mx.example.net]:25" for one host, or example.net for the MX of a domain'


def hop(value: str) -> tuple[str, int | None, bool]:
    """``[host]:port``, ``host:port`` or ``host`` → host, port, whether it stood in brackets (no MX look-up, transport(5))."""
    word = text(value, "a next hop")
    if word.startswith(("smtp:", "lmtp:", "relay:")):
        raise Fault("the next hop alone, without a transport", kind="wrong-hop", hint=_HOP_HINT)
    found = _HOP.fullmatch(word)
    if not found:
        if word.count(":") > 1 and "[" not in word:
            raise Fault("an IPv6 address stands in brackets", kind="wrong-hop", hint=f'write "[{word}]:25"')
        raise Fault(f"{word[:60]!r} is not a next hop", kind="wrong-hop", hint=_HOP_HINT)
    name = found["bracketed"] or found["bare"]
    number = port(found["port"]) if found["port"] else None
    if found["bare"] and re.fullmatch(r"\d+(\.\d+){3}", name):
        raise Fault("an IP address stands in brackets", kind="wrong-hop", hint=f'write "[{name}]:{number or 25}"')
    return host(name), number, found["bracketed"] is not None


def world_ip(value: str) -> str:
    """An address that can be a server's on the internet; private ones are warned of elsewhere (the NAT may not be known yet)."""
    found = ipaddress.ip_address(value)
    if found.is_loopback or found.is_unspecified or found.is_multicast or (found.version == 4 and found.is_reserved):
        hint = "listen.address says where ports are bound; this is what the world sees"
        raise Fault(f"{value} is never the address of a server on the internet", kind="not-public", hint=hint)
    return value


def some(values: tuple[str, ...]) -> tuple[str, ...]:
    """At least one address."""
    if not values:
        raise Fault("an alias leads to at least one address", kind="empty-value")
    return values


def host(value: object) -> str:
    """A host name or an IP address."""
    word = text(value, "a host name or an IP address").removeprefix("IPv6:")
    if ":" in word or re.fullmatch(r"\[.*\]|\d+(\.\d+){3}", word):
        if re.fullmatch(r"\[?[A-Za-z0-9.-]+\]?:\d+", word) or (word.startswith("[") and not word.endswith("]")):
            raise Fault("the host alone; the port has its own field", kind="wrong-hop", hint="write host: … and port: …")
        bare = word.strip("[]")
        return ip(bare) if ":" in bare or re.fullmatch(r"\d+(\.\d+){3}", bare) else domain(bare)
    return domain(word)


def route(value: str) -> dict[str, object]:
    """The short form of a route."""
    name, number, direct = hop(value)
    return {"host": name, "port": number or 25, "mx": not direct}


def relay(value: str) -> dict[str, object]:
    """The short form of relay_host; a relay is one host, with or without brackets."""
    name, number, _ = hop(value)
    return {"host": name} | ({"port": number} if number else {})


def subnet(value: object) -> str | None:
    """A private IPv4 network from /8 to /26, without host bits."""
    if value is None:
        return None
    word = text(value, "a network such as 198.18.25.0/24")
    try:
        found = ipaddress.ip_network(word, strict=False)
    except ValueError:
        raise Fault(f"{word[:60]!r} is not a network such as 198.18.25.0/24", kind="wrong-subnet") from None
    if isinstance(found, ipaddress.IPv6Network):
        hint = f"e.g. 198.18.25.0/24; an IPv6 network stands in network.subnet6: {found}"
        raise Fault("subnet is the containers' IPv4 network", kind="wrong-subnet", hint=hint)
    if "/" not in word or found.prefixlen > 26:
        raise Fault(f"{word} is too small: the services need a /26 or larger", kind="wrong-subnet", hint="e.g. 198.18.25.0/24")
    if found.prefixlen < 8:
        raise Fault(f"{word} is too large: a /8 is the most", kind="wrong-subnet", hint="e.g. 198.18.25.0/24")
    if str(found) != word:
        raise Fault(f"{word} is an address inside of a network", kind="wrong-subnet", hint=f"did you mean {found}?")
    if not any(found.subnet_of(net) for net in PRIVATE):
        hint = f"take one of {', '.join(map(str, PRIVATE))}"
        raise Fault(f"{word} belongs to somebody: mail to its real owners would be lost", kind="wrong-subnet", hint=hint)
    return word


def subnet6(value: object) -> str | None:
    """A /64 of the private IPv6 addresses (RFC 4193), in its short form."""
    if value is None:
        return None
    word = text(value, "a network such as fd12:3456:789a:1::/64")
    hint = "e.g. fd12:3456:789a:1::/64; without the field one is derived from the name"
    try:
        found = ipaddress.ip_interface(word)
    except ValueError:
        raise Fault(f"{word[:60]!r} is not a network such as fd12:3456:789a:1::/64", kind="wrong-subnet") from None
    if isinstance(found, ipaddress.IPv4Interface):
        raise Fault("subnet6 is the containers' IPv6 network", kind="wrong-subnet", hint=hint)
    if found.network.prefixlen != 64:
        raise Fault(f"{word} is not a /64, the size of an IPv6 subnet (RFC 4291, 2.5.4)", kind="wrong-subnet", hint=hint)
    if found.ip != found.network.network_address:
        raise Fault(f"{word} is an address inside of a network", kind="wrong-subnet", hint=f"did you mean {found.network}?")
    if not found.network.subnet_of(PRIVATE6):
        raise Fault(f"{word} is not one of the private networks, {PRIVATE6}", kind="wrong-subnet", hint=hint)
    return str(found.network)


def selector(value: object) -> str:
    """The beginning of a DKIM selector (RFC 6376, 3.1): labels of letters, digits and hyphens; room is left for ``-ed25519``."""
    word = text(value, "a DKIM selector such as s1").lower()
    if "_domainkey" in word:
        raise Fault(
            "the selector alone, without _domainkey and the domain",
            kind="wrong-selector",
            hint=f"did you mean {word.split('.')[0]}?",
        )
    if not all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", part) for part in word.split(".")):
        raise Fault(f"{word[:60]!r} is not a selector: letters, digits and hyphens, e.g. s1", kind="wrong-selector")
    last = word.rpartition(".")[2]
    if len(last) > 63 - len("-ed25519") or any(len(part) > 63 for part in word.split(".")):
        raise Fault(f"the selector has {len(word)} characters; 55 is the most, because -ed25519 is added", kind="too-long")
    return word


def algorithms(values: tuple[str, ...]) -> tuple[str, ...]:
    """At least one, each once, and one RSA size only: two would share the selector ``s1-rsa``."""
    if not values:
        raise Fault("a domain without a signature is judged as spam", kind="empty-value", hint="write [rsa-2048, ed25519]")
    kinds = [v.partition("-")[0] for v in values]
    for kind in kinds:
        if kinds.count(kind) > 1:
            raise Fault(f"two {kind} keys would share one selector", kind="duplicate", hint="keep one of them")
    return values


def instance_name(value: object) -> str:
    """Lower case letters, digits and hyphens, beginning with a letter, at most 31 characters."""
    word = text(value, "a short name such as example")
    if re.fullmatch(r"[a-z][a-z0-9-]{0,30}", word) and not word.endswith("-"):
        return word
    better = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-0123456789")[:31].strip("-")
    hint = f"did you mean {better}?" if better and better != word else ""
    reason = "a name has lower case letters, digits and hyphens, begins with a letter and has at most 31 characters"
    raise Fault(f"{word[:40]!r} cannot be the name of containers: {reason}", kind="wrong-name", hint=hint)


def https_url(value: object) -> object:
    """An https address without user and fragment."""
    if value is None:
        return None
    word = text(value, "an https address")
    if not re.fullmatch(r"https://[^\s/@#?]+(/[^\s#]*)?", word):
        raise Fault(f"{word[:60]!r} is not an https address", kind="wrong-value")
    return word


def challenge(value: object) -> object:
    """The way of ACME that is built; the others by name, so that nobody thinks it a slip of the pen."""
    if value in ("tls-alpn-01", "dns-01"):
        why = "port 443 is not ours" if value == "tls-alpn-01" else "it would need the keys to your DNS for each renewal"
        hint = "challenge: http-01, or mode: files with what another ACME client fetches"
        raise Fault(f"{value} is not supported: {why}", kind="not-supported", hint=hint)
    return value


def message_size(value: int) -> int:
    """1 MiB to 500 MiB: clamd cannot judge a stream of more than 2 GB, and base64 takes its share."""
    if not MIB <= value <= 500 * MIB:
        raise Fault("a message size is 1 MiB to 500 MiB", kind="out-of-range")
    return value


def at_least_a_day(value: int) -> int:
    """Logs are kept for a day at least: whoever looks into a fault comes later."""
    if not 86400 <= value <= 3650 * 86400:
        raise Fault("logs are kept for 1 day to 3650 days", kind="out-of-range")
    return value
