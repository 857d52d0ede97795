"""Who exists and who may send as whom: one derivation from the spec for the tables of every role."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from appliance.keys.view import KeyView
from appliance.spec.model import Alias, Spec
from appliance.spec.types import u_label

#: RFC 2142: these always deliver, in every hosted domain and at the host's own name (RFC 5321, 4.5.1)
ALWAYS = ("abuse", "postmaster")


@dataclass(frozen=True)
class People:
    """Address tables with every spelling (A-label and, for international domains, U-label keys).

    ``domains``: hosted domain spellings. ``mailboxes``: canonical address → quota in bytes (None: no limit), enabled only.
    ``disabled``: spellings of disabled mailboxes. ``recipients``: spelling → final addresses, aliases expanded *one* level as
    Postfix's virtual_alias_maps wants them, with an identity entry per mailbox, ``@domain`` catch-alls, postmaster and abuse,
    bare names too; under a catch-all also for mailboxes that were removed, so that their mail is refused and not caught.
    ``members``: spelling → local mailboxes reached at the end, aliases expanded wholly (the quota check).
    ``owners``: spelling → logins that may send as it. ``outside``: alias → addresses elsewhere (they need SRS).
    ``postmasters``: mailboxes that mail to postmaster or abuse reaches; it is delivered there when they are full too.
    ``removed``: spellings of removed mailboxes whose entry in ``recipients`` keeps them out of a catch-all; that entry makes them
    known, so what is sent to them must be refused by name.
    ``probe``: the appliance's own mailbox, never in ``mailboxes``.
    """

    domains: tuple[str, ...]
    mailboxes: Mapping[str, int | None]
    disabled: tuple[str, ...]
    recipients: Mapping[str, tuple[str, ...]]
    members: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, tuple[str, ...]]
    outside: Mapping[str, tuple[str, ...]]
    postmasters: frozenset[str]
    removed: tuple[str, ...]
    probe: str


def spellings(address: str) -> tuple[str, ...]:
    """An address in A-label form and, for an international domain, in U-label form too (RFC 6531 clients send that)."""
    local, at, domain = address.rpartition("@")
    unicode = u_label(domain) if "xn--" in domain else domain
    return (address,) if unicode == domain else (address, f"{local}{at}{unicode}")


def always(address: str) -> bool:
    """Whether it is a postmaster's or an abuse address, which always delivers; the bare ones too."""
    return address.partition("@")[0] in ALWAYS


def probe_address(spec: Spec, keys: KeyView) -> str:
    """The probe's mailbox: in the first hosted domain (so that its mail is signed), under a name that nobody guesses."""
    return f"probe-{keys.token('probe')}@{next(iter(spec.domains))}"


def people(spec: Spec, keys: KeyView) -> People:
    """Derives every table from the spec."""
    probe = probe_address(spec, keys)
    enabled = {a: m.quota for a, m in spec.mailboxes.items() if m.enabled}
    disabled = tuple(s for a, m in spec.mailboxes.items() if not m.enabled for s in spellings(a))
    recipients = dict(_recipients(spec, probe))
    uncaught = dict(_uncaught(spec, keys, recipients))
    recipients |= uncaught
    members = {key: _members(key, recipients, enabled) for key in recipients if recipients[key] != (key,)}
    return People(
        domains=tuple(s for d in spec.domains for s in spellings(d)),
        mailboxes=enabled,
        disabled=disabled,
        recipients=recipients,
        members={key: found for key, found in members.items() if found},
        owners=dict(_owners(spec, probe, members)),
        outside=_outside(spec),
        postmasters=frozenset(m for key in recipients if always(key) for m in (members.get(key) or (key,)) if m in enabled),
        removed=tuple(uncaught),
        probe=probe,
    )


def _recipients(spec: Spec, probe: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for domain, settings in spec.domains.items():
        # postmaster and abuse first: a mailbox or an alias of that name, written by the user, takes their place
        for name in ALWAYS:
            yield from _spelled(f"{name}@{domain}", (spec.postmaster,))
        if settings.catch_all:
            yield from _spelled(f"@{domain}", (settings.catch_all,))
    for name in ALWAYS:
        yield f"{name}@{spec.hostname}", (spec.postmaster,)
        yield name, (spec.postmaster,)
    for address in spec.mailboxes:
        # disabled ones too: their identity entry keeps them out of a catch-all
        yield from _spelled(address, (address,))
    for address, alias in spec.aliases.items():
        yield from _spelled(address, alias.to)
    yield probe, (probe,)


def _uncaught(spec: Spec, keys: KeyView, recipients: Container[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    caught = {domain for domain, settings in spec.domains.items() if settings.catch_all}
    for address in sorted(keys.removed):
        if address not in recipients and address.rpartition("@")[2] in caught:
            yield from _spelled(address, (address,))


def _spelled(address: str, to: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for spelling in spellings(address):
        yield spelling, to


def _members(key: str, recipients: Mapping[str, tuple[str, ...]], enabled: Mapping[str, int | None]) -> tuple[str, ...]:
    """The local mailboxes that an address reaches, aliases followed to their end; loops end where they began."""
    found: dict[str, None] = {}
    seen, queue = {key}, list(recipients[key])
    while queue:
        address = queue.pop(0)
        if address in enabled:
            found[address] = None
        elif address not in seen:
            seen.add(address)
            queue += recipients.get(address, ())
    return tuple(found)


def _owners(spec: Spec, probe: str, members: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for address, mailbox in spec.mailboxes.items():
        if mailbox.enabled:
            for spelling in spellings(address):
                yield spelling, (address,)
    for address, alias in spec.aliases.items():
        owners = _senders(address, alias, members)
        for spelling in spellings(address):
            if owners:
                yield spelling, owners
    for domain in spec.domains:
        for name in ALWAYS:
            # whoever reads postmaster@ may answer as it
            address = f"{name}@{domain}"
            if address not in spec.mailboxes and address not in spec.aliases and members.get(address):
                for spelling in spellings(address):
                    yield spelling, members[address]
    yield probe, (probe,)


def _senders(address: str, alias: Alias, members: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return members.get(address, ()) if alias.send_as is None else alias.send_as


def _outside(spec: Spec) -> Mapping[str, tuple[str, ...]]:
    here = (*spec.domains, spec.hostname)
    outside = {a: tuple(t for t in alias.to if t.rpartition("@")[2] not in here) for a, alias in spec.aliases.items()}
    return {a: to for a, to in outside.items() if to}
