"""The tables of the policy programs, from the same people as everybody's."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.people import People, always, spellings
from appliance.topology import View

KINDS = {"policy": "milter", "policy-recipients": "recipients"}


def context(view: View) -> Mapping[str, object]:
    """More variables for the templates."""
    return {
        "kind": KINDS[view.service.name],
        "socket": f"/sock/{view.service.name}/{view.service.offers[0].socket}",
        "store": view.joins["quota-status"].socket if "quota-status" in view.joins else "",
        "senders": {s: tuple(x for o in owners for x in spellings(o)) for s, owners in view.people.owners.items()},
        "members": _members(view.people),
        "domains": tuple(dict.fromkeys((*view.people.domains, view.spec.hostname))),
    }


def _members(people: People) -> Mapping[str, tuple[str, ...]]:
    """Every address and the mailboxes that it reaches; one that reaches none stands alone, or a catch-all would answer for it.

    Postmaster and abuse stand alone too: whether a mailbox behind them is full is not asked.
    """
    own = {*people.mailboxes, people.probe}
    return {a: () if always(a) else (a,) if a in own else people.members.get(a, ()) for a in people.recipients}
