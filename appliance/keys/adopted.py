"""Which rings this one has taken over (`up --adopt`): a list in the ring, because a volume's labels never change.

State volumes carry the id of the ring that made them for ever. One id a line in ``adopted``; the list holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from appliance.errors import ApplianceError
from appliance.keys.folder import Folder

ADOPTED = "adopted"
_ID = re.compile(r"[0-9a-f]{16}")


def parse(data: bytes, place: str) -> frozenset[str]:
    """The ids of the list. Raises ApplianceError for a line that is none."""
    lines = data.decode(errors="replace").split()
    strange = [line for line in lines if not _ID.fullmatch(line)]
    if strange:
        raise ApplianceError(f"{place}: not the id of a key ring: {strange[0]!r}", hint="delete that line")
    return frozenset(lines)


def read(folder: Folder) -> frozenset[str]:
    """The list, empty where there is none."""
    return parse(folder.read(ADOPTED), str(folder.path(ADOPTED))) if folder.has(ADOPTED) else frozenset()


def remember(folder: Folder, ids: Iterable[str]) -> None:
    """Adds the ids of rings whose volumes are this ring's now."""
    before = read(folder)
    after = before.union(ids)
    if after != before:
        folder.replace(ADOPTED, "".join(f"{one}\n" for one in sorted(after)).encode())
