"""A daemon's words about a file that it refuses, for a person: where the file came from, and no password hash. Pure."""

from __future__ import annotations

import re

from appliance.render.bundle import AnyFile, ServiceBundle

_HASH = re.compile(r"(\{[A-Z0-9.-]+\}|\$(?:argon2[id]+|2[aby]|5|6)\$)[^\s:'\"]+")
MOST_LINES = 25


def blame(service: ServiceBundle, output: str, what: str, file: AnyFile | None = None) -> str:
    """``what``, the template that it came from when the words name a file, and the words themselves."""
    words = cleaned(output)
    found = file or named(service, words)
    source = f" (made from {found.source})" if found and found.source else ""
    return "\n  ".join((f"{service.name}: {what}{source}", *words.splitlines()[-MOST_LINES:]))


def cleaned(output: str) -> str:
    """The words without password hashes."""
    return _HASH.sub(r"\1…", output.strip())


def named(service: ServiceBundle, words: str) -> AnyFile | None:
    """The file of the bundle that the words name, by the longest path that stands in them."""
    paths = sorted((f for f in service.files), key=lambda f: -len(f.path))
    whole = next((f for f in paths if f"/config/current/{f.path}" in words or f"/config/live/{f.path}" in words), None)
    return whole or next((f for f in paths if re.search(rf"(?<![\w.-]){re.escape(f.path)}(?![\w-])", words)), None)
