"""The model's verdict on the tree: every error of pydantic becomes a Problem with its place, and what is wrong is taken out, so
that the checks across fields (``checks.py``) can still judge the rest. So a user sees all errors at once.
"""

from __future__ import annotations

import re
import types as pytypes
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from appliance.errors import Problem
from appliance.spec.model import About, Model, Spec
from appliance.spec.names import Fault, words_for
from appliance.spec.options import near
from appliance.spec.scalars import surprise
from appliance.spec.source import path_text
from appliance.spec.tree import Path, Tree

#: stands for a required field that is wrong, so that the rest can be judged; such a spec never leaves ``load``
_STAND_INS: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "hostname": "host.invalid",
    "postmaster": "postmaster@host.invalid",
    "domains": {},
}
#: how an entry of a section looks
_ENTRIES: dict[Path, str] = {
    ("mailboxes",): 'e.g. {password: "{ARGON2ID}…", quota: 2 GiB}',
    ("domains",): "e.g. {dkim: {selector: s1}}, or {}",
    ("aliases",): "e.g. [alice@example.org]",
    ("routes",): 'e.g. "[mx.partner.example]:25"',
}
_COLLECTIONS = {"model_type", "model_attributes_type", "dict_type", "mapping_type", "tuple_type", "list_type"}
_ROUNDS = 20


def judge(tree: Tree) -> tuple[Spec, set[Path], list[Problem]]:
    """The spec without what is wrong in it, the paths taken out, the problems. Roles and CSV rows stand elsewhere."""
    data = tree.plain()
    data.pop("roles", None)
    broken: set[Path] = set()
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        try:
            return Spec.model_validate(data, context={"text": True}), broken, problems
        except ValidationError as why:
            # one round's problems are independent of each other; those of later rounds may only be echoes of what was taken out
            before = set(broken)
            found = [(error, _present(error["loc"], data)) for error in why.errors(include_url=False)]
            for error, path in found:
                if not _silent(error, path):
                    problems += [] if any(_related(path, b) for b in before) else [_problem(error, path, tree)]
                    broken.add(path)
            for error, path in found:
                _take_out(error, path, data)
    return Spec.model_validate(_STAND_INS), {()}, problems  # pragma: no cover: each round takes something out


def _present(loc: tuple[int | str, ...], data: Any) -> Path:
    """The steps of a location that the text has: pydantic adds some of its own (``[key]``, fields of a short form)."""
    path: list[str | int] = []
    for step in loc:
        known = step in data if isinstance(data, dict) else isinstance(data, list) and isinstance(step, int) and step < len(data)
        if known:
            data = data[step]
            path.append(step)
    return tuple(path)


def _related(a: Path, b: Path) -> bool:
    return a[: len(b)] == b or (b[: len(a)] == a and a != ())


def _silent(error: ErrorDetails, path: Path) -> bool:
    """``aliases:`` with nothing below it is an empty section, not a mistake."""
    field = field_at(path)
    return error["input"] is None and error["type"] in _COLLECTIONS and field is not None and not field.is_required()


def _take_out(error: ErrorDetails, path: Path, data: Any) -> None:
    """Removes the smallest map entry that holds the error; puts a stand-in where the top level needs one."""
    if error["type"] == "missing" and not path:
        data[error["loc"][-1]] = _STAND_INS[str(error["loc"][-1])]
        return
    if path and path[0] in _STAND_INS and len(path) == 1:
        data[path[0]] = _STAND_INS[str(path[0])]
        return
    holder, name = data, path[0]
    for step, following in pairwise(path):
        data = data.get(step) if isinstance(data, dict) else data[int(step)]
        if isinstance(data, dict):
            holder, name = data, following
        if data is None:
            return  # another problem took it out already
    holder.pop(name, None)


def _problem(error: ErrorDetails, path: Path, tree: Tree) -> Problem:
    node = tree.find(path)
    said, kind = path_text(path), error["type"]
    if kind == "missing":
        field = str(error["loc"][-1])
        about = _about((*path, field))
        hint = f"e.g. {field}: {about.example}" if about and about.example else ""
        return Problem("missing-field", f"{path_text((*path, field))} is missing", node.at(), hint)
    if kind == "extra_forbidden":
        model = model_at(path[:-1])
        known = dict.fromkeys(model.model_fields) if model else {}
        hint = near(str(path[-1]), known) or (f"the fields here are {', '.join(known)}" if known else "")
        return Problem("unknown-field", f"{said}: there is no such field", node.at_key(), hint)
    if surprise(node.node):
        word = surprise(node.node)
        message = f"{said}: YAML reads {word} without quotes as {words_for(node.value)}"
        return Problem("yaml-boolean", message, node.at(), f'write "{word}" in quotes')
    if error["input"] is None:
        return Problem("empty-value", f"{said} has no value", node.at_key(), "write one, or remove the line for the default")
    return _wrong(error, path, node)


def _wrong(error: ErrorDetails, path: Path, node: Tree) -> Problem:
    said, kind = path_text(path), error["type"]
    why = error.get("ctx", {}).get("error")
    about = _about(path)
    example = f"e.g. {path[-1]}: {about.example}" if about and about.example and path else _ENTRIES.get(path[:-1], "")
    if isinstance(why, Fault):
        hint = why.hint or _quotes(error["input"], node) or (example if why.kind in ("wrong-type", "wrong-value") else "")
        return Problem(why.kind, f"{said}: {why.message}", node.at(), hint)
    if kind == "literal_error":
        choices = _choices(path)
        message = f"{said}: {words_for(error['input'])} is none of {', '.join(map(str, choices))}"
        if path == ("version",):
            message = f"version: {words_for(error['input'])} is not a version that this program reads: it reads 1"
            return Problem("unknown-version", message, node.at(), "a newer appliance may read it")
        return Problem("unknown-choice", message, node.at(), near(str(error["input"]), [str(c) for c in choices]))
    if kind in _COLLECTIONS:
        wanted = "a list" if kind in ("tuple_type", "list_type") else "a map"
        found = "secret" if path[:1] == ("mailboxes",) else words_for(error["input"])
        found = "a word" if found == "secret" and node.children is None else found if found != "secret" else "a list"
        return Problem("wrong-type", f"{said}: expected {wanted}, found {found}", node.at(), example)
    return Problem("wrong-value", f"{said}: {error['msg']}", node.at(), example)


def _quotes(given: object, node: Tree) -> str:
    """What YAML took for a number with a point, or for a map, although a text was meant."""
    if isinstance(given, float):
        return f'write "{node.node.value}" in quotes'
    if isinstance(given, dict) and len(given) == 1 and re.fullmatch(r"[0-9A-Fa-f:]*:", str(next(iter(given)))):
        return f'an IPv6 address that ends in colons needs quotes: "{next(iter(given))}:"'
    return ""


# -- the model, asked for what stands at a path ------------------------------------------------------------------------------
def field_at(path: Path) -> FieldInfo | None:
    """The model's field that a path of the spec leads to; None for an entry of a map or a list, and for what does not exist."""
    model: Any = Spec
    field: FieldInfo | None = None
    for step in path:
        if isinstance(model, type) and issubclass(model, Model):
            field = model.model_fields.get(str(step))
            model = bare(field.annotation) if field else None
        else:
            model, field = bare(inner(model)), None
        if model is None:
            return None
    return field


def model_at(path: Path) -> type[Model] | None:
    """The model that describes the map at a path."""
    model: Any = Spec
    for step in path:
        if isinstance(model, type) and issubclass(model, Model):
            field = model.model_fields.get(str(step))
            model = bare(field.annotation) if field else None
        else:
            model = bare(inner(model))
    return model if isinstance(model, type) and issubclass(model, Model) else None


def bare(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and without ``| None``."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, pytypes.UnionType):
            annotation = next(a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation


def inner(annotation: Any) -> Any:
    """What a map or a tuple holds."""
    args = get_args(annotation)
    if not args:
        return None
    return args[1] if isinstance(get_origin(annotation), type) and issubclass(get_origin(annotation), Mapping) else args[0]


def _about(path: Path) -> About | None:
    field = field_at(path)
    return next((m for m in field.metadata if isinstance(m, About)), None) if field else None


def _choices(path: Path) -> tuple[Any, ...]:
    while path and field_at(path) is None:
        path = path[:-1]
    field = field_at(path)
    found = bare(field.annotation) if field else None
    return get_args(bare(inner(found)) if get_origin(found) is tuple else found)
