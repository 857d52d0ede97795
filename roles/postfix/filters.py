"""What Postfix's templates need and no setting says by itself: next hops, milters with their time limits, address tables."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping

from appliance.catalog.role import FileDef
from appliance.keys.view import RELAY_CREDENTIALS
from appliance.people import spellings
from appliance.spec.model import Route
from appliance.spec.types import u_label
from appliance.topology import Join, MilterJoin, View

#: seconds for the connection to a milter and for its answer to a command; its content limit is its own
CONNECT, COMMAND = 5, 10
#: seconds until an unanswered question about a mailbox becomes 451
STATUS = 15
MIB = 2**20
#: measured: what rests, a client (smtpd and its cleanup), a delivery (smtp or lmtp), in bytes
REST, CLIENT, DELIVERY = 64 * MIB, 7 * MIB // 2, 3 * MIB
#: processes of the internal listener, see master.cf
REINJECTED = 20


def context(view: View) -> Mapping[str, object]:
    """More variables for the templates; each is named after the setting or the table that it fills."""
    spec, people = view.spec, view.people
    return {
        "origin": next(iter(spec.domains)),
        "protocols": ", ".join(f"ipv{f}" for f in view.families),
        "proxy_interfaces": ", ".join(a for a in spec.addresses if ipaddress.ip_address(a).version in view.families),
        "store": f"lmtp:{endpoint(view.joins['lmtp'])}",
        "sasl": endpoint(view.joins["sasl"]).removeprefix("unix:") if "sasl" in view.joins else "",
        "relay": f"[{spec.relay_host.host}]:{spec.relay_host.port}" if spec.relay_host else "",
        "status": _status(view.joins),
        "senders": {s: tuple(x for o in owners for x in spellings(o)) for s, owners in people.owners.items()},
        "routes": {s: _next_hop(r) for d, r in spec.routes.items() for s in sorted({d, u_label(d)})},
    }


def files(view: View) -> Iterator[FileDef]:
    """The credentials for the relay host, where the spec has some."""
    if view.spec.relay_host and view.spec.relay_host.credentials:
        yield FileDef("relay/credentials", ref=RELAY_CREDENTIALS, mode=0o400, on_change="reload")


def memory(view: View) -> int:
    """Bytes with every process at work: three public services, the internal one, and deliveries both ways."""
    processes = int(view.options["processes"])
    return REST + (3 * processes + REINJECTED) * CLIENT + 2 * processes * DELIVERY


def endpoint(join: Join) -> str:
    """Where an offer listens, as Postfix writes it."""
    return f"unix:{join.socket}" if join.socket else f"inet:[{join.address}]:{join.port}"


def milters(joins: tuple[MilterJoin, ...]) -> str:
    """Milters in order, each with its time limits (MILTER_README, "Different settings for different Milter applications")."""
    return ",".join(
        f"\n    {{ unix:{join.socket}, connect_timeout={CONNECT}s, command_timeout={min(COMMAND, join.timeout)}s,"
        f" content_timeout={join.timeout}s, default_action=tempfail }}"
        for join in joins
    )


def _status(joins: Mapping[str, Join]) -> str:
    """Who knows whether a mailbox can take mail; without aliases expanded where only the store itself answers."""
    join = joins.get("recipient-status") or joins.get("quota-status")
    if join is None:
        return ""
    # braces of its own around the text: without them smtpd dies at start, and `postfix check` says nothing
    action = "{ default_action = 451 4.3.0 Mailbox status is not known at the moment }"
    return f"check_policy_service {{ {endpoint(join)}, timeout={STATUS}s, {action} }}"


def _next_hop(route: Route) -> str:
    return f"smtp:{route.host if route.mx else f'[{route.host}]'}:{route.port}"


FILTERS: Mapping[str, Callable[..., str]] = {"milters": milters}
