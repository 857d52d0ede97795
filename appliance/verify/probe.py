"""The appliance's own mailbox: a password for one run, put in place and taken away through the engine; its mail removed."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time

from appliance.verify.context import Context, Run
from appliance.verify.message import MARK
from appliance.verify.registry import StepFailed
from appliance.verify.target import Target

#: shipped by the role that offers `sasl`: one passwd-file line on stdin, or nothing to take the login away
SCRIPT = ("sh", "/config/current/probe.sh")


def new_password() -> str:
    """A password of 160 random bits: so long that a cheap hash protects it as well as a slow one."""
    return secrets.token_urlsafe(20)


def hashed(password: str) -> str:
    """``{SSHA512}``: SHA-512 over password and salt, then the salt (doc.dovecot.org, "Password schemes")."""
    salt = secrets.token_bytes(8)
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()


def put(run: Run) -> None:
    """Lets the probe log in. Raises StepFailed."""
    _script(run.target, f"{run.probe}:{hashed(run.password)}::::::\n".encode())


def take(target: Target) -> None:
    """Takes the probe's login away. Raises StepFailed."""
    _script(target, b"")


def _script(target: Target, line: bytes) -> None:
    service = target.offering("sasl")
    if service is None:
        raise StepFailed("nothing that runs checks passwords", "switch on the role that offers sasl")
    end = target.engine.exec(target.instance, service, SCRIPT, stdin=line, timeout=10)
    if end.code != 0:
        words = (end.stderr or end.stdout).decode("utf-8", "replace").strip()
        raise StepFailed(f"{' '.join(SCRIPT)} in {service} ended with {end.code}: {words}")


def settle() -> None:
    """Until the next second of the clock."""
    time.sleep(1.02 - time.time() % 1)


def until_known(ctx: Context) -> None:
    """Waits until the password is valid.

    Dovecot looks at its file at most once in each second of the clock: a login in the second in which somebody else was looked
    up would fail, and cost the delay that failures cost.
    """
    settle()
    listener = next((p for p in ("imaps", "imap", "pop3s", "pop3") if ctx.target.endpoint(p)), "")
    while listener:
        try:
            ctx.imap(listener) if listener.startswith("imap") else ctx.pop3(listener)
            return
        except StepFailed:
            if ctx.deadline.left() < 3:
                raise
            time.sleep(0.2)


def empty(ctx: Context) -> int:
    """Removes this run's messages from the probe's mailbox, and those that a run which died left behind; returns their number."""
    session = ctx.imap()
    mine = session.search(f'HEADER {MARK} "{ctx.run.run_id}"')
    old = session.search("SENTBEFORE " + time.strftime("%d-%b-%Y", time.gmtime(time.time() - 86400)))
    found = tuple(sorted({*mine, *old}))
    session.remove(found)
    left = session.search(f'HEADER {MARK} "{ctx.run.run_id}"')
    if left:
        raise StepFailed(f"{len(left)} messages of this run are still in the probe's mailbox")
    return len(found)


def unqueue(ctx: Context) -> int:
    """Removes what waits in the queue for the probe alone: with the login taken away it would bounce. Returns the number.

    Queue ids are used again by Postfix, so only what postqueue shows as the probe's now is named to postsuper.
    """
    service = ctx.target.listening("smtp")
    if service is None:
        return 0
    end = ctx.target.engine.exec(ctx.target.instance, service, ("postqueue", "-j"), timeout=20)
    waiting = [json.loads(line) for line in end.stdout.splitlines() if line.strip()]
    mine = [w["queue_id"] for w in waiting if {r["address"] for r in w["recipients"]} == {ctx.run.probe}]
    if mine:
        named = "\n".join([*mine, ""]).encode()
        ctx.target.engine.exec(ctx.target.instance, service, ("postsuper", "-d", "-"), stdin=named, timeout=20)
    return len(mine)
