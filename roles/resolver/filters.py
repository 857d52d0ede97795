"""What Unbound's settings need computed: who may ask, and whom it asks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from appliance.errors import ApplianceError
from appliance.topology import View


def forwarders(addresses: Iterable[object]) -> Iterator[str]:
    """The addresses of ``forward_to`` in their normal form; raises ApplianceError for what is none."""
    for address in addresses:
        try:
            yield str(ipaddress.ip_address(str(address).strip()))
        except ValueError:
            raise ApplianceError(
                f"roles.resolver.forward_to: {address} is not an IP address",
                hint="give the address of a resolver, such as 192.0.2.53; a name would have to be looked up first",
            ) from None


def context(view: View) -> Mapping[str, object]:
    """Variables of the templates beside the View's own."""
    return {
        "forwarders": tuple(forwarders(view.options["forward_to"] or ())),
        "clients": tuple(n for n in (view.network.subnet, view.network.subnet6) if n),
    }
