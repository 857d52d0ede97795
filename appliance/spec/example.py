"""The commented example: the first test's input, what `try` starts, and what `init` makes a spec of."""

from __future__ import annotations

from importlib.resources import files as package_files

#: the example's throw-away passwords; its hashes are in example.yml
PASSWORDS = {"alice@example.org": "alice-example", "bob@example.org": "bob-example"}
SCHEMA_FILE = "appliance.schema.json"


def text() -> str:
    """The example spec."""
    return package_files("appliance.spec").joinpath("example.yml").read_text(encoding="utf-8")


def files() -> dict[str, bytes]:
    """Everything that the example consists of: name relative to the spec → bytes. The spec itself is ``mail.yml``."""
    signatures = package_files("appliance.spec").joinpath("example-signatures")
    found = {"mail.yml": text().encode()}
    for item in sorted(signatures.iterdir(), key=lambda i: i.name):
        found[f"example-signatures/{item.name}"] = item.read_bytes()
    return found
