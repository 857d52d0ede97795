"""Records as a zone file snippet that loads as it stands: absolute names, strings split, one block per zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.dns.records import Record
from appliance.errors import ApplianceError
from appliance.spec.model import Spec
from appliance.spec.types import u_label


def zone_of(name: str, spec: Spec) -> str:
    """The zone that a name belongs to: the longest hosted domain above it, else (a host of another domain) what is above it."""
    above = name
    while above:
        if above in spec.domains:
            return above
        above = above.partition(".")[2]
    parent = name.partition(".")[2]
    return parent if "." in parent else name


def zones(records: Iterable[Record], spec: Spec) -> Mapping[str, tuple[Record, ...]]:
    """Zone → its records. What the provider of the addresses must set stands under the empty name."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault("" if record.provider else zone_of(record.name, spec), []).append(record)
    return {zone: tuple(group) for zone, group in found.items()}


def snippet(records: Iterable[Record], spec: Spec) -> str:
    """The text. Raises ApplianceError while a key is not made: a record without it, published, makes signatures fail."""
    records = tuple(records)
    for record in records:
        if not record.complete:
            raise ApplianceError(
                f"{record.name} waits for a key that is not made yet",
                hint="`appliance keys create` makes the keys now, `appliance up` does too",
            )
    blocks = [_block(zone, group) for zone, group in zones(records, spec).items() if zone]
    asked = [r for r in records if r.provider]
    if asked:
        lines = "".join(f"; {r}\n" for r in asked)
        blocks.append(f"; to ask of whoever gave you the address, in its reverse zone\n{lines}")
    return "\n".join(blocks)


def _block(zone: str, records: Iterable[Record]) -> str:
    unicode = u_label(zone)
    title = f"; zone {zone}" + (f" ({unicode})" if unicode != zone else "")
    lines = [title]
    said = ""
    for record in records:
        if record.why != said:
            said = record.why
            lines.append(f"; {said}")
        lines.append(str(record))
    return "\n".join(lines) + "\n"
