"""The commented example: the first test's input, what `try` starts, and what `init` makes a spec of."""

from __future__ import annotations

from importlib.resources import files as package_files

#: the example's throw-away passwords; its hashes are in example.yml
PASSWORDS = {"alice@example.org": "alice-example", "bob@example.org": "bob-example"}
SCHEMA_FILE = "appliance.schema.json"


def text() -> str:
    """The example spec."""
    return package_files("appliance.spec").joinpath("example.yml").read_text(encoding="utf-8")


class Reader:
    """Reads what the example names, out of the package; anything else does not exist."""

    def file(self, path: str) -> bytes:
        """The bytes of a file. Raises OSError."""
        found = files()
        if path not in found:
            raise FileNotFoundError(path)
        return found[path]

    def folder(self, path: str) -> dict[str, bytes]:
        """Name → bytes of the files of a folder. Raises OSError."""
        found = {n.removeprefix(f"{path}/"): data for n, data in files().items() if n.startswith(f"{path}/")}
        if not found:
            raise FileNotFoundError(path)
        return found


def files() -> dict[str, bytes]:
    """Everything that the example consists of: name relative to the spec → bytes. The spec itself is ``mail.yml``."""
    signatures = package_files("appliance.spec").joinpath("example-signatures")
    found = {"mail.yml": text().encode()}
    for item in sorted(signatures.iterdir(), key=lambda i: i.name):
        found[f"example-signatures/{item.name}"] = item.read_bytes()
    return found
