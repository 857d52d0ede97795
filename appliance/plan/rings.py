"""Whose instance it is: the key ring's id on containers and volumes against the ring beside the spec. Pure.

A second folder with the same ``name`` must not touch what another one deployed. Volume labels never change, so the ring
remembers whose volumes it has taken over (``Bundle.adopted``); containers are replaced by those that carry its own id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from appliance.observed import Observed
from appliance.plan.words import some
from appliance.render.bundle import NEW_AT_UP, Bundle


def others(observed: Observed, here: str | None, adopted: Collection[str]) -> tuple[str, ...]:
    """Ids of other rings that the instance belongs to. ``here``: the ring beside the spec, which took over ``adopted``.

    Containers are those of one ring alone: whoever took over made them anew. Where there is none, the volumes tell.
    """
    ours = {here} if any(s.ring_id for s in observed.services.values()) else {here, *adopted}
    return tuple(sorted(observed.rings - ours))


def belongs(observed: Observed, strange: Collection[str], here: str | None) -> str:
    """Both rings named, and who deployed the other one where its manifests tell. ``here``: the ring beside the spec."""
    ring = f"the ring here is {here}" if here else "there is no ring here"
    by = deployer(observed)
    return f"{observed.instance} belongs to the key ring {some(strange)}{f' (deployed by {by})' if by else ''}, and {ring}"


def deployer(observed: Observed) -> str:
    """``user@host:folder`` of the last apply whose manifests were read, "" where none was."""
    manifests = [s.manifest for s in observed.services.values() if s.manifest]
    return max(manifests, key=lambda m: m.time).who if manifests else ""


def refusals(bundle: Bundle, observed: Observed, *, adopt: bool, missing_keys: tuple[str, ...]) -> Iterator[str]:
    """Sentences: another ring's instance, or keys of ours that are lost."""
    strange = others(observed, bundle.ring_id, bundle.adopted)
    if strange and bundle.ring_id is None and observed.services:
        yield (
            f"{bundle.instance} runs with the key ring {some(strange)}, and {len(missing_keys)} keys are not here;"
            " `appliance keys pull` or `appliance keys import` brings them; if neither can, `appliance down --adopt`"
            " (data stays), then `appliance up --adopt` makes new ones"
        )
    elif strange and not adopt:
        remedy = (
            ": another folder deploys an instance of the same name; choose another name, or say --adopt"
            if bundle.ring_id
            else "; `appliance keys import` brings it; if it is lost, `appliance up --adopt` makes a new one and keeps the data"
        )
        yield belongs(observed, strange, bundle.ring_id) + remedy
    lost = sorted(_carried(observed) & set(missing_keys)) if bundle.ring_id and not strange else []
    if lost:
        yield (
            f"{len(lost)} key{'s' if len(lost) > 1 else ''} that {bundle.instance} runs with {'are' if len(lost) > 1 else 'is'}"
            f" not in the ring any more ({some(lost)}): a new one would not match what is published;"
            " `appliance keys pull` brings it back from the running instance"
        )


def warnings(bundle: Bundle, observed: Observed) -> Iterator[str]:
    """What taking over another ring's instance means."""
    strange = others(observed, bundle.ring_id, bundle.adopted)
    if strange:
        yield (
            f"{bundle.instance} goes over from the key ring {some(strange)} to {bundle.ring_id or 'a new one'}:"
            " its DKIM records change; publish what `appliance dns records` prints, or its mail is taken for forged"
        )


def label_change(bundle: Bundle, seen: str | None) -> str:
    """Why a container must be made anew so that it says whose it is, "" when it need not."""
    return f"it belongs to the key ring {seen}" if seen and bundle.ring_id and seen != bundle.ring_id else ""


def _carried(observed: Observed) -> set[str]:
    """Private keys that the running services have. Certificates are left out: those are missing when they are due."""
    manifests = [s.manifest for s in observed.services.values() if s.manifest]
    refs = {mark.ref for m in manifests for mark in m.files.values() if mark.ref and mark.digest != NEW_AT_UP}
    return {ref for ref in refs if not ref.endswith(("cert.pem", "ca.pem"))}
