"""`appliance schema`: print the JSON Schema of the spec."""

from __future__ import annotations

import json

import click

from appliance.cli.app import App, pass_app


@click.command()
@pass_app
def command(app: App) -> int:
    """Print the JSON Schema (draft 7) of the spec, with the options of every role.

    Save it as appliance.schema.json beside the spec, and an editor with a YAML language server completes and explains fields.
    """
    app.print(text(app))
    return 0


def text(app: App) -> str:
    """The schema as `init` writes it beside the spec."""
    from appliance.spec.schema import schema

    return json.dumps(schema(app.catalog()), indent=2, ensure_ascii=False)
