"""What a ring lacks for a spec: keys that are not there, certificates that are not there or due to be issued again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from appliance.keys import leaf, make
from appliance.keys.folder import Folder
from appliance.keys.needs import INTERNAL_CA_KEY, Need

#: a certificate with less time left is issued again, for the same key
RENEW = timedelta(days=30)


def lacking(wanted: Iterable[Need], folder: Folder, now: datetime) -> Mapping[str, Need]:
    """Reference → need, in the order in which they can be made.

    The authority's key is wanted only when there is something to issue: a ring that was pulled from a running instance has none.
    """
    wanted = tuple(wanted)
    found = _lacking([n for n in wanted if n.ref != INTERNAL_CA_KEY], {}, folder, now)
    issues = any(n.key == INTERNAL_CA_KEY or n.issuer for n in found.values())
    if issues and not folder.has(INTERNAL_CA_KEY):
        found = _lacking(wanted, {}, folder, now)
    return found


def _lacking(wanted: Iterable[Need], found: dict[str, Need], folder: Folder, now: datetime) -> dict[str, Need]:
    for need in wanted:
        if need.kind == "key" and not folder.has(need.ref):
            found[need.ref] = need
        if need.kind == "certificate" and (need.key in found or need.issuer in found or _due(need, folder, now)):
            found[need.ref] = need
    return found


def _due(need: Need, folder: Folder, now: datetime) -> bool:
    """Whether a certificate is missing, ends soon, or does not belong to its key, its issuer or its names."""
    if not folder.has(need.ref):
        return True
    certificate = make.parse_chain(folder.read(need.ref), str(folder.path(need.ref)))[0]
    foreign = not need.issuer and not leaf.self_signed(certificate)
    if foreign and not need.fetched:
        return True  # an authority's, of the time when the spec said mode acme
    # an authority's is renewed by the authority alone; even when it has ended, ours would be no better
    if not foreign and certificate.not_valid_after_utc - RENEW <= now:
        return True
    if folder.has(need.key):
        key = make.parse_key(folder.read(need.key), str(folder.path(need.key)))
        if make.spki(key.public_key()) != make.spki(certificate.public_key()):  # type: ignore[arg-type]
            return True
    if need.issuer:
        issuer = make.parse_chain(folder.read(need.issuer), str(folder.path(need.issuer)))[0]
        if not leaf.issued_by(certificate, issuer):
            return True
    return need.purpose != "ca" and not all(make.covers(certificate, name) for name in need.names)
