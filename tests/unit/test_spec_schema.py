"""The JSON Schema: the example fits it, and what is structurally broken does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from appliance.catalog.load import load as load_catalog
from appliance.resources import folder
from appliance.spec import example
from appliance.spec.schema import schema
from tests.badspecs.gallery import CATALOG, report, specs

SCHEMA = schema(CATALOG)
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
#: kinds of problems that a schema can see
STRUCTURAL = {
    "unknown-field", "missing-field", "wrong-type", "unknown-choice", "unknown-role", "unknown-option", "unknown-version",
    "no-unit", "unknown-unit", "empty-value", "yaml-boolean",
}  # fmt: skip


def errors(data: Any) -> list[str]:
    return [e.message for e in VALIDATOR.iter_errors(data)]


def test_it_is_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert "prefixItems" not in str(SCHEMA)
    assert "$defs" not in SCHEMA


def test_the_example_fits() -> None:
    assert errors(yaml.safe_load(example.text())) == []
    assert "$schema=./appliance.schema.json" in example.text().splitlines()[0]


def test_the_example_fits_with_the_roles_of_this_tree() -> None:
    found = jsonschema.Draft7Validator(schema(load_catalog([folder("roles")])))
    assert list(found.iter_errors(yaml.safe_load(example.text()))) == []


@pytest.mark.parametrize(
    "more",
    [
        {"mailboxes": {"include": "mailboxes.csv"}},
        {"mailboxes": {"include": ["a.csv", "b.yml"], "alice@example.org": {"quota": "1 GiB"}}},
        {"aliases": {"sales@example.org": "alice@example.org", "all@example.org": {"to": ["alice@example.org"], "send_as": []}}},
        {"routes": {"partner.example": "[mx.partner.example]:25", "other.example": {"host": "mx.other.example", "mx": True}}},
        {"relay_host": "smtp.relay.example:587"},
        {"roles": {"clamav": False, "policy": True, "dovecot": {"format": "mdbox"}}},
        {"roles": {"clamav": "off"}},  # what an editor that speaks YAML 1.2 reads
        {"aliases": None, "domains": {"example.org": None, "bücher.example": {"dkim": {"selector": 2026}}}},
        {"addresses": "203.0.113.7", "listen": {"address": ["127.0.0.1", "::1"], "ports": {"pop3": None}}},
        {"include": "rest.yml"},
    ],
)
def test_every_form_fits(more: dict[str, Any]) -> None:
    assert errors({**yaml.safe_load(example.text()), **more}) == []


def structural() -> Iterator[tuple[Path, Any]]:
    """Specs of the gallery whose every error is one of form, in the spec itself."""
    for path in specs():
        said = report(path)
        kinds = set(re.findall(r"^\S+: error\[([a-z-]+)\]", said, re.MULTILINE))
        if (
            kinds
            and kinds <= STRUCTURAL
            and all(line.startswith(path.name) for line in re.findall(r"^\S+: error\[.*", said, re.MULTILINE))
        ):
            yield path, yaml.safe_load(path.read_bytes())


@pytest.mark.parametrize(("path", "data"), [pytest.param(p, d, id=p.stem) for p, d in structural()])
def test_what_is_broken_in_form_does_not_fit(path: Path, data: Any) -> None:
    assert errors(data)


def test_every_field_says_what_it_is() -> None:
    def walk(node: Any, at: str) -> Iterator[str]:
        if isinstance(node, dict):
            for name, child in node.get("properties", {}).items():
                if not child.get("description") and name not in ("include", "enabled"):
                    yield f"{at}.{name}"
                yield from walk(child, f"{at}.{name}")
            for key in ("anyOf", "additionalProperties", "items"):
                yield from walk(node.get(key), at)
        elif isinstance(node, list):
            for child in node:
                yield from walk(child, at)

    assert list(walk(SCHEMA, "")) == []
