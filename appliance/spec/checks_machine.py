"""Checks across fields that concern the host: names, addresses, ports, network, certificate, next hops."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from appliance.errors import Problem
from appliance.spec.ground import Findings, Ground
from appliance.spec.tree import Path, Reader, said

_UNROUTABLE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10")
_NOT_PUBLIC = tuple(ipaddress.ip_network(n) for n in _UNROUTABLE)
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


def machine_checks(ground: Ground, reader: Reader) -> Iterator[Problem]:
    """All of them."""
    yield from _names(ground)
    yield from _addresses(ground)
    yield from _ports(ground)
    yield from _network(ground)
    yield from _tls(ground, reader)
    yield from _relay(ground, reader)
    yield from _routes(ground)
    yield from _dkim(ground)


def _names(ground: Ground) -> Findings:
    hostname = ground.spec.hostname
    if ground.whole("hostname") and hostname in ground.hosted():
        yield ground.problem(
            "hostname-is-domain",
            ("hostname",),
            f"{hostname} is also a hosted domain: mail to the host's own name and to the domain could not be told apart",
            f"give the host a name of its own, e.g. mail.{hostname}",
        )
    if ground.complete("domains") and ground.whole("domains") and not ground.spec.domains:
        yield ground.problem("empty-value", ("domains",), "no domain is hosted", "e.g. domains: {example.org: {}}", key=True)


def _addresses(ground: Ground) -> Findings:
    public = 0
    for i, word in enumerate(ground.spec.addresses):
        path: Path = ("addresses", i)
        found = ipaddress.ip_address(word)
        if _private(found):
            message = f"{word} is a private address: the world cannot reach it, and DNS should not name it"
            yield ground.warning("not-public", path, message, "behind NAT, write the address that the world sees")
        else:
            public += 1
    if ground.whole("addresses") and not public and not ground.spec.addresses:
        yield Problem(
            "no-public-address",
            "addresses: no public address is named: `appliance dns records` cannot say what to publish",
            ground.key(("addresses",)) if ground.said("addresses") else ground.key(("hostname",)),
            "addresses: [203.0.113.7] with the address that the world sees",
            level="warning",
        )


def _private(found: Ip) -> bool:
    return any(found.version == net.version and found in net for net in _NOT_PUBLIC)


def _ports(ground: Ground) -> Findings:
    seen: dict[int, str] = {}
    for name, number in ground.spec.listen.ports.model_dump().items():
        path: Path = ("listen", "ports", name)
        if number is None or not ground.whole(*path):
            continue
        if number in seen:
            here = path if ground.said(*path) else ("listen", "ports", seen[number])
            message = f"port {number} is wanted by {seen[number]} and by {name}"
            yield ground.problem("port-twice", here, message, "null closes a listener")
        seen[number] = name


def _network(ground: Ground) -> Findings:
    for field in ("subnet", "subnet6"):
        said = getattr(ground.spec.network, field)
        if not said or not ground.whole("network", field):
            continue
        subnet = ipaddress.ip_network(said)
        for section, words in (("addresses", ground.spec.addresses), ("listen.address", ground.spec.listen.address)):
            for word in words:
                found = ipaddress.ip_address(word)
                if not found.is_unspecified and found in subnet:
                    message, hint = f"{subnet} holds {word}, which {section} names", "the containers need a network of their own"
                    yield ground.problem("wrong-subnet", ("network", field), message, hint)


def _tls(ground: Ground, reader: Reader) -> Findings:
    tls = ground.spec.tls
    if not ground.whole("tls", "mode"):
        return
    fields = {"files": ("certificate", "key"), "acme": ("email", "directory", "challenge"), "self-signed": ()}
    for name in ("certificate", "key", "email", "directory", "challenge"):
        if getattr(tls, name) is not None and name not in fields[tls.mode]:
            mode = next(m for m, names in fields.items() if name in names)
            hint = f"write mode: {mode}, or remove {name}"
            yield ground.problem("unused-field", ("tls", name), f"the mode {tls.mode} does not use it", hint, key=True)
    if tls.mode != "files":
        return
    for name, begin in (("certificate", "-----BEGIN CERTIFICATE-----"), ("key", "PRIVATE KEY-----")):
        path = getattr(tls, name)
        if path is None:
            if ground.whole("tls", name):
                message = f"the mode files needs a {name}"
                yield ground.problem("tls-files", ("tls",), message, f"{name}: the path of a PEM file, relative to the spec")
            continue
        yield from _pem(ground, reader, name, path, begin)


def _pem(ground: Ground, reader: Reader, name: str, path: str, begin: str) -> Findings:
    try:
        data = reader.file(path).decode("ascii", "replace")
    except (OSError, ValueError) as why:
        yield ground.problem("unreadable-file", ("tls", name), said(path, why), "paths are relative to the spec")
        return
    if name == "key" and "ENCRYPTED" in data:
        message, hint = f"{path} is encrypted, and nobody is there to type its password", "openssl pkey -in KEY -out KEY-open"
        yield ground.problem("wrong-file", ("tls", name), message, hint)
    elif begin not in data:
        other = (
            "a private key" if "PRIVATE KEY-----" in data else "a certificate" if "BEGIN CERTIFICATE" in data else "no PEM file"
        )
        yield ground.problem("wrong-file", ("tls", name), f"{path} is {other}", f"a {name} has a line {begin.strip('-')}")


def _relay(ground: Ground, reader: Reader) -> Findings:
    relay = ground.spec.relay_host
    if relay is None:
        return
    if relay.host == ground.spec.hostname:
        yield ground.problem("mail-loop", ("relay_host", "host"), "this is the host itself: mail would go in a circle")
    if relay.credentials is None:
        return
    path: Path = ("relay_host", "credentials")
    try:
        lines = reader.file(relay.credentials).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as why:
        yield ground.problem("unreadable-file", path, said(relay.credentials, why), "paths are relative to the spec")
        return
    filled = [line for line in lines if line.strip() and not line.startswith("#")]
    if len(filled) != 1 or not all(filled[0].partition(":")[::2]):
        message = f"{relay.credentials} does not hold one line user:password"
        yield ground.problem("wrong-file", path, message)


def _routes(ground: Ground) -> Findings:
    for domain, route in ground.spec.routes.items():
        path: Path = ("routes", domain)
        if domain in ground.hosted():
            hint = "remove the route, or the domain from domains"
            yield ground.problem("route-is-hosted", path, "this domain is hosted here: its mail never leaves", hint, key=True)
        elif domain == ground.spec.hostname or route.host == ground.spec.hostname:
            yield ground.problem("mail-loop", path, "this leads to the host itself: mail would go in a circle", key=True)


def _dkim(ground: Ground) -> Findings:
    for domain, settings in ground.spec.domains.items():
        name = f"{settings.dkim.selector}-ed25519._domainkey.{domain}"
        if len(name) > 253:
            path: Path = ("domains", domain, "dkim", "selector")
            yield ground.problem(
                "too-long", path, f"the DNS name of the key has {len(name)} bytes; 253 is the most (RFC 1035, 2.3.4)"
            )
