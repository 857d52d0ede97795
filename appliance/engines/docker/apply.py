"""Carries out a plan under the lock, and puts everything back when a step fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from appliance.engines.base import Report, SecretSource
from appliance.engines.docker.api import Api
from appliance.engines.docker.labels import config_volume
from appliance.engines.docker.lock import acquire, sweep
from appliance.engines.docker.observe import observe, volumes_of, with_manifests
from appliance.engines.docker.order import closing, steps
from appliance.engines.docker.prune import remove_volumes
from appliance.engines.docker.runtime import limits_of
from appliance.engines.docker.site import Site
from appliance.engines.docker.steps import Interrupts, Runner
from appliance.errors import ApplianceError
from appliance.observed import Observed, basis_of
from appliance.plan.model import Plan


def apply(
    api: Api,
    plan: Plan,
    secrets: SecretSource,
    report: Report,
    *,
    who: str,
    why: str,
    wait: int,
    break_lock: bool,
    local: bool = True,
    runner: type[Runner] = Runner,
) -> None:
    """Does what the plan says and nothing else.

    Raises Locked, ApplianceError with what went wrong (everything put back), or Interrupted likewise.
    """
    if plan.refusals:
        raise ApplianceError(f"the plan is refused: {plan.refusals[0]}")
    if plan.empty:
        return
    interrupts, image = Interrupts(), writers_image(plan)
    with interrupts.caught():
        before = volumes_of(api, plan.instance)
        hand = acquire(
            api, plan.instance, image, _services(plan), report, who=who, why=why, ring=plan.bundle.ring_id, break_lock=break_lock
        )
        try:
            observed = _look_again(api, plan, local=local)
            sweep(api, plan.instance, hand)
            limits = limits_of(api.get("/info"))
        except BaseException:
            hand.close()
            raise
        site = Site(api, plan, observed, limits, hand, image, secrets, report, who, wait, interrupts.sleep)
        site.made_volumes += [v for v in observed.volumes if v not in before]
        _carry_out(site, runner(report, interrupts.check))


def _look_again(api: Api, plan: Plan, *, local: bool) -> Observed:
    """What is there now that nobody else may change it. Raises ApplianceError when that is not what the plan was made from."""
    observed = observe(api, plan.instance, (), local=local)
    if plan.basis and plan.basis != basis_of(observed.services):
        raise ApplianceError(f"{plan.instance} was changed by somebody else since this plan was made", hint="run it again")
    return with_manifests(api, observed, _unchanged(plan))


def _carry_out(site: Site, runner: Runner) -> None:
    """The steps, forth or back; then what remains to be cleared away. The lock goes last."""
    try:
        runner.run(steps(site))
    except BaseException:
        _let_go(site)
        with contextlib.suppress(ApplianceError):
            remove_volumes(site.api, site.made_volumes)
        raise
    try:
        runner.close(closing(site))
    finally:
        _let_go(site)
    remove_volumes(site.api, [r.ref for r in site.plan.resources if (r.kind, r.action) == ("volume", "remove")])


def _unchanged(plan: Plan) -> dict[str, str]:
    """service → live digest of the services that the plan keeps: their manifests are not needed."""
    return {c.service: c.bundle.live for c in plan.changes if c.action == "keep" and c.bundle is not None}


def writers_image(plan: Plan) -> str:
    """The image of the service that has tables to make, so that its program runs in the writer; else that of any service."""
    services = plan.bundle.services
    making = [s for s in services if any(f.build for f in s.files)]
    return next(s.runtime.image for s in (*making, *services))


def _services(plan: Plan) -> tuple[str, ...]:
    """Whose configuration volumes the writer has: all that stay, and those that go without their volume."""
    gone: Iterable[str] = (r.ref for r in plan.resources if (r.kind, r.action) == ("volume", "remove"))
    going = set(gone)
    removed = [c.service for c in plan.changes if c.action == "remove" and config_volume(plan.instance, c.service) not in going]
    return (*(s.name for s in plan.bundle.services), *removed)


def _let_go(site: Site) -> None:
    with contextlib.suppress(ApplianceError):
        site.close()
