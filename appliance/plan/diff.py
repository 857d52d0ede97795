"""What changes inside a service's files, as a unified diff; of files with password hashes only the addresses."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from appliance.plan.model import Change
from appliance.render.bundle import File

#: a diff longer than this is cut, with the number of lines that are left
MOST_LINES = 200


def diff(change: Change, before: Mapping[str, bytes]) -> list[str]:
    """The lines of one service's diffs. ``before``: the present generation's files by path, secrets as b""."""
    lines: list[str] = []
    for item in change.files:
        file = change.bundle.file(item.path) if change.bundle else None
        name = f"{change.service}/{item.path}"
        if file is not None and not isinstance(file, File):
            lines.append(f"{name}: {'new key' if item.kind == 'added' else 'another key'} ({file.digest})")
            continue
        new = _text(file.data) if isinstance(file, File) and item.kind != "removed" else []
        old = _text(before.get(item.path, b""))
        if new is None or old is None:
            lines.append(f"{name}: binary, {item.kind}")
        elif item.secret:
            lines += [f"{name}: {line}" for line in _people(old, new)]
        else:
            body = list(difflib.unified_diff(old, new, f"{name} (now)", f"{name} (then)", lineterm="", n=2))
            lines += body[:MOST_LINES]
            if len(body) > MOST_LINES:
                lines.append(f"… {len(body) - MOST_LINES} more lines")
    return lines


def _text(data: bytes) -> list[str] | None:
    try:
        return data.decode().splitlines()
    except UnicodeDecodeError:
        return None


def _people(old: list[str], new: list[str]) -> list[str]:
    """A file with hashes: who comes, who goes, whose line changed; never the line."""
    before, after = _by_address(old), _by_address(new)
    come = [f"+ {a}" for a in after if a not in before]
    gone = [f"- {a}" for a in before if a not in after]
    changed = []
    for address in after:
        if address in before and before[address] != after[address]:
            password = before[address][0] != after[address][0]
            changed.append(f"~ {address}: {'password changed' if password else 'settings changed'}")
    return come + gone + changed


def _by_address(lines: list[str]) -> dict[str, tuple[str, str]]:
    """passwd-file lines → address → (hash, the rest)."""
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            address, _, rest = line.partition(":")
            password, _, other = rest.partition(":")
            found[address] = (password, other)
    return found


def moves(changes: tuple[Change, ...], before: Mapping[str, Mapping[str, bytes]]) -> tuple[frozenset[str], frozenset[str]]:
    """Addresses with a mailbox that come, and those that go. ``before``: service → files."""
    come: set[str] = set()
    gone: set[str] = set()
    for change in changes:
        for item in change.files:
            file = change.bundle.file(item.path) if change.bundle else None
            if isinstance(file, File) and file.people and file.secret:
                old, new = (
                    _by_address(_text(before.get(change.service, {}).get(item.path, b"")) or []),
                    _by_address(_text(file.data) or []),
                )
                come |= new.keys() - old.keys()
                gone |= old.keys() - new.keys()
    return frozenset(come - gone), frozenset(gone - come)
