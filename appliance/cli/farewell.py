"""Mailboxes that leave the spec: which they are, and what becomes of their mail."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.plan.words import some
from appliance.spec.model import Spec


def left(gone: frozenset[str], spec: Spec) -> tuple[str, ...]:
    """Of the addresses that go, those whose mailbox leaves the spec, in their canonical spelling; disabled ones stay in it."""
    return tuple(sorted(a for a in gone if a not in spec.mailboxes and a.rpartition("@")[2] in spec.domains))


def farewell(addresses: tuple[str, ...], spec: Spec) -> Iterator[str]:
    """Sentences about mailboxes that leave the spec."""
    if addresses:
        yield f"the mail of {some(addresses)} stays in the store for 30 days, then `appliance tend` removes it"
    refused = [a for a in addresses if spec.domains[a.rpartition("@")[2]].catch_all and a not in spec.aliases]
    if refused:
        yield f"mail to {some(refused)} is refused, and not caught by the catch-all: an alias of that name gives it to somebody"
