"""`appliance tend`: what must be done from time to time, done by a timer: certificates, and the mail of mailboxes that went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from appliance.cli.app import App, pass_app
from appliance.errors import ApplianceError, Exit, UsageError

if TYPE_CHECKING:
    from appliance.observed import Observed


#: seconds in which the mail of those who left must be gone; the next round goes on
FORGET = 600


@click.command()
@click.option("--now", is_flag=True, help="ask the certificate authority even shortly after it refused")
@click.option("--wait-timeout", default=180, show_default=True, help="seconds until every reloaded service must do its work")
@click.option("--install", is_flag=True, help="write a systemd timer that runs this twice a day")
@click.option("--uninstall", is_flag=True, help="remove that timer")
@pass_app
def command(app: App, now: bool, wait_timeout: int, install: bool, uninstall: bool) -> int:
    """Renew the certificates that are due, put them in place, end the mail of mailboxes removed 30 days ago.

    Safe to run at any time, by hand or by a timer.

    Renewed are the authority's (tls.mode acme, when less than a third of its time is left) and the ring's own. Services are
    reloaded, never restarted; what was changed in the spec waits for `up`. Says nothing when there is nothing to do. Exit 3
    when the authority issued none, 1 when a service could not be given its certificate.
    """
    if install or uninstall:
        if install and uninstall:
            raise UsageError("--install or --uninstall, not both")
        from appliance.cli import timer

        return timer.install(app) if install else timer.uninstall(app)
    try:
        return tend(app, now=now, wait=wait_timeout)
    finally:
        app.report().close()


def tend(app: App, *, now: bool, wait: int) -> int:
    """One round; returns the exit code."""
    from appliance.cli import certificate

    observed = app.observe()
    _ours(app, observed)
    code = Exit.DONE
    waiting = _waits_for_up(app, observed)
    if waiting:
        app.say(f"warning: {waiting}: nothing is renewed before `appliance up`")
        code = Exit.FAILED
    else:
        app.ring().renew(app.spec(), app.report())
        if certificate.fetch(app, at_once=now) == "failed":
            code = Exit.UNPROVEN
    if not forget(app, observed):
        code = max(code, Exit.FAILED)
    found = certificate.put(app, wait=wait, break_lock=False, why="tend")
    if found is None:
        return code
    for service, why in found.left.items():
        app.say(f"warning: {service} keeps its old certificate: {why}; `appliance up` puts it right")
    if found.services:
        _tell_what_is_left(app)
    return Exit.FAILED if found.left else code


def forget(app: App, observed: Observed) -> bool:
    """Ends what is kept of people who left 30 days ago; False when a service could not."""
    from appliance.keys import removed

    spec, files = app.spec(), app.ring().files
    addresses = removed.due(files, spec.mailboxes, app.ring().now())
    keepers = [s for r in app.catalog().values() for s in r.services if s.forget and s.name in observed.services]
    for service in keepers if addresses else ():
        lines = "".join(f"{a}\n" for a in addresses).encode()
        try:
            done = app.engine().exec(spec.name, service.name, service.forget, stdin=lines, timeout=FORGET)
        except ApplianceError as why:
            app.say(f"warning: {service.name}: {why.message}")
            return False
        for line in done.stdout.decode(errors="replace").splitlines():
            app.say(line)
        if done.code:
            app.say(f"warning: {service.name}: {done.stderr.decode(errors='replace').strip()}")
            return False
    if addresses and keepers:
        removed.end(files, addresses)
    return True


def _ours(app: App, observed: Observed) -> None:
    """Raises ApplianceError where there is nothing of ours to tend."""
    name, ring = app.spec().name, app.ring()
    if not observed.services:
        raise ApplianceError(f"{name} does not run here", hint="`appliance up` starts it")
    if observed.ring_id != ring.ring_id:
        here = f"the ring here is {ring.ring_id}" if ring.ring_id else "there is no ring here"
        hint = "`appliance keys pull` or `appliance keys import` brings it"
        raise ApplianceError(f"{name} runs with the key ring {observed.ring_id}, and {here}", hint=hint)


def _waits_for_up(app: App, observed: Observed) -> str:
    """A change of the spec that is not applied yet and that decides which certificate is right; "" for none."""
    from appliance.keys.view import ACME_ACCOUNT, TLS_KEY

    spec = app.spec()
    names = {s.manifest.runtime.hostname for s in observed.services.values() if s.manifest}
    if names and spec.hostname not in names:
        return f"the spec's hostname is {spec.hostname}, and {', '.join(sorted(names))} runs"
    missing = [ref for ref in (TLS_KEY, ACME_ACCOUNT) if ref in app.ring().missing(spec)]
    return f"tls.mode {spec.tls.mode} is new, and the ring has no {missing[0]}" if missing else ""


def _tell_what_is_left(app: App) -> None:
    """After a change of ours: the user's own changes wait, and are not forgotten."""
    from appliance.cli import planning

    try:
        planned = planning.make(app)
    except ApplianceError as why:
        app.say(f"note: the spec cannot be planned now ({why.message})")
        return
    if not planned.plan.empty:
        app.say(f"note: other changes are pending, and were left alone: {planning.summary(planned.plan)}")
