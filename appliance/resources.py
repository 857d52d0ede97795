"""Where ``roles/`` and ``images/`` are: at the top of a checkout, or inside the package of an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.errors import ApplianceError

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder ``roles`` or ``images`` that belongs to this copy of the program.

    Raises ApplianceError when the installation is damaged.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise ApplianceError(f"this installation has no {name}/ folder", hint="install the package again")


def role_folders() -> tuple[Path, ...]:
    """Every folder whose sub-folders are roles: ours first, then those named in ``APPLIANCE_ROLES`` (like PATH)."""
    extra = [Path(p).expanduser().resolve() for p in os.environ.get("APPLIANCE_ROLES", "").split(os.pathsep) if p]
    for path in extra:
        if not path.is_dir():
            raise ApplianceError(f"APPLIANCE_ROLES names {path}, which is not a folder")
    return (folder("roles"), *extra)
