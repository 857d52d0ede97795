"""Who exists and who may send as whom: one derivation from the spec for every role's tables (Postfix, Dovecot, policy, OpenDKIM)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class People:
    """Address tables with every spelling (A-label and, for international domains, U-label keys).

    ``domains``: hosted domain spellings. ``mailboxes``: canonical address → quota in bytes (None: no limit), enabled only.
    ``disabled``: spellings of disabled mailboxes. ``recipients``: spelling → final addresses, aliases expanded *one* level as Postfix's
    virtual_alias_maps wants them, with an identity entry per mailbox, ``@domain`` catch-alls, postmaster and abuse, bare names too.
    ``members``: spelling → local mailboxes reached at the end, aliases expanded wholly (the quota check).
    ``owners``: spelling → logins that may send as it. ``outside``: alias → addresses elsewhere (they need SRS).
    ``probe``: the appliance's own mailbox, never in ``mailboxes``.
    """

    domains: tuple[str, ...]
    mailboxes: Mapping[str, int | None]
    disabled: tuple[str, ...]
    recipients: Mapping[str, tuple[str, ...]]
    members: Mapping[str, tuple[str, ...]]
    owners: Mapping[str, tuple[str, ...]]
    outside: Mapping[str, tuple[str, ...]]
    probe: str
