"""`appliance validate`: check the spec, all errors at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import Exit, InvalidSpec, Problem

if TYPE_CHECKING:
    from appliance.spec.model import Spec


@click.command()
@pass_app
def command(app: App) -> int:
    """Check the spec: all errors at once, each with its line. Exit 65 when there is one.

    Nothing is contacted and nothing is changed. Warnings do not make a spec invalid.
    """
    try:
        loaded = app.loaded()
    except InvalidSpec as why:
        if not app.json:
            raise
        app.print_json({"valid": False, "problems": [as_data(p) for p in why.problems]})
        return int(Exit.INVALID_SPEC)
    if app.json:
        app.print_json({"valid": True, "problems": [as_data(p) for p in loaded.warnings], **counts(loaded.spec)})
        return int(Exit.DONE)
    if loaded.warnings:
        import sys

        from appliance.spec.report import render_problems

        app.say(render_problems(loaded.warnings, color=app.colored(sys.stderr)).rstrip("\n"))
    app.print(f"{app.file} is valid: {in_words(counts(loaded.spec))}")
    return int(Exit.DONE)


def as_data(problem: Problem) -> dict[str, Any]:
    """A problem for programs; lines and columns count from 1."""
    return {
        "level": problem.level,
        "kind": problem.kind,
        "file": problem.at.file,
        "line": problem.at.line,
        "column": problem.at.column,
        "length": problem.at.length,
        "message": problem.message,
        "hint": problem.hint,
    }


def counts(spec: Spec) -> dict[str, int]:
    """How many of what the spec holds."""
    return {
        "domains": len(spec.domains),
        "mailboxes": len(spec.mailboxes),
        "aliases": len(spec.aliases),
        "routes": len(spec.routes),
        "roles": sum(settings.enabled for settings in spec.roles.values()),
    }


def in_words(numbers: dict[str, int]) -> str:
    """``2 domains, 3 mailboxes, 1 alias``; what there is none of is left out, but for domains and mailboxes."""
    singular = {"mailboxes": "mailbox", "aliases": "alias"}
    return ", ".join(
        f"{n} {singular.get(name, name[:-1]) if n == 1 else name}"
        for name, n in numbers.items()
        if n or name in ("domains", "mailboxes")
    )
