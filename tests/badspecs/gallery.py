"""A gallery of broken specs. ``NNN-name.yml`` stands beside ``NNN-name.expected``: the report exactly as it is printed.

The roles are a small catalogue of this gallery's own, so that a new option of a real role changes no report.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.catalog.role import Option, Role
from appliance.errors import InvalidSpec
from appliance.spec.load import DiskReader, load
from appliance.spec.report import render_problems

HERE = Path(__file__).parent


def _role(name: str, *options: Option) -> Role:
    return Role(name, name, HERE, services=(), options=options)


CATALOG: Mapping[str, Role] = {
    role.name: role
    for role in (
        _role(
            "clamav",
            Option("signatures", "choice", "freshclam", "where signatures come from", choices=("freshclam",), or_folder=True),
            Option("unpacked", "size", "400 MiB", "how much is unpacked", unit="bytes", minimum=2**20),
        ),
        _role("dovecot", Option("format", "choice", "maildir", "how mail is kept", choices=("maildir", "mdbox"))),
        _role(
            "policy",
            Option("recipients_per_hour", "integer", 200, "recipients of a login", unit="recipients", minimum=1, maximum=1000000),
            Option("window", "duration", "1 hour", "what is counted over"),
            Option("exempt", "list", [], "logins that are not counted"),
            Option("quiet", "boolean", False, "no word to the client"),
            Option("notify", "address", None, "who hears of it"),
        ),
    )
}


def specs() -> list[Path]:
    """The specs in order."""
    return sorted(HERE.glob("[0-9][0-9][0-9]-*.yml"))


def report(path: Path) -> str:
    """What `appliance validate` prints for a spec; its warnings too, when it is valid."""
    text = path.read_bytes().decode("utf-8")
    try:
        loaded = load(text, path.name, CATALOG, DiskReader(HERE))
    except InvalidSpec as why:
        return f"{render_problems(why.problems)}error: {why.message}\n"
    return f"{render_problems(loaded.warnings)}valid\n"
