"""The server's certificate from an authority (tls.mode acme), and certificates of today in what runs: for `up` and `tend`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from appliance.errors import ApplianceError

if TYPE_CHECKING:
    from appliance.cli.app import App
    from appliance.plan.present import Renewal

Fetched = Literal["kept", "new", "failed"]
STEP = "certificate"


def fetch(app: App, *, at_once: bool = False) -> Fetched:
    """Fetches the certificate when it is due. A failure is told in the authority's words, and raises nothing.

    ``at_once``: also shortly after the authority refused (keys/fetched.py).
    """
    from appliance.keys import fetched

    spec, ring, report = app.spec(), app.ring(), app.report()
    why = fetched.due(spec, ring)
    if not why:
        return "kept"

    def answer(path: str, content: bytes) -> AbstractContextManager[None]:
        return app.engine().answer(spec.name, path, content, addresses=spec.listen.address, port=app.challenge_port)

    report.start(STEP, f"asking {fetched.authority(spec)} for a certificate for {spec.hostname}: {why}")
    wait = fetched.pause(spec, ring)
    if wait and not at_once:
        words = f"{fetched.state(ring).words}\n  for the sake of its limits it is asked again in {_minutes(wait)} at the earliest"
        return _failed(app, words, "`appliance tend --now` asks at once")
    try:
        fetched.obtain(spec, ring, answer, report.note)
    except ApplianceError as trouble:
        return _failed(app, trouble.message, trouble.hint)
    report.done(STEP, f"{fetched.authority(spec)} issued a certificate for {spec.hostname}")
    return "new"


def _failed(app: App, words: str, hint: str) -> Fetched:
    app.report().failed(STEP, f"no certificate: {words}")
    for line in (hint, "the services keep the certificate that they have; `up` and `tend` ask again"):
        if line and app.json:
            app.report().note(line)
        elif line:
            app.say(f"  hint: {line}" if line is hint else f"  {line}")
    return "failed"


def _minutes(wait: timedelta) -> str:
    minutes = -(-int(wait.total_seconds()) // 60)
    return f"{minutes} minute{'s' if minutes != 1 else ''}"


def put(app: App, *, wait: int, break_lock: bool, why: str) -> Renewal | None:
    """Puts the certificates of the ring into the services that run, by reloads alone; None when they have them."""
    from appliance.cli import up
    from appliance.cli.planning import Planned
    from appliance.keys.needs import needs
    from appliance.plan.present import Certificates, renewal

    spec, view, observed = app.spec(), app.keys(), app.observe()
    refs = {n.ref for n in needs(spec) if n.kind == "certificate"}
    certificates = Certificates(view.ring_id, view.fingerprints, refs)
    if not any(certificates.stale(s) for s in observed.services.values()):
        return None
    try:
        today = app.bundle(observed.host.families)
    except ApplianceError:
        today = None  # what the spec says cannot be rendered now; what runs goes on
    found = renewal(observed, lambda service, live: app.engine().read(spec.name, service, live), certificates, today)
    if found.services:
        up.apply(app, Planned(found.plan, observed, {}), why=why, wait=wait, break_lock=break_lock)
    return found
