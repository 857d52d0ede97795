"""Address families: what the spec asks for beside what the engine serves truly, in words."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.observed import HostFacts
    from appliance.spec.model import Spec


def bound(spec: Spec, families: tuple[int, ...]) -> tuple[int, ...]:
    """Those of the families on which the spec listens: all of them unless listen.address names addresses."""
    named = {ip_address(a).version for a in spec.listen.address}
    return tuple(f for f in families if not named or f in named)


def missed(spec: Spec, host: HostFacts) -> str:
    """Why IPv6 is left out although the spec asks for it: it listens on an IPv6 address, or on all and the world sees one."""
    asked = spec.listen.address or spec.addresses
    return host.without_ipv6 if any(ip_address(a).version == 6 for a in asked) else ""


def findings(spec: Spec, host: HostFacts) -> Iterator[tuple[bool, str]]:
    """(well, sentence): which families are published, and why another is not."""
    names = " and ".join(f"IPv{f}" for f in host.families)
    yield True, f"arrive truly over {names}; nothing else is published"
    if host.without_ipv6:
        yield not missed(spec, host), host.without_ipv6
    for address in spec.addresses:
        version = ip_address(address).version
        if version in host.families and version not in bound(spec, host.families):
            yield True, f"IPv{version} is left out: listen.address names no IPv{version} address"
            return
