"""The settings of the role, as TOML that is put in place by rename and read again when it changes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """``probe``: the appliance's own mailbox; ``domains``: every hosted domain and the host name, in every spelling."""

    recipients_per_hour: int
    delimiter: str
    probe: str
    domains: tuple[str, ...]


def settings(text: str) -> Settings:
    """Parses the file. Raises ValueError for what is missing, unknown or of another type."""
    raw = tomllib.loads(text)
    known = {"recipients_per_hour": int, "delimiter": str, "probe": str, "domains": list}
    for name in sorted(raw.keys() | known.keys()):
        if name not in known:
            raise ValueError(f"{name} is not a setting of this filter")
        if name not in raw or type(raw[name]) is not known[name]:
            raise ValueError(f"{name} is missing or not of the type {known[name].__name__}")
    return Settings(raw["recipients_per_hour"], raw["delimiter"], raw["probe"], tuple(str(d) for d in raw["domains"]))
