"""Image tags: a digest of everything that decides what is in an image, and of nothing else.

Counted: the build context (paths, bytes, executable bit), the base's context, the suite and the refresh date. Not counted: times
and owners of files (they differ between a wheel and a checkout), image ids (each bootstrap of the base has another), the mirror
(the same packages come from all of them) and the engine's architecture (it shows in the image itself).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from appliance.errors import ApplianceError
from appliance.images.context import BASE, Context, contexts
from appliance.images.lock import Lock

#: the Debian release that all images are made of
SUITE = "trixie"
PREFIX = "appliance"
_HEX = 12


def tags(lock: Lock, among: Mapping[str, Context] | None = None) -> Mapping[str, str]:
    """Image name → tag such as ``appliance/postfix:0123456789ab``, ``base`` included.

    ``among``: the contexts, ``base`` among them; default: those of this copy of the program, read from disk.
    """
    known = contexts() if among is None else among
    if BASE not in known:
        raise ApplianceError(f"there is no folder images/{BASE}", hint="install the package again")
    base = digest(known[BASE], lock)
    found = {name: digest(context, lock, base) for name, context in known.items() if name != BASE}
    return {name: f"{PREFIX}/{name}:{value[:_HEX]}" for name, value in {**found, BASE: base}.items()}


def digest(context: Context, lock: Lock, base: str = "") -> str:
    """SHA-256 (hex) of one image. ``base``: the digest of the base that it is built from, empty for the base itself."""
    summary = hashlib.sha256()
    head = ("1", SUITE, lock.stamp, base)
    lines = [
        (entry.path, "x" if entry.executable else "-", hashlib.sha256(entry.data).hexdigest())
        for entry in sorted(context.files, key=lambda entry: entry.path)
    ]
    for line in (head, *lines):
        # NUL stands in no path, a newline may: lengths are unambiguous because each line has a fixed number of fields
        summary.update("\0".join(line).encode("utf-8", "surrogateescape") + b"\0\n")
    return summary.hexdigest()
