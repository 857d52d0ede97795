"""The command `appliance`: global options, the list of verbs, and the one place where an error becomes words and an exit code."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from appliance import __version__
from appliance.cli.app import App
from appliance.errors import ApplianceError, Exit, InvalidSpec

#: verb → summary; a verb's module is loaded only when it is called
VERBS = {
    "init": "write a commented spec for a domain",
    "validate": "check the spec, all errors at once",
    "schema": "print the JSON Schema of the spec",
    "explain": "what a field means, and what changing it does",
    "render": "write what would be deployed, secrets redacted",
    "build": "build the images that are missing",
    "plan": "say what would change, and touch nothing",
    "up": "plan, apply, verify",
    "down": "remove the instance; data stays unless --volumes",
    "ps": "the services and their state",
    "logs": "what the services say",
    "exec": "run a command inside a service",
    "status": "is it well: services, keys, certificate, queue, updates",
    "verify": "prove that mail goes through",
    "dns": "the records that the domains need",
    "keys": "the key ring, password hashes",
    "history": "the releases that were applied",
    "rollback": "go back to an earlier release, with today's people and keys",
    "doctor": "can this machine carry it",
    "tend": "renew what is due; for a timer",
    "try": "the example, started and proven on this machine",
}


class Verbs(click.Group):
    """Finds a verb by its name and loads its module only then."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order in which a user meets them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's ``command``; None for a word that is no verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"appliance.cli.{module_of(cmd_name)}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Says what was meant when a verb is misspelt."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"there is no verb {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The verbs with their summaries, without loading one of them."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def module_of(verb: str) -> str:
    """The module of a verb; a Python word gets an underscore."""
    return {"try": "try_", "exec": "exec_"}.get(verb, verb)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-f", "--file", envvar="APPLIANCE_FILE", default="mail.yml", type=click.Path(path_type=Path), help="the spec")
@click.option("-i", "--inventory", type=click.Path(path_type=Path), help="an Ansible inventory: deploy to a fleet")
@click.option("--json", "as_json", is_flag=True, help="machine-readable output")
@click.option("--progress", type=click.Choice(["auto", "tty", "plain", "quiet"]), default="auto")
@click.option("--no-color", is_flag=True, help="no colour (NO_COLOR does the same)")
@click.option("-v", "--verbose", count=True)
@click.option("-y", "--yes", is_flag=True, help="answer yes to the plan's question")
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.pass_context
def cli(
    ctx: click.Context,
    file: Path,
    inventory: Path | None,
    as_json: bool,
    progress: str,
    no_color: bool,
    verbose: int,
    yes: bool,
) -> None:
    """One YAML spec becomes a complete mail system, and proves that it works."""
    ctx.obj = App(file, inventory, as_json, yes, verbose, progress, False if no_color else None)


GLOBAL_FLAGS = ("--json", "-y", "--yes", "-v", "-vv", "--verbose", "--no-color")
GLOBAL_VALUES = ("-f", "--file", "-i", "--inventory", "--progress")


def hoist(words: list[str]) -> list[str]:
    """Puts global options that stand behind the verb before it: `appliance up -y` is what everybody types.

    What belongs to a program (all that follows the service of `exec`, or ``--``) stays where it is.
    """
    verb = next((i for i, w in enumerate(words) if w in VERBS), None)
    if verb is None:
        return words
    front, back = words[:verb], [words[verb]]
    rest = iter(words[verb + 1 :])
    for word in rest:
        if word == "--" or (back[0] == "exec" and not word.startswith("-")):
            back += [word, *rest]
        elif word in GLOBAL_FLAGS or word.startswith(tuple(f"{v}=" for v in GLOBAL_VALUES if v.startswith("--"))):
            front.append(word)
        elif word in GLOBAL_VALUES and (back[0], word) not in OWN:
            front += [word, *[v for v in [next(rest, None)] if v is not None]]
        else:
            back.append(word)
    return front + back


#: options that a verb has for itself under a global one's name
OWN = (("logs", "-f"),)


#: set by the shell that asks for a completion, or by the user who asks for the shell's own script (bash_source …)
COMPLETE = "_APPLIANCE_COMPLETE"


def complete(instruction: str) -> int:
    """Answers a shell; loads the verb in question and neither docker, dnspython nor ansible-runner."""
    from click.shell_completion import shell_complete

    return shell_complete(cli, {}, "appliance", COMPLETE, instruction)


def run(arguments: list[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    color: bool | None = None
    if arguments is None and COMPLETE in os.environ:
        return complete(os.environ[COMPLETE])
    try:
        words = hoist(list(sys.argv[1:] if arguments is None else arguments))
        color = False if "--no-color" in words else None
        with cli.make_context("appliance", words) as ctx:
            result = cli.invoke(ctx)
        return int(result) if isinstance(result, int) else Exit.DONE
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message(), err=True)
        return Exit.USAGE
    except click.exceptions.Exit as end:
        return int(end.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except click.UsageError as why:
        why.show()
        return Exit.USAGE
    except click.ClickException as why:
        why.show()
        return Exit.FAILED
    except ApplianceError as why:
        show(why, color=color)
        return int(why.code)


def show(error: ApplianceError, color: bool | None = None) -> None:
    """An error as a user reads it: what happened, where, what to do."""
    if isinstance(error, InvalidSpec):
        from appliance.spec.report import render_problems

        colored = sys.stderr.isatty() and not os.environ.get("NO_COLOR") if color is None else color
        click.echo(render_problems(error.problems, color=bool(colored)).rstrip("\n"), err=True)
        click.echo(f"error: {error.message}", err=True)
        return
    where = f"{error.at}: " if error.at else ""
    click.echo(f"{where}error: {error.message}", err=True)
    if error.at and error.at.text:
        click.echo(f"  {error.at.text}\n  {' ' * (error.at.column - 1)}{'^' * max(1, error.at.length)}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)


def main() -> NoReturn:
    """The console script. A closed pipe ends quietly; SIGTERM ends like an interrupt, so that an apply is put back."""

    def terminated(_signal: int, _frame: FrameType | None) -> Any:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminated)
    try:
        code = run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
