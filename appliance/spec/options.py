"""What the spec says of roles, read with the options that each role's ``role.yml`` declares."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from appliance.errors import Problem
from appliance.spec import types
from appliance.spec.model import Folder, RoleSettings
from appliance.spec.names import Fault, words_for
from appliance.spec.scalars import surprise
from appliance.spec.source import path_text
from appliance.spec.tree import Reader, Tree, said

if TYPE_CHECKING:
    from appliance.catalog.role import Option, Role

#: option type → what reads it; choice, folder and list stand below
READERS: Mapping[str, Callable[[object], Any]] = {
    "string": types.text,
    "boolean": types.boolean,
    "integer": lambda value: whole(value),
    "size": types.size_text,
    "duration": types.duration_text,
    "address": types.address,
    "domain": types.domain,
    "path": types.text,
}


def roles(tree: Tree | None, catalog: Mapping[str, Role], reader: Reader) -> tuple[dict[str, RoleSettings], list[Problem]]:
    """Settings of every role of the catalogue, defaults filled in, and what is wrong."""
    problems: list[Problem] = []
    said_of = tree.children if tree is not None and tree.children is not None and not tree.listed else {}
    if tree is not None and (tree.listed or (tree.children is None and tree.value is not None)):
        found = words_for(tree.plain())
        problems.append(Problem("wrong-type", f"roles: expected a map, found {found}", tree.at(), "e.g. roles: {clamav: off}"))
    for name, child in said_of.items():
        if name not in catalog:
            problems.append(Problem("unknown-role", f"{path_text(('roles', name))}: there is no such role", child.at_key(),
                                    near(str(name), catalog) or f"roles: {', '.join(catalog)}"))  # fmt: skip
    settings: dict[str, RoleSettings] = {}
    for role in catalog.values():
        settings[role.name], more = role_settings(role, said_of.get(role.name), reader)
        problems += more
    return settings, problems


def role_settings(role: Role, tree: Tree | None, reader: Reader) -> tuple[RoleSettings, list[Problem]]:
    """One role: ``off``, ``on``, or a map of options (on); ``enabled`` inside keeps options of a role that is off."""
    enabled, problems = role.enabled if tree is None else True, []
    given: Mapping[str | int, Tree] = {}
    if tree is not None and tree.children is not None and not tree.listed:
        given = tree.children
    elif tree is not None and isinstance(tree.value, bool) and not tree.listed:
        enabled = tree.value
    elif tree is not None and (tree.value is not None or tree.listed):
        path = path_text(("roles", role.name))
        message = f"{path}: expected on, off or a map of options, found {words_for(tree.plain())}"
        problems.append(Problem("wrong-type", message, tree.at()))
    options: dict[str, Any] = {}
    for option in role.options:
        try:
            options[option.name] = read(option, given[option.name], reader) if option.name in given else default(option, reader)
        except Fault as why:
            options[option.name] = None
            problems.append(_problem(role, option.name, given.get(option.name) or tree, why))
    for name, child in given.items():
        if name == "enabled" and name not in options:
            enabled = bool(child.value)
            if not isinstance(child.value, bool):
                problems.append(
                    _problem(role, "enabled", child, Fault(f"expected true or false, found {words_for(child.plain())}"))
                )
        elif name not in options:
            path, hint = path_text(("roles", role.name, str(name))), near(str(name), options)
            known = f"options of {role.name}: {', '.join(options) or 'none'}"
            problems.append(Problem("unknown-option", f"{path}: {role.name} has no such option", child.at_key(), hint or known))
    return RoleSettings(enabled, options), problems


def _problem(role: Role, name: str, tree: Tree | None, why: Fault) -> Problem:
    if tree is None:
        raise why  # a default of role.yml that does not fit its own option: the role's defect, not the spec's
    message, hint = why.message, why.hint
    if surprise(tree.node) and why.kind == "wrong-type":
        message, hint = f"YAML reads {surprise(tree.node)} as {words_for(tree.value)}", f'write "{surprise(tree.node)}" in quotes'
    return Problem(why.kind, f"{path_text(('roles', role.name, name))}: {message}", tree.at(), hint)


def default(option: Option, reader: Reader) -> Any:
    """The default of ``role.yml`` in normal form; a number of bytes or seconds stands for itself there."""
    value = option.default
    if value is None or (option.type in ("size", "duration") and isinstance(value, int)):
        return value
    return _value(option, value, reader)


def read(option: Option, tree: Tree, reader: Reader) -> Any:
    """The option's value as the spec says it. Raises Fault."""
    value = tree.plain()
    if value is None:
        if option.default is None:
            return None
        raise Fault("there is no value", kind="empty-value", hint=f"remove the line for the default, {option.default}")
    if surprise(tree.node) and option.type in ("choice", "list") and surprise(tree.node) in option.choices:
        value = surprise(tree.node)
    found = _value(option, value, reader)
    if isinstance(found, int) and not isinstance(found, bool):
        _bounds(option, found)
    return found


def _value(option: Option, value: object, reader: Reader) -> Any:
    if option.type == "choice":
        return _choice(option, value, reader)
    if option.type == "folder":
        return _folder(types.text(value, "a folder relative to the spec"), reader)
    if option.type == "list":
        many = types.one_or_many(value)
        if not isinstance(many, list | tuple):
            raise Fault(f"expected a list, found {words_for(value)}", kind="wrong-type")
        return types.unique(types.text(v) for v in many)
    return READERS[option.type](value)


def _bounds(option: Option, value: int) -> None:
    unit = f" {option.unit}" if option.unit else ""
    if option.minimum is not None and value < option.minimum:
        raise Fault(f"{value} is too small; the least is {option.minimum}{unit}", kind="out-of-range")
    if option.maximum is not None and value > option.maximum:
        raise Fault(f"{value} is too large; the most is {option.maximum}{unit}", kind="out-of-range")


def _choice(option: Option, value: object, reader: Reader) -> Any:
    word = types.text(value, f"one of {', '.join(option.choices)}") if not isinstance(value, bool) else str(value).lower()
    if word in option.choices:
        return word
    if option.or_folder:
        try:
            return _folder(word, reader)
        except Fault as why:
            words = f"{word[:60]!r} is none of {', '.join(option.choices)}, and as a folder: {why.message}"
            raise Fault(words, kind="unreadable-file", hint=near(word, option.choices)) from None
    raise Fault(f"{word[:60]!r} is none of {', '.join(option.choices)}", kind="unknown-choice", hint=near(word, option.choices))


def _folder(path: str, reader: Reader) -> Folder:
    try:
        return Folder(path, reader.folder(path))
    except (OSError, ValueError) as why:
        raise Fault(said(path, why), kind="unreadable-file", hint="folders are relative to the spec") from None


def whole(value: object) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Fault(f"expected a whole number, found {words_for(value)}", kind="wrong-type")
    return value


def near(word: str, among: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """``did you mean …?`` when something near is known."""
    lowered = {a.lower(): a for a in among}
    found = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean {lowered[found[0]]}?" if found else ""


def names(catalog: Mapping[str, Role]) -> Iterator[str]:
    """Every role option as a path of ``explain``."""
    for role in catalog.values():
        yield f"roles.{role.name}"
        yield from (f"roles.{role.name}.{option.name}" for option in role.options)
