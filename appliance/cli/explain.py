"""`appliance explain`: what a field means, and what changing it does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.cli.effects import Effect
    from appliance.spec.fields import FieldDoc


@click.command()
@click.argument("field", default="", required=False)
@pass_app
def command(app: App, field: str) -> int:
    """Explain a FIELD of the spec: type, unit, default, effect, example, and what changing it reaches.

    FIELD is a path such as message_size, domains.*.dkim.selector or roles.policy.recipients_per_hour; without one, all fields are
    listed. What a change reaches is found by rendering the example twice.
    """
    from appliance.spec.fields import all_fields

    fields = all_fields(app.catalog())
    if not field:
        return _list(app, fields)
    doc = find(field, fields)
    below = [d for d in fields.values() if d.path.startswith(f"{doc.path}.")]
    from appliance.cli.effects import effect

    found = None if doc.path == "roles" or (doc.section and doc.path != "relay_host") else effect(doc, app.catalog())
    if app.json:
        app.print_json(as_data(doc, found, below))
    else:
        app.print("\n".join(lines(doc, found, below)))
    return 0


def _list(app: App, fields: Mapping[str, FieldDoc]) -> int:
    if app.json:
        app.print_json({"fields": [as_data(doc, None, []) for doc in fields.values()]})
        return 0
    width = max(len(path) for path in fields)
    for doc in fields.values():
        app.print(f"{doc.path:{width}}  {doc.about.text}")
    return 0


def find(path: str, fields: Mapping[str, FieldDoc]) -> FieldDoc:
    """The field of a path: as it is listed, or with real names in the place of ``*``. Raises UsageError with what was meant."""
    wanted = path.strip().strip(".").replace('"', "").replace("[]", "")
    if wanted in fields:
        return fields[wanted]
    for doc in fields.values():
        if "*" in doc.path and re.fullmatch(re.escape(doc.path).replace(r"\*", r"[^*]+"), wanted):
            return doc
    for section in ("domains", "mailboxes", "aliases", "routes"):
        # the entry itself: domains.example.org is explained by its section
        if re.fullmatch(rf"{section}\.\S+", wanted) and "*" not in wanted and not _misspelt(wanted, fields):
            return fields[section]
    raise UsageError(f"there is no field {path!r}", hint=_hint(wanted, fields))


def _misspelt(wanted: str, fields: Mapping[str, FieldDoc]) -> bool:
    """Whether the path looks like a field below an entry rather than like the entry's name."""
    section, _, rest = wanted.partition(".")
    names = {doc.path.split(".")[2] for doc in fields.values() if doc.path.startswith(f"{section}.*.")}
    return rest in names or (("@" in rest or section in ("domains", "routes")) and rest.count(".") > 1)


def _hint(wanted: str, fields: Mapping[str, FieldDoc]) -> str:
    from appliance.spec.options import near

    last = wanted.rpartition(".")[2]
    ending = [path for path in fields if path.rpartition(".")[2] == last]
    return near(wanted, list(fields)) or (f"did you mean {ending[0]}?" if ending else "`appliance explain` lists them")


def lines(doc: FieldDoc, found: Effect | None, below: list[FieldDoc]) -> Iterator[str]:
    """The explanation for people."""
    yield doc.path
    yield f"  {doc.about.text[:1].upper()}{doc.about.text[1:]}."
    rows = {
        "type": doc.type,
        "unit": doc.about.unit,
        "default": "none, it must be said" if doc.required else doc.default,
        "effect": doc.about.effect,
        "example": example(doc),
    }
    yield from (f"  {name:9} {text}" for name, text in rows.items() if text)
    if found is not None:
        yield f"  {'changed':9} {found.summary()}"
        for i, line in enumerate(found.lines()):
            yield f"  {'reaches' if i == 0 else '':9} {line}"
    if below:
        yield "  fields"
        width = max(len(d.path) for d in below)
        yield from (f"    {d.path:{width}}  {d.about.text}" for d in below)


def example(doc: FieldDoc) -> str:
    """The field as a line of the spec."""
    name = doc.path.rpartition(".")[2]
    if doc.about.example:
        return f"{name}: {doc.about.example}"
    if doc.path.startswith("roles.") and doc.path.count(".") == 1:
        return f"{name}: off"
    return f"{name}: {doc.default}" if doc.default and not doc.section and doc.default != "none" else ""


def as_data(doc: FieldDoc, found: Effect | None, below: list[FieldDoc]) -> dict[str, Any]:
    """The explanation for programs."""
    data: dict[str, Any] = {
        "field": doc.path,
        "description": doc.about.text,
        "type": doc.type,
        "unit": doc.about.unit,
        "default": doc.default,
        "required": doc.required,
        "effect": doc.about.effect,
        "example": example(doc),
    }
    if below:
        data["fields"] = [d.path for d in below]
    if found is not None:
        data["changed"] = found.summary()
        data["files"] = {service: dict(sorted(files.items())) for service, files in sorted(found.files.items())}
        data["containers"] = {service: sorted(what) for service, what in sorted(found.anew.items())}
        data["starts"], data["stops"] = sorted(found.started), sorted(found.stopped)
        data["records"], data["network"] = sorted(found.records), found.network
    return data
