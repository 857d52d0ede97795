"""Security updates that wait: Debian's list of them against the packages that images hold (their label)."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator, Mapping

import requests
from debian_inspector.version import Version

from appliance.errors import ApplianceError
from appliance.images.mirror import Mirrors, proxies

#: seconds for the connection, and between two pieces of the answer
PATIENCE = (3, 5)
#: bytes of a list, unpacked: several times what a release has at its end
LARGEST = 400_000_000


def pending(held: Iterable[str], mirrors: Mirrors, suite: str, architecture: str) -> tuple[str, ...]:
    """``name old → new`` of each package that has a security update. ``held``: the images' labels, ``name=version`` words.

    Raises ApplianceError when the list cannot be had.
    """
    newest = dict(versions(_list(f"{mirrors.security}/dists/{suite}-security/main/binary-{architecture}/Packages.xz")))
    return tuple(compare(held, newest))


def compare(held: Iterable[str], newest: Mapping[str, Version]) -> Iterator[str]:
    """What is older than ``newest``, each package once for each version that is held."""
    words = {word for label in held for word in label.split()}
    for word in sorted(words):
        name, _, version = word.partition("=")
        if name in newest and Version.from_string(version) < newest[name]:
            yield f"{name} {version} → {newest[name]}"


def versions(text: str) -> Iterator[tuple[str, Version]]:
    """The newest version of each package in a Packages file (deb822(5))."""
    found: dict[str, Version] = {}
    name = ""
    for line in text.splitlines():
        field, _, value = line.partition(": ")
        if field == "Package":
            name = value
        elif field == "Version":
            this = Version.from_string(value)
            found[name] = max(found.get(name, this), this)
    yield from found.items()


def _list(address: str) -> str:
    chosen = proxies()
    routes = {scheme: chosen[f"{scheme}_proxy"] for scheme in ("http", "https") if f"{scheme}_proxy" in chosen}
    try:
        answer = requests.get(address.removeprefix("mirror+"), timeout=PATIENCE, proxies=routes)
        answer.raise_for_status()
        return lzma.LZMADecompressor().decompress(answer.content, LARGEST).decode(errors="replace")
    except requests.RequestException as why:
        raise ApplianceError(f"the list of security updates cannot be had: {type(why).__name__} at {address}") from None
    except lzma.LZMAError as why:
        raise ApplianceError(f"the list of security updates at {address} is garbled: {why}") from None
