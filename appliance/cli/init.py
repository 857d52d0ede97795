"""`appliance init`: write a commented spec for a domain."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, UsageError

if TYPE_CHECKING:
    from appliance.keys.secret import Secret


@click.command()
@click.argument("domain", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="a folder, or the spec's path; default: what -f says")
@click.option("--mailbox", default="", help="the first mailbox, who is postmaster too; default: postmaster@DOMAIN")
@pass_app
def command(app: App, domain: str | None, output: Path | None, mailbox: str) -> int:
    """Write a commented spec for DOMAIN, and its JSON Schema beside it. Nothing is overwritten.

    The machine's public addresses are filled in; where DOCKER_HOST names another machine, they are left to you. The first
    mailbox's password is asked for on a terminal; without one, a password is made and printed once.
    """
    from appliance.spec.draft import Answers, draft
    from appliance.spec.example import SCHEMA_FILE

    spec = _target(app.file, output)
    _refuse_to_overwrite(spec)
    name = _domain(app, domain)
    address = _mailbox(app, mailbox, name)
    secret, made = _password(app, address)
    from appliance.keys.passwords import hash_password

    answers = Answers(name, address, hash_password(secret), *machine(app, name))
    spec.parent.mkdir(parents=True, exist_ok=True)
    _write(spec, draft(answers), 0o600)  # it holds a password's hash
    schema = spec.parent / SCHEMA_FILE
    written = [spec] + ([schema] if _schema(app, schema) else [])
    if made:
        app.say(f"the password of {address} is {secret.text()} and is shown only now: write it down")
    if app.json:
        app.print_json({"files": [str(path) for path in written], "mailbox": address})
    else:
        app.print("\n".join(str(path) for path in written))
    option = "" if spec == Path("mail.yml") else f" -f {spec}"
    first = f"write the addresses of {answers.server} into it" if answers.server else "look it over"
    app.say(f"next: {first}, then `appliance{option} plan` and `appliance{option} up`")
    return 0


def _target(file: Path, output: Path | None) -> Path:
    """Where the spec goes: a folder gets a mail.yml."""
    if output is None:
        return file
    return output / "mail.yml" if output.is_dir() or output.suffix not in (".yml", ".yaml") else output


def _refuse_to_overwrite(spec: Path) -> None:
    if spec.exists() or spec.is_symlink():
        raise ApplianceError(f"{spec} exists; nothing was written", hint="-o FOLDER puts the new one elsewhere")
    if spec.parent.exists() and not spec.parent.is_dir():
        raise ApplianceError(f"{spec.parent} is not a folder; nothing was written")


def _domain(app: App, word: str | None) -> str:
    from appliance.spec.names import Fault, domain

    if not word:
        if not app.interactive:
            raise UsageError("init needs a domain", hint="appliance init example.org")
        word = click.prompt("domain", err=True)
    try:
        return domain(word)
    except Fault as why:
        raise UsageError(why.message, hint=why.hint or "appliance init example.org") from None


def _mailbox(app: App, word: str, domain: str) -> str:
    """The first mailbox, which must be of the domain."""
    from appliance.spec.names import Fault, address, u_label

    shown = u_label(domain)
    if not word and app.interactive:
        word = click.prompt("first mailbox, who is postmaster too", default=f"postmaster@{shown}", err=True)
    try:
        found = address(word or f"postmaster@{domain}")
    except Fault as why:
        raise UsageError(f"--mailbox: {why.message}", hint=why.hint) from None
    local, _, host = found.rpartition("@")
    if host != domain:
        raise UsageError(f"{found} is not an address of {shown}", hint=f"--mailbox {local}@{shown}")
    return f"{local}@{shown}"


def _password(app: App, address: str) -> tuple[Secret, bool]:
    """(password, whether it was made here)."""
    from appliance.keys.passwords import generate_password
    from appliance.keys.secret import Secret

    if not app.interactive:
        return generate_password(), True
    ask = f"password of {address} (empty: one is made)"
    word = click.prompt(ask, hide_input=True, default="", show_default=False, confirmation_prompt="once more", err=True)
    return (Secret(word), False) if word else (generate_password(), True)


def _write(path: Path, text: str, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ApplianceError(f"{path} exists; it was left as it is") from None
    except OSError as why:
        raise ApplianceError(f"{path} cannot be written: {why.strerror}") from None


def _schema(app: App, path: Path) -> bool:
    """Writes the schema where there is none; says so where there is another."""
    from appliance.cli.schema import text

    wanted = text(app) + "\n"
    if not path.exists():
        _write(path, wanted, 0o644)
        return True
    if path.read_text(encoding="utf-8", errors="replace") != wanted:
        app.say(f"{path} is of another version and was left as it is; `appliance schema` prints this one's")
    return False


def machine(app: App, domain: str) -> tuple[tuple[str, ...], int, str]:
    """(addresses, memory in bytes, the engine's host): of this machine, or what the engine knows where it is elsewhere."""
    from appliance.verify.target import engine_host

    server = engine_host()
    if not server:
        return addresses(), memory(), ""
    try:
        return (), app.engine().observe(domain, manifests=False).host.memory, server
    except ApplianceError as why:
        app.say(f"note: the memory of {server} is not known: {why.message}")
        return (), 0, server


def addresses() -> tuple[str, ...]:
    """The addresses from which this machine would reach the internet, IPv4 before IPv6. No packet is sent: a UDP socket that is
    connected only asks the routing table (udp(7)).
    """
    found = []
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((somewhere, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no route in this family
    return tuple(found)


def memory() -> int:
    """The machine's memory in bytes (proc(5), MemTotal); 0 where it is not known."""
    try:
        found = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0
