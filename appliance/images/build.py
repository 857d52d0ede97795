"""Builds the images that are missing, two at a time, from the contexts that their tags are digests of."""

from __future__ import annotations

import difflib
import queue
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import docker
from docker.errors import ImageNotFound

from appliance.engines.base import Report
from appliance.errors import UsageError
from appliance.images import base as base_image
from appliance.images.context import BASE, Context, contexts
from appliance.images.lock import Lock
from appliance.images.make import Recipe, make, sweep
from appliance.images.mirror import proxies
from appliance.images.tags import tags
from appliance.images.work import Work

AT_A_TIME = 2
GRACE = 20  # seconds for interrupted builds to end


@dataclass(frozen=True)
class Stock:
    """What is wanted and what of it is missing: image name → tag."""

    wanted: Mapping[str, str]
    missing: Mapping[str, str]


def stock(client: docker.DockerClient, names: Sequence[str], lock: Lock, among: Mapping[str, Context] | None = None) -> Stock:
    """Compares with the engine; asks, and builds nothing. Raises UsageError for a name that is no image."""
    known = tags(lock, among)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise UsageError(f"there is no image {name}", hint=hint)
    wanted = {name: known[name] for name in dict.fromkeys(names)}
    return Stock(wanted, {name: tag for name, tag in wanted.items() if not present(client, tag)})


def build(
    client: docker.DockerClient,
    names: Sequence[str],
    lock: Lock,
    report: Report,
    *,
    mirror: str = "",
    fresh: bool = False,
    among: Mapping[str, Context] | None = None,
) -> tuple[str, ...]:
    """Builds what of ``names`` the engine does not have, and the base first where it is needed; returns what was built.

    ``mirror``: a Debian mirror by name, instead of the machine's own. ``fresh``: ask the registry for the base even when a copy
    is here. ``among``: the contexts, default this program's own.

    Raises ApplianceError with the end of the build's log, Unavailable with what to install, UsageError for an unknown name.
    Interrupted, it leaves neither a container nor a half-made tag.
    """
    known = contexts() if among is None else among
    missing = stock(client, names, lock, known).missing
    if not missing:
        return ()
    tag = tags(lock, known)[BASE]
    run = secrets.token_hex(8)
    with Work(client) as work:
        try:
            if not present(client, tag):
                recipe, start = _base(client, known[BASE], tag, lock, report, mirror=mirror, fresh=fresh)
                try:
                    make(client, recipe, report, run)
                finally:
                    if start != base_image.PULLED:
                        client.images.remove(start, noprune=True)  # only the name: its layer is the base's
            recipes = [
                Recipe(known[name], wanted, {"BASE": tag, **proxies()}, {"appliance.refreshed": lock.stamp})
                for name, wanted in missing.items()
                if name != BASE
            ]
            _all(client, recipes, report, work, run)
        except BaseException:
            sweep(client, run)
            raise
    return tuple(missing)


def present(client: docker.DockerClient, tag: str) -> bool:
    """Whether the engine has an image of that tag."""
    try:
        client.images.get(tag)
    except ImageNotFound:
        return False
    return True


def packages(client: docker.DockerClient, tag: str) -> Mapping[str, str]:
    """Package → version in an image, from its label; empty when the engine does not have it."""
    try:
        label = client.images.get(tag).labels.get("appliance.packages", "")
    except ImageNotFound:
        return {}
    return dict(word.split("=", 1) for word in label.split())


def _base(
    client: docker.DockerClient, context: Context, tag: str, lock: Lock, report: Report, *, mirror: str, fresh: bool
) -> tuple[Recipe, str]:
    """The recipe of the base, and the image that it starts from, pulled or bootstrapped by now."""
    start, source = base_image.origin(client, context, tag, report, fresh=fresh, mirror=mirror)
    arguments = {"BASE": start, **proxies()}
    if source:
        arguments |= {"MIRROR": source.main, "SECURITY_MIRROR": source.security}
    kind = "pulled" if start == base_image.PULLED else "bootstrapped"
    labels = {"appliance.base": kind, "appliance.refreshed": lock.stamp}
    # never from the build cache: its packages would be those of an earlier day
    return Recipe(context, tag, arguments, labels, cache=False), start


def _all(client: docker.DockerClient, recipes: Sequence[Recipe], report: Report, work: Work, run: str) -> None:
    """Two threads take from one list; the first failure, or an interrupt, ends the other's request as well."""
    todo: queue.SimpleQueue[Recipe] = queue.SimpleQueue()
    for recipe in recipes:
        todo.put(recipe)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def worker() -> None:
        try:
            while not work.cancelled:
                make(client, todo.get_nowait(), report, run)
        except queue.Empty:
            ended.put(None)
        except BaseException as why:  # handed to the one who waits
            ended.put(why)
        else:
            ended.put(None)

    threads = [threading.Thread(target=worker, daemon=True) for _ in range(min(AT_A_TIME, len(recipes)))]
    try:
        for thread in threads:
            thread.start()
        for _ in threads:
            if failure := ended.get():
                raise failure
    except BaseException:
        work.cancel()
        for thread in threads:
            thread.join(GRACE)
        raise
