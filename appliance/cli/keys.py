"""`appliance keys`: the key ring beside the spec, and password hashes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Unavailable, UsageError

if TYPE_CHECKING:
    from appliance.keys.ring import Entry
    from appliance.keys.secret import Secret

_SCHEMES = ("ARGON2ID", "BLF-CRYPT")


@click.group()
def command() -> None:
    """The key ring (DKIM, TLS, internal certificates), and password hashes.

    The ring is the folder keys/NAME beside the spec, readable by you alone. `up` makes what is missing and never overwrites a
    key. Back it up: whoever has it can sign as your domains, and without it you start with new keys and new DNS records.
    """


@command.command()
@click.option("--scheme", type=click.Choice(_SCHEMES), default=_SCHEMES[0], show_default=True, help="the hash's scheme")
@pass_app
def hash(app: App, scheme: str) -> None:
    """A hash for a mailbox's `password` field, from a prompt or from one line of stdin.

    The hash goes to stdout; what one login with it costs the server goes to stderr.
    """
    from appliance.keys.passwords import cost, hash_password

    hashed = hash_password(_password(app), scheme)
    price = cost(hashed)
    if app.json:
        fields: dict[str, Any] = {"hash": hashed, "scheme": scheme}
        app.print_json({**fields, "login": price and {"memory_kib": price.memory_kib, "milliseconds": round(price.milliseconds)}})
    else:
        app.print(hashed)
    if price:
        memory = f"{price.memory_kib / 1024:.0f} MiB" if price.memory_kib >= 1024 else f"{price.memory_kib} KiB"
        app.say(f"one login costs {memory} of memory and {price.milliseconds:.0f} ms of one core of this machine")


def _password(app: App) -> Secret:
    from appliance.keys.secret import Secret

    if sys.stdin.isatty():
        return Secret(click.prompt("password", hide_input=True, confirmation_prompt="once more", err=True))
    lines = sys.stdin.buffer.read(4096).split(b"\n")
    if any(line.strip() for line in lines[1:]):
        raise UsageError("stdin has more than one line", hint="one password on one line")
    line = lines[0].removesuffix(b"\r")
    if line != line.strip():
        app.say("note: the password begins or ends with white space, and it counts")
    return Secret(line)


@command.command("list")
@pass_app
def list_(app: App) -> None:
    """What the spec needs and what the ring has: no secret is shown."""
    ring, spec = app.ring(), app.spec()
    entries = ring.entries(spec)
    if app.json:
        app.print_json(
            {
                "ring": ring.ring_id,
                "folder": str(ring.folder),
                "keys": [_mapping(e) for e in entries],
                "unused": list(ring.unused(spec)),
            }
        )
        return
    now = ring.now()
    rows = [("KEY", "KIND", "CREATED", "EXPIRES", "ISSUER", "FINGERPRINT", "PUBLISHED AS")]
    rows += [
        (
            e.need.ref,
            _kind(e),
            _day(e.created),
            _end(e, now),
            e.issuer or "-",
            e.fingerprint or "(new at up)",
            _published(e),
        )
        for e in entries
    ]
    rows += [(ref, "not in the spec", "", "", "", "", "") for ref in ring.unused(spec)]
    _table(app, rows)
    for warning in ring.warnings(spec):
        app.say(f"warning: {warning}")


def _kind(entry: Entry) -> str:
    need = entry.need
    return "yours" if need.kind == "given" else f"{need.purpose} certificate" if need.key else need.algorithm


def _published(entry: Entry) -> str:
    return f"{entry.need.selector}._domainkey.{entry.need.domain}" if entry.need.domain else ""


def _day(when: Any) -> str:
    return f"{when:%Y-%m-%d}" if when else "-"


def _end(entry: Entry, now: datetime) -> str:
    return f"{entry.expires:%Y-%m-%d} ({(entry.expires - now).days} days)" if entry.expires else "-"


def _mapping(entry: Entry) -> Mapping[str, Any]:
    return {
        "ref": entry.need.ref,
        "kind": _kind(entry),
        "path": str(entry.path),
        "created": entry.created and entry.created.isoformat(timespec="seconds"),
        "expires": entry.expires and entry.expires.isoformat(timespec="seconds"),
        "issuer": entry.issuer or None,
        "fingerprint": entry.fingerprint,
        "public": entry.public or None,
        "published_as": _published(entry) or None,
    }


def _table(app: App, rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        app.print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command()
@pass_app
def create(app: App) -> None:
    """Make the keys and certificates that are missing now, and not at `up` (to publish DNS records first, say)."""
    from appliance.cli.progress import Quiet

    ring, spec = app.ring(), app.spec()
    if not ring.exists:
        _refuse_second_ring(app)
    made = ring.create(spec, Quiet() if app.json else app.report())
    _made(app, made, "" if made else f"nothing to make: {ring.folder} is complete")


def _refuse_second_ring(app: App) -> None:
    """Keys are made only for an instance that does not exist yet; where no engine answers, nobody can tell."""
    try:
        running = app.engine().observe(app.spec().name, manifests=False).ring_id
    except Unavailable as why:
        app.say(f"note: no engine to ask whether {app.spec().name} runs with another ring already ({why.message})")
        return
    if running:
        raise ApplianceError(
            f"{app.spec().name} runs already with the ring {running}, which is not here",
            hint="`appliance keys pull` brings it here, or `appliance keys import` from where it is; if it is lost after a"
            " `down`, `appliance up --adopt` makes a new one",
        )


@command.command()
@pass_app
def pull(app: App) -> None:
    """Get the keys that are not here back from the services of the running instance."""
    from appliance.cli.carried import carried, reader
    from appliance.keys.pull import pull as bring

    ring, spec, observed = app.ring(), app.spec(), app.observe()
    pulled = bring(spec, ring, observed.ring_id, carried(observed), reader(app.engine(), spec.name))
    _made(app, pulled, f"pulled {len(pulled)} keys and certificates into {ring.folder}")


@command.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@pass_app
def import_(app: App, source: Path) -> None:
    """Take over this instance's ring from SOURCE: a ring's folder, or the tar that `keys export` wrote.

    Every file is checked before one is written; a key that is here already is never overwritten.
    """
    from appliance.keys.copies import from_folder, from_tar, take

    ring = app.ring()
    taken = take(from_folder(source) if source.is_dir() else from_tar(source), ring)
    _made(app, taken, f"{len(taken)} keys and certificates are new in {ring.folder}")


@command.command()
@click.argument("target", type=click.Path(path_type=Path))
@pass_app
def export(app: App, target: Path) -> None:
    """Write the whole ring to the tar TARGET, for another machine or for a backup. It is readable by you alone."""
    from appliance.keys.copies import export_to

    ring = app.ring()
    if not ring.exists:
        hint = "`appliance up` or `appliance keys create` makes one"
        raise ApplianceError(f"there is no key ring in {ring.folder}", hint=hint)
    export_to(ring, target)
    app.say(f"{target} holds the whole ring: keep it as you would keep the keys")


def _made(app: App, refs: tuple[str, ...], words: str) -> None:
    if app.json:
        app.print_json({"ring": app.ring().ring_id, "keys": list(refs)})
    for ref in refs if not app.json else ():
        app.print(ref)
    if words:
        app.say(words)
