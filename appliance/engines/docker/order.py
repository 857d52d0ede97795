"""From the plan to the steps, in the order in which they are carried out. This file is what an apply does; the rest is how.

1. what a cut-off apply left is settled      4. new files are tried in throwaway containers
2. network and volumes                       5. services switch, in the plan's order; each is waited for
3. new generations are filled, tables made   6. nothing failed: the old containers go, and what the plan removes
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.engines.docker.box import Box
from appliance.engines.docker.files import Files
from appliance.engines.docker.prune import prune
from appliance.engines.docker.resources import MakeNetwork, MakeVolumes
from appliance.engines.docker.site import Site
from appliance.engines.docker.stage import Record, Stage
from appliance.engines.docker.steps import Step
from appliance.engines.docker.trial import Trials
from appliance.plan.model import Change

#: actions that disturb no running container and may begin side by side
FRESH = ("create", "start")


def steps(site: Site) -> list[Step]:
    """All steps of the plan."""
    changes = tuple(c for c in site.plan.changes if c.action != "keep")
    record = Record(site)
    return [
        *_settle(site),
        *_ground(site),
        *_files(site, changes, record),
        *_switch(site, changes),
    ]


def closing(site: Site) -> list[Step]:
    """What follows once nothing can fail any more: the old containers go."""
    changes = [c for c in site.plan.changes if c.action in ("replace", "remove")]
    boxes = [Box(site, c.service, c.bundle, site.observed.services.get(c.service)) for c in changes]
    record = Record(site)
    return [
        Step("clean", "forgetting the earlier time of this release", record.settle),
        *(Step("clean", f"removing {b.previous}, its last lines kept", b.dismiss) for b in boxes),
        Step("clean", "removing what only older releases need", lambda: prune(site)),
    ]


def _settle(site: Site) -> Iterator[Step]:
    for name in site.observed.previous:
        box = Box(site, name, None, site.observed.services.get(name))
        yield Step("settle", f"settling {box.previous}", box.settle)


def _ground(site: Site) -> Iterator[Step]:
    network, volumes = MakeNetwork(site), MakeVolumes(site)
    if site.observed.network is None:
        yield Step("ground", f"making the network {site.plan.bundle.network.name}", network.do, network.undo)
    if volumes.missing:
        yield Step("ground", f"making {len(volumes.missing)} volumes", volumes.do)


def _files(site: Site, changes: Sequence[Change], record: Record) -> Iterator[Step]:
    stage, trials = Stage(site, tuple(changes)), Trials(site, changes)
    if stage.services:
        yield Step("files", f"writing the files of {len(stage.services)} services", stage.do, stage.undo)
    if trials.wanted:
        yield Step("trial", f"trying the new files of {len(trials.wanted)} services beside the running ones", trials.do)
    yield Step("record", "recording the release", record.do, record.undo)


def _switch(site: Site, changes: Sequence[Change]) -> Iterator[Step]:
    at = 0
    while at < len(changes):
        end = at
        while end < len(changes) and changes[end].action in FRESH:
            end += 1
        if end > at:
            yield from _fresh(site, changes[at:end])
        else:
            end = at + 1
            yield from _one(site, changes[at])
        at = end


def _fresh(site: Site, changes: Sequence[Change]) -> Iterator[Step]:
    """New services start side by side, those that need others after these can do their work."""
    left = list(changes)
    while left:
        waiting = {c.service for c in left}
        wave = [c for c in left if not (c.bundle and waiting.intersection(c.bundle.after) - {c.service})] or left[:1]
        parts = [_begin(site, c) for c in wave]
        for begin, _ in parts:
            yield from begin
        for _, end in parts:
            yield from end
        left = [c for c in left if c not in wave]


def _begin(site: Site, change: Change) -> tuple[list[Step], list[Step]]:
    files, box = _both(site, change)
    name, text = change.service, f"{change.action} {change.service}"
    make = [Step(name, "making the container", box.create, box.create_back)] if change.action == "create" else []
    return (
        [
            Step(name, text, files.unsettle, files.unsettle_back),
            *_turn(name, files),
            *make,
            Step(name, "starting it", box.start, box.start_back),
        ],
        _end(name, files, box),
    )


def _one(site: Site, change: Change) -> list[Step]:
    """A change of one service, from begin to end."""
    name, text = change.service, f"{change.action} {change.service}"
    if change.action == "remove":
        box = Box(site, name, None, site.observed.services.get(name))
        return [
            Step(name, text, box.retire, box.retire_back),
            Step(name, "stopping it", box.stop_previous, box.stop_previous_back),
        ]
    files, box = _both(site, change)
    unsettle = Step(name, text, files.unsettle, files.unsettle_back)
    if change.action == "replace":
        # the old daemon is stopped before the links move: it never sees files that were meant for another image
        return [
            unsettle,
            Step(name, "renaming the old container", box.retire, box.retire_back),
            Step(name, "making the new container", box.create, box.create_back),
            Step(name, "stopping the old one", box.stop_previous, box.stop_previous_back),
            *_turn(name, files),
            Step(name, "starting the new one", box.start, box.start_back),
            *_end(name, files, box),
        ]
    if change.action == "update":
        return [unsettle, *_turn(name, files), Step(name, "marking it settled", files.settled, files.settled_back)]
    act, back = (box.reload, box.reload_back) if change.action == "reload" else (box.restart, box.restart_back)
    return [
        unsettle,
        # the undo of this step comes after the links went back: the daemon is told to read the old files again
        Step(name, f"before the {change.action}", box.arm, lambda: box.back(back)),
        *_turn(name, files),
        Step(name, f"the {change.action}", lambda: box.act(act)),
        *_end(name, files, box),
    ]


def _turn(name: str, files: Files) -> list[Step]:
    """Live files before the link: settings may name a table that is new."""
    return [
        Step(name, "replacing live files", files.live, files.live_back),
        Step(name, "switching to the new files", files.point, files.point_back),
    ]


def _end(name: str, files: Files, box: Box) -> list[Step]:
    return [
        Step(name, "waiting until it can do its work", box.healthy),
        Step(name, "marking it settled", files.settled, files.settled_back),
    ]


def _both(site: Site, change: Change) -> tuple[Files, Box]:
    if change.bundle is None:
        raise ValueError(f"the change {change.action} of {change.service} has no bundle")
    seen = site.observed.services.get(change.service)
    return Files(site, change.bundle, seen), Box(site, change.service, change.bundle, seen)
