"""The JSON Schema of the spec, made from the model and the roles' options. Draft 7: editors' YAML servers know no later one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from appliance.spec.about import About, Model
from appliance.spec.fields import Shape, field_shape, option_shape, option_words, written
from appliance.spec.hosted import Alias, DomainSpec, Mailbox
from appliance.spec.model import Spec
from appliance.spec.types import Kind

if TYPE_CHECKING:
    from appliance.catalog.role import Option, Role

Schema = dict[str, Any]
_FILES: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_INCLUDE: Schema = {**_FILES, "description": "files whose entries stand here too, relative to the spec"}
#: models that are also written in a short form
_SHORT: dict[str, Schema] = {
    "Alias": {"anyOf": [{"$ref": "#/definitions/address"}, {"$ref": "#/definitions/addresses"}]},
    "Route": {"type": "string", "description": '"[host]:port", host:port, or host for its MX'},
    "RelayHost": {"type": "string", "description": "host or host:port"},
}
_NULL: Schema = {"type": "null"}


def schema(catalog: Mapping[str, Role]) -> Schema:
    """The whole schema."""
    properties = {name: _field(name, catalog) for name in Spec.model_fields}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "appliance.schema.json",
        "title": "appliance spec, version 1",
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in Spec.model_fields.items() if field.is_required()],
        "properties": {**properties, "include": _INCLUDE},
        "definitions": {
            "address": _kind(_address()),
            "addresses": {"type": "array", "items": {"$ref": "#/definitions/address"}, "minItems": 1},
        },
    }


def _address() -> Kind:
    found = field_shape(Spec.model_fields["postmaster"]).kind
    assert found is not None  # noqa: S101 the model says so
    return found


def _field(name: str, catalog: Mapping[str, Role]) -> Schema:
    field = Spec.model_fields[name]
    if name == "roles":
        return _told(_roles(catalog), field.metadata)
    found = field_shape(field)
    made = _shape(found)
    if found.item:
        made = {"anyOf": [*made["anyOf"], {"type": "object", "properties": {"include": _FILES}, "additionalProperties": False}]}
    if not field.is_required() and (found.model or found.values or found.item):
        made = _or_null(made)
    return _told(
        made, field.metadata, "" if field.default_factory else written(field.get_default(), found.kind), field.is_required()
    )


def _shape(found: Shape) -> Schema:
    if found.choices:
        made: Schema = {"enum": list(found.choices)}
    elif found.item:
        one = _shape(found.item)
        made = {"anyOf": [one, {"type": "array", "items": one}]}
    elif found.values is not None and found.keys is not None:
        made = {
            "type": "object",
            "properties": {"include": _INCLUDE},
            "propertyNames": {"anyOf": [{"const": "include"}, {"pattern": _kind(found.keys.kind)["pattern"]}]},
            "additionalProperties": _shape(found.values),
        }
    elif found.model:
        made = _model(found.model)
    else:
        made = _kind(found.kind)
    return _or_null(made) if found.nullable else made


def _model(model: type[Model]) -> Schema:
    properties = {}
    for name, field in model.model_fields.items():
        found = field_shape(field)
        default = "" if field.default_factory or field.is_required() else written(field.get_default(), found.kind)
        made = _or_null(_shape(found)) if found.model else _shape(found)
        properties[name] = _told(made, field.metadata, default, field.is_required())
    made = {
        "type": "object",
        "description": model.__doc__,
        "properties": properties,
        "additionalProperties": False,
        "required": [name for name, field in model.model_fields.items() if field.is_required()],
    }
    if model.__name__ in _SHORT:
        made = {"anyOf": [_SHORT[model.__name__], made]}
    if model is Alias:
        made["anyOf"].append({"type": "object", "properties": {"include": _FILES}, "required": ["include"]})
    return _or_null(made) if model in (DomainSpec, Mailbox) else made


def _kind(kind: Kind | None) -> Schema:
    if kind is None:
        return {"type": "string"}
    if kind.name == "port":
        return {"type": "integer", "minimum": 1, "maximum": 65535}
    if kind.name == "integer":
        return {"type": "integer"}
    if kind.name == "boolean":
        return {"type": "boolean"}
    if kind.name in ("size", "duration"):
        return {"anyOf": [{"type": "string", "pattern": kind.pattern}, {"const": 0}]}
    # a text of digits (a selector such as 2026) is a number to YAML
    plain = kind.name in ("selector", "string")
    made: Schema = {"type": ["string", "integer"] if plain else "string"}
    return made | ({"pattern": kind.pattern} if kind.pattern else {})


def _or_null(made: Schema) -> Schema:
    if list(made) == ["anyOf"]:
        return {"anyOf": [*made["anyOf"], *([] if _NULL in made["anyOf"] else [_NULL])]}
    return {"anyOf": [made, _NULL]}


def _told(made: Schema, metadata: list[Any], default: str = "", required: bool = False) -> Schema:
    """A schema with the words that an editor shows beside the field."""
    about = next((m for m in metadata if isinstance(m, About)), None)
    if about is None:
        return made
    said = [about.text[:1].upper() + about.text[1:], about.effect[:1].upper() + about.effect[1:]]
    if not required and (about.default or default):
        said.append(f"Default: {about.default or default}")
    return {**made, "description": ". ".join(s for s in said if s) + "."}


def _roles(catalog: Mapping[str, Role]) -> Schema:
    properties = {role.name: _role(role) for role in catalog.values()}
    return {"anyOf": [{"type": "object", "properties": {**properties, "include": _FILES}, "additionalProperties": False}, _NULL]}


def _role(role: Role) -> Schema:
    # YAML 1.2 editors read off as a text, YAML 1.1 as false: both are meant
    switch: Schema = {"enum": [True, False, "on", "off"]}
    options = {option.name: _option(option) for option in role.options}
    settings = {"type": "object", "properties": {"enabled": switch, **options}, "additionalProperties": False}
    return {"anyOf": [switch, settings, _NULL], "description": f"{role.summary}. Default: {'on' if role.enabled else 'off'}."}


def _option(option: Option) -> Schema:
    made = _shape(option_shape(option))
    if option.type == "integer":
        bounds = {"minimum": option.minimum, "maximum": option.maximum}
        made = {**made, **{name: bound for name, bound in bounds.items() if bound is not None}}
    if option.or_folder:
        made = {"anyOf": [made, {"type": "string"}]}
    text = f"{' '.join(option.description.split()).rstrip('.')}. Type: {option_words(option)}."
    default = "" if option.default is None else f" Default: {written(option.default, option.type)}."
    return {**made, "description": text + default}
