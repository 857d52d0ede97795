"""The plan's words for a person: sizes, runtime fields, one line for each change."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.render.bundle import Health, Mount, Port

_FIELDS = {
    "capabilities": "capabilities",
    "memory": "memory limit",
    "pids": "process limit",
    "nofile": "open files limit",
    "mounts": "mounts",
    "tmpfs": "tmpfs",
    "ports": "ports",
    "address": "address",
    "dns": "resolver",
    "hosts": "host names",
    "env": "environment",
    "stop_timeout": "stop timeout",
    "health": "health check",
    "log_keep": "how long logs are kept",
}


def human_size(number: int) -> str:
    """``268435456`` → ``256 MiB``."""
    size, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if size == int(size) else f"{size:.1f} {unit}"


def runtime_change(name: str, old: object, new: object) -> str:
    """One difference of two Runtimes as a sentence."""
    words = _FIELDS.get(name, name)
    if name == "memory":
        return f"{words}: {human_size(int(str(old)))} → {human_size(int(str(new)))}"
    if isinstance(old, tuple) and isinstance(new, tuple):
        gone, come = [_item(x) for x in old if x not in new], [_item(x) for x in new if x not in old]
        parts = [f"-{x}" for x in gone] + [f"+{x}" for x in come]
        return f"{words}: {', '.join(parts) if parts else 'another order'}"
    if isinstance(old, Health) or isinstance(new, Health):
        return f"{words} changed"
    return f"{words}: {old or 'none'} → {new or 'none'}"


def package_changes(old: str, new: str) -> tuple[str, ...]:
    """From two labels of images (``name=version`` words) what differs: ``name 1.0 → 1.1``, ``+name 1.0``, ``-name 1.0``."""
    before, after = (dict(word.split("=", 1) for word in label.split() if "=" in word) for label in (old, new))
    found = [f"{n} {before[n]} → {after[n]}" for n in sorted(before.keys() & after.keys()) if before[n] != after[n]]
    found += [f"+{n} {after[n]}" for n in sorted(after.keys() - before.keys())]
    return (*found, *(f"-{n} {before[n]}" for n in sorted(before.keys() - after.keys())))


def packages_said(old: str, new: str) -> str:
    """The same as one sentence; ``new`` empty: the image is not built yet."""
    if not new:
        return "packages: known once the image is built (`appliance build` does it, and touches nothing that runs)"
    changes = package_changes(old, new)
    return f"packages: {some(changes, 6)}" if changes else "packages: the same versions"


def _item(value: object) -> str:
    if isinstance(value, Port):
        return f"{value.name} {value.address}:{value.host_port}"
    if isinstance(value, Mount):
        return f"{value.volume} on {value.path}{' (read-only)' if value.read_only else ''}"
    if isinstance(value, tuple):
        return " ".join(str(v) for v in value)
    return str(value)


def some(names: Iterable[str], most: int = 3) -> str:
    """``a, b, c and 4 more``."""
    every = list(names)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
