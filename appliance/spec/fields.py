"""The model and the roles' options, told field by field: what ``explain`` prints and the schema describes."""

from __future__ import annotations

import types as pytypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from appliance.spec.about import About, Model
from appliance.spec.model import RoleSettings, Spec
from appliance.spec.types import Address, Domain, Duration, Flag, Kind, Path, Size, Text

if TYPE_CHECKING:
    from appliance.catalog.role import Option, Role

_SIZES = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_TIMES = (("days", 86400), ("h", 3600), ("min", 60))
#: option type of role.yml → the type of the model that reads the same text
_OPTION_KINDS = {
    "string": Text,
    "boolean": Flag,
    "size": Size,
    "duration": Duration,
    "address": Address,
    "domain": Domain,
    "path": Path,
}


@dataclass(frozen=True)
class Shape:
    """A type taken apart: a ``kind`` of text, ``choices``, a ``model``, a list of ``item``, or a map ``keys`` → ``values``."""

    kind: Kind | None = None
    choices: tuple[Any, ...] = ()
    model: type[Model] | None = None
    item: Shape | None = None
    keys: Shape | None = None
    values: Shape | None = None
    nullable: bool = False


def shape(annotation: Any, metadata: tuple[Any, ...] = ()) -> Shape:
    """Takes a type annotation apart. ``metadata``: what pydantic has lifted out of its ``Annotated``."""
    kind = next((m for m in metadata if isinstance(m, Kind)), None)
    nullable = False
    while get_origin(annotation) in (Annotated, Union, pytypes.UnionType):
        args = get_args(annotation)
        if get_origin(annotation) is Annotated:
            kind = kind or next((m for m in args[1:] if isinstance(m, Kind)), None)
            annotation = args[0]
        else:
            nullable = True
            annotation = next(a for a in args if a is not type(None))
    if get_origin(annotation) is Literal:
        return Shape(choices=get_args(annotation), nullable=nullable)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return Shape(model=annotation, nullable=nullable)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return Shape(item=shape(args[0]), nullable=nullable)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        values = Shape() if args[1] is RoleSettings else shape(args[1])
        return Shape(keys=shape(args[0]), values=values, nullable=nullable)
    return Shape(kind=kind or Kind("string", "text", ""), nullable=nullable)


def field_shape(field: FieldInfo) -> Shape:
    """The shape of a model's field."""
    return shape(field.annotation, tuple(field.metadata))


def option_shape(option: Option) -> Shape:
    """The shape of a role's option."""
    if option.type == "choice":
        return Shape(choices=option.choices, nullable=option.default is None)
    if option.type == "list":
        return Shape(item=Shape(kind=Kind("string", "text", "")))
    if option.type == "integer":
        return Shape(kind=Kind("integer", "whole number", ""), nullable=option.default is None)
    if option.type == "folder":
        return Shape(kind=Kind("path", "folder relative to the spec", ""), nullable=option.default is None)
    found = shape(_OPTION_KINDS[option.type])
    return Shape(kind=found.kind, nullable=option.default is None)


@dataclass(frozen=True)
class FieldDoc:
    """One field as people look it up. ``path``: dots, ``*`` for a key of the user's. ``default``: as a spec writes it."""

    path: str
    type: str
    about: About
    default: str
    required: bool
    shape: Shape
    option: Option | None = None

    @property
    def section(self) -> bool:
        """A field that only holds others."""
        return self.shape.model is not None and self.shape.values is None


def all_fields(catalog: Mapping[str, Role]) -> dict[str, FieldDoc]:
    """Every field and every role option by path, in the order of the spec."""
    found = {doc.path: doc for doc in _walk(Spec, "")}
    roles = found.pop("roles")
    found["roles"] = roles
    for role in catalog.values():
        state = "on" if role.enabled else "off"
        about = About(role.summary, "off removes its services; its data stays")
        options = "on, off, or a map of its options" if role.options else "on or off"
        found[f"roles.{role.name}"] = FieldDoc(f"roles.{role.name}", options, about, state, False, Shape())
        for option in role.options:
            path = f"roles.{role.name}.{option.name}"
            text = " ".join(option.description.split()).rstrip(".")
            doc = About(text, unit=option.unit, example="")
            found[path] = FieldDoc(
                path, option_words(option), doc, written(option.default, option.type), False, option_shape(option), option
            )
    return found


def _walk(model: type[Model], prefix: str) -> Iterator[FieldDoc]:
    for name, field in model.model_fields.items():
        about = next(m for m in field.metadata if isinstance(m, About))
        found = field_shape(field)
        path = f"{prefix}{name}"
        default = "" if field.is_required() or found.model else about.default or written(field.get_default(), found.kind)
        if field.default_factory is not None and found.values:
            default = about.default or "none"
        yield FieldDoc(path, words(found), about, default, field.is_required(), found)
        if found.model:
            yield from _walk(found.model, f"{path}.")
        if found.values and found.values.model:
            yield from _walk(found.values.model, f"{path}.*.")


def words(found: Shape) -> str:
    """A shape in words."""
    if found.choices:
        said = f"one of {', '.join(map(str, found.choices))}" if len(found.choices) > 1 else str(found.choices[0])
    elif found.item:
        said = f"list of: {words(found.item)}"
    elif found.keys:
        inside = found.values.model.__doc__ if found.values and found.values.model else "settings"
        said = f"map: {words(found.keys)} → {(inside or '').split('.')[0].split(';')[0].lower()}"
    elif found.model:
        said = "section"
    else:
        said = found.kind.words if found.kind else "settings"
    return f"{said}, or null" if found.nullable else said


def option_words(option: Option) -> str:
    """An option's type in words, with its bounds."""
    said = words(option_shape(option))
    if option.or_folder:
        said += ", or a folder relative to the spec"
    low, high = (None if b is None else written(b, option.type) for b in (option.minimum, option.maximum))
    if low is not None and high is not None:
        return f"{said}, {low} to {high}"
    return f"{said}, at least {low}" if low is not None else f"{said}, at most {high}" if high is not None else said


def written(value: Any, kind: Kind | str | None) -> str:
    """A value as a spec writes it: ``25 MiB``, ``14 days``, ``[rsa-2048, ed25519]``."""
    name = kind.name if isinstance(kind, Kind) else kind
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and name in ("size", "duration") and value:
        units = _SIZES if name == "size" else _TIMES
        unit, factor = next(((u, f) for u, f in units if value % f == 0), ("B" if name == "size" else "s", 1))
        return f"{value // factor} {unit.rstrip('s') if value == factor and unit == 'days' else unit}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value)
