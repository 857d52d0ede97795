"""One YAML scalar → a Python value. YAML 1.1 guesses (``010`` is 8, ``1:30`` is 90, ``no`` is false); a spec does not."""

from __future__ import annotations

import re

import yaml

_TAG = "tag:yaml.org,2002:"
#: tags whose text is taken as it stands: dates and the rest of YAML 1.1's menagerie
_TEXT = {"str", "timestamp", "value"}
_PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")


class Guess(ValueError):
    """A scalar that YAML 1.1 and people read differently."""

    def __init__(self, message: str, hint: str, kind: str = "yaml-number") -> None:
        super().__init__(message)
        self.message, self.hint, self.kind = message, hint, kind


def scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    """The value. Raises Guess for numbers in other bases and for tags."""
    kind, raw = str(node.tag).removeprefix(_TAG), str(node.value)
    if kind in _TEXT:
        return raw
    if kind == "null":
        return None
    if kind == "bool":
        return raw.lower() in ("true", "yes", "on")
    if kind == "int":
        return _whole(raw)
    if kind == "float":
        return _fraction(raw)
    if kind == "merge":
        return raw
    raise Guess(f"the tag {node.tag.replace(_TAG, '!!')} is not used in a spec", "remove it", "yaml-tag")


def _whole(raw: str) -> int:
    if len(raw) > 30 or not re.fullmatch(r"[-+0-9xXbB_a-fA-F:]+", raw):
        raise Guess("this is no number", "remove the tag, or write a number")
    if _PLAIN_INT.fullmatch(raw):
        return int(raw)
    if ":" in raw:
        raise Guess(f"YAML reads {raw} as a number in base 60", f'put it in quotes: "{raw}"')
    if raw.lower().lstrip("+-").startswith(("0x", "0b")) or "_" in raw:
        raise Guess(f"YAML reads {raw} as a number", f'write it in decimal, or in quotes: "{raw}"')
    if not re.fullmatch(r"[-+]?0[0-7]+", raw):
        raise Guess("this is no number", "remove the tag, or write a number")
    decimal = raw.lstrip("+-0") or "0"
    raise Guess(f"YAML reads {raw} as octal, {int(raw, 8)} in decimal", f'write {decimal}, or "{raw}" in quotes')


def _fraction(raw: str) -> float:
    try:
        return float(raw)
    except ValueError:
        raise Guess(f"YAML reads {raw} as a number", f'put it in quotes: "{raw}"') from None


def surprise(node: yaml.Node) -> str:
    """The word that YAML 1.1 took for true or false although it stands in no quotes and is neither; empty for all others."""
    if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "bool" and node.value.lower() in ("yes", "no", "on", "off"):
        return str(node.value)
    return ""
