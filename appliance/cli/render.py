"""`appliance render`: what would be deployed, as files to read, secrets redacted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.render.bundle import AnyFile, Bundle


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="the folder to write; without it the files are listed")
@pass_app
def command(app: App, output: Path | None) -> None:
    """Write what would be deployed into a folder: a sub-folder per service, hashes and keys redacted.

    Needs no engine and makes no key. Which address families an engine serves is asked of nobody: IPv6 is written where
    listen.address names an IPv6 address.
    """
    bundle = app.bundle((4, 6) if any(":" in a for a in app.spec().listen.address) else (4,))
    if app.json:
        app.print_json(document(bundle))
    elif output is None:
        for service in bundle.services:
            for file in service.files:
                app.print(f"{service.name}/{file.path}  {file.mode:04o}  {file.on_change}")
        return
    if output is not None:
        count = write(bundle, output)
        app.say(f"{count} files of {len(bundle.services)} services written to {output}")


def document(bundle: Bundle) -> dict[str, object]:
    """The bundle as JSON, without a secret."""
    return {
        "instance": bundle.instance,
        "release": bundle.release,
        "services": [
            {
                "name": s.name,
                "role": s.role,
                "frozen": s.frozen,
                "live": s.live,
                "runtime": asdict(s.runtime),
                "files": [
                    {"path": f.path, "mode": f"{f.mode:04o}", "owner": f.owner, "on_change": f.on_change, "source": f.source}
                    | ({} if f.secret else {"sha256": f.digest})
                    for f in s.files
                ],
            }
            for s in bundle.services
        ],
    }


def write(bundle: Bundle, output: Path) -> int:
    """Writes the folder; refuses one that holds anything else than an earlier rendering. Returns the number of files."""
    mark = output / ".appliance-render"
    if output.exists() and any(output.iterdir()) and not mark.exists():
        raise ApplianceError(f"{output} is not empty and was not written by `appliance render`", hint="name a new folder")
    output.mkdir(parents=True, exist_ok=True)
    mark.write_text("Written by `appliance render`; may be overwritten.\n")
    count = 0
    for service in bundle.services:
        for file in service.files:
            path = output / service.name / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(shown(file))
            count += 1
        (output / service.name / "runtime.json").write_text(json.dumps(asdict(service.runtime), indent=2) + "\n")
    return count


def shown(file: AnyFile) -> bytes:
    """The bytes that may be seen: of a file with hashes the addresses, of a key its fingerprint."""
    from appliance.render.bundle import File

    if not isinstance(file, File):
        return f"[REDACTED {file.ref} {file.digest}]\n".encode()
    if not file.secret:
        return file.data
    lines = file.data.decode(errors="replace").splitlines()
    return ("\n".join(_redacted(line) for line in lines) + "\n").encode()


def _redacted(line: str) -> str:
    """A passwd-file line without its hash; any other line without its second word."""
    if line.startswith("#") or not line.strip():
        return line
    name, colon, rest = line.partition(":")
    if colon:
        return f"{name}:[REDACTED]:{rest.partition(':')[2]}"
    return f"{line.split(None, 1)[0]} [REDACTED]"
