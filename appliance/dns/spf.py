"""Judges an SPF record for one address (RFC 7208), so that a record in other words than ours is not called wrong.

Macros (RFC 7208, section 7) are not expanded: a record that needs one is ``undecided``. ``ptr`` never matches (5.5: do not use).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from appliance.dns.records import Answer, Lookup

_RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MOST = 10  # look-ups (RFC 7208, 4.6.4)
_MECHANISM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]+))?(/.*)?", re.IGNORECASE)
_MODIFIER = re.compile(r"[a-z][a-z0-9_.-]*=", re.IGNORECASE)


class _Ends(Exception):
    """The evaluation ends with this result whatever else the record says."""


def records(values: tuple[str, ...]) -> tuple[str, ...]:
    """The SPF records among the texts of a name (RFC 7208, 4.5)."""
    return tuple(v for v in values if v.lower() == "v=spf1" or v.lower().startswith("v=spf1 "))


def terms(record: str) -> frozenset[str]:
    """What a record says, as a set: lower case, ``+`` left out, addresses in one spelling."""
    return frozenset(_normal(term) for term in record.lower().split()[1:])


def _normal(term: str) -> str:
    term = term.removeprefix("+")
    kind, _, rest = term.partition(":")
    if kind.lstrip("-~?") in ("ip4", "ip6"):
        try:
            network = ip_network(rest, strict=False)
        except ValueError:
            return term
        return f"{kind}:{network if network.num_addresses > 1 else network.network_address}"
    return term


def judge(record: str, address: str, domain: str, lookup: Lookup) -> str:
    """pass, fail, softfail, neutral, temperror, permerror or undecided, for mail of ``domain`` from ``address``."""
    try:
        return _Judge(ip_address(address), lookup).judge(record, domain)
    except _Ends as end:
        return str(end)


class _Judge:
    def __init__(self, address: IPv4Address | IPv6Address, lookup: Lookup) -> None:
        self.address, self._lookup, self.left = address, lookup, _MOST

    def judge(self, record: str, domain: str) -> str:
        redirect = ""
        for term in record.split()[1:]:
            if term.lower().startswith("redirect="):
                redirect = term[len("redirect=") :]
            elif not _MODIFIER.match(term):
                qualifier, matches = self._match(term, domain)
                if matches:
                    return _RESULTS[qualifier]
        if redirect:
            self._count()
            return self._other(redirect, redirect=True)
        return "neutral"

    def _match(self, term: str, domain: str) -> tuple[str, bool]:
        found = _MECHANISM.fullmatch(term)
        if not found:
            raise _Ends("permerror")
        qualifier, kind, target, rest = found[1] or "+", found[2].lower(), found[3] or "", found[4] or ""
        if "%" in target:
            raise _Ends("undecided")
        if kind == "all":
            return qualifier, True
        if kind in ("ip4", "ip6"):
            return qualifier, self._within(target + rest)
        self._count()
        if kind == "include":
            return qualifier, self._other(target, redirect=False) == "pass"
        if kind == "exists":
            return qualifier, bool(self._ask(target, "A").values)
        return qualifier, kind != "ptr" and any(self._within(a + self._prefix(rest)) for a in self._hosts(kind, target or domain))

    def _hosts(self, kind: str, name: str) -> Iterator[str]:
        names = [name] if kind == "a" else [value.partition(" ")[2] for value in self._ask(name, "MX").values]
        for host in names:
            yield from self._ask(host.rstrip("."), "A" if self.address.version == 4 else "AAAA").values

    def _prefix(self, rest: str) -> str:
        """The part of ``/24//64`` that is for the address's family."""
        four, _, six = rest.partition("//")
        wanted = four.lstrip("/") if self.address.version == 4 else six
        return f"/{wanted}" if wanted else ""

    def _within(self, network: str) -> bool:
        try:
            return self.address in ip_network(network, strict=False)
        except ValueError:
            raise _Ends("permerror") from None

    def _other(self, name: str, *, redirect: bool) -> str:
        if "%" in name:
            raise _Ends("undecided")
        found = records(self._ask(name.rstrip("."), "TXT").values)
        if len(found) != 1:
            raise _Ends("permerror")
        result = self.judge(found[0], name)
        if result in ("temperror", "permerror") and not redirect:
            raise _Ends(result)
        return result

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Ends("permerror")

    def _ask(self, name: str, kind: str) -> Answer:
        answer = self._lookup(name, kind)
        if answer.failed:
            raise _Ends("temperror")
        return answer
