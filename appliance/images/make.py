"""One image: a build of its context, then a look at what is in it, then its labels and its tag.

The tag is given last, by the second and trivial build, so that an image that has it is complete.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import docker
from docker.errors import APIError, NotFound
from docker.types import LogConfig

from appliance.engines.base import Report
from appliance.errors import ApplianceError
from appliance.images.context import Context
from appliance.images.work import Message

MARK = "appliance.build"  # label of the short-lived container that is asked for its packages
TAIL = 20  # lines of a failed build that are shown
_STEP = re.compile(r"Step (\d+)/(\d+) : (\S.*)")
_QUERY = ["dpkg-query", "--show", "--showformat", "${Package}=${Version}\n"]


@dataclass(frozen=True)
class Recipe:
    """An image to make. ``arguments`` are build arguments (no part of the tag), ``labels`` are added to those of the packages."""

    context: Context
    tag: str
    arguments: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    cache: bool = True


def make(client: docker.DockerClient, recipe: Recipe, report: Report, run: str) -> None:
    """Builds, labels and tags. ``run`` marks the containers of one call. Raises ApplianceError with the log's end."""
    name = recipe.context.name
    step, draft = f"image {name}", f"{recipe.tag}-draft"
    report.start(step, f"build {recipe.tag}")
    try:
        _build(client, recipe, draft, report)
        held = _packages(client, draft, run)
        labels = {"appliance.image": name, **recipe.labels, "appliance.packages": " ".join(held)}
        _label(client, draft, recipe.tag, labels)
    except BaseException as why:  # the error itself is told by the one who asked
        report.failed(step, f"{recipe.tag} {'not built' if isinstance(why, ApplianceError) else 'interrupted'}")
        raise
    finally:
        with contextlib.suppress(APIError):
            client.images.remove(draft, noprune=True)
    report.done(step, f"built {recipe.tag}: {len(held)} packages, {client.images.get(recipe.tag).attrs['Size'] / 1e6:.0f} MB")


def sweep(client: docker.DockerClient, run: str) -> None:
    """Removes what interrupted looks into images left behind, those of this run alone."""
    with contextlib.suppress(APIError):
        for container in client.containers.list(all=True, filters={"label": f"{MARK}={run}"}):
            with contextlib.suppress(APIError):
                container.remove(force=True)


def _build(client: docker.DockerClient, recipe: Recipe, draft: str, report: Report) -> None:
    stream = client.api.build(
        fileobj=io.BytesIO(recipe.context.tar()),
        custom_context=True,
        tag=draft,
        buildargs=dict(recipe.arguments),
        nocache=not recipe.cache,
        rm=True,
        forcerm=True,
        decode=True,
    )
    log: deque[str] = deque(maxlen=400)
    for message in _read(stream):
        if message.get("error"):
            raise failure(recipe.context.name, str(message["error"]), list(log))
        for line in str(message.get("stream") or "").splitlines():
            if not line.strip():
                continue
            log.append(line)
            if found := _STEP.match(line):
                number, total, words = found.groups()
                if words.startswith("RUN"):
                    report.note(f"{recipe.context.name}: step {number} of {total}, {_short(words)}")
    _there(client, recipe, draft, list(log))


def _read(stream: Iterator[Message]) -> Iterator[Message]:
    # a connection that broke off ends the stream in one of several ways, none of which says more than the missing image does
    with contextlib.suppress(OSError, ValueError):
        yield from stream


def _there(client: docker.DockerClient, recipe: Recipe, draft: str, log: list[str]) -> None:
    try:
        client.images.get(draft)
    except NotFound:
        raise failure(recipe.context.name, "the build ended early", log) from None


def _packages(client: docker.DockerClient, image: str, run: str) -> list[str]:
    log = LogConfig(type="json-file")  # whatever the engine's default is, this one can be read back
    container = client.containers.create(
        image, _QUERY, entrypoint=[], network_mode="none", user="0", labels={MARK: run}, log_config=log
    )
    try:
        container.start()
        code = container.wait(timeout=60)["StatusCode"]
        out = container.logs(stdout=True, stderr=False).decode()
    finally:
        container.remove(force=True)
    if code != 0:
        raise ApplianceError(f"dpkg-query in {image} ended with {code}", hint="an image of the appliance is a Debian image")
    return sorted(out.split())


def _label(client: docker.DockerClient, draft: str, tag: str, labels: Mapping[str, str]) -> None:
    # none of the values has a quote, a backslash or a dollar: Debian Policy 5.6.1 and 5.6.12, dates, names
    words = " ".join(f'{key}="{value}"' for key, value in labels.items())
    dockerfile = io.BytesIO(f"FROM {draft}\nLABEL {words}\n".encode())
    for message in client.api.build(fileobj=dockerfile, tag=tag, rm=True, forcerm=True, decode=True):
        if message.get("error"):
            raise ApplianceError(f"{tag} could not be labelled: {message['error']}")


def failure(name: str, error: str, log: list[str]) -> ApplianceError:
    """The end of a build's log as an error, with what most likely helps."""
    said = "\n".join(f"  | {line}" for line in log[-TAIL:])
    return ApplianceError(f"the image {name} could not be built: {error}\n{said}".rstrip(), hint=advice("\n".join([*log, error])))


def advice(log: str) -> str:
    """A hint from the words of apt, dpkg and the engine."""
    for words, hint in _ADVICE:
        if re.search(words, log):
            return hint
    return "the lines above are the end of its log; `appliance build` goes on where it stopped"


_ADVICE = (
    (r"(?i)no space left on device", "the engine's disk is full: `docker system df` says with what"),
    (r"is not valid yet", "the clock of the engine's host is behind: apt refuses signatures from the future"),
    (
        r"(?i)could not resolve|temporary failure resolving|could not connect|connection timed out|network is unreachable"
        r"|failed to fetch|connection refused",
        "the mirror cannot be reached from inside a container: APPLIANCE_MIRROR=URL or --mirror URL names another, "
        "http_proxy is passed on",
    ),
    (r"NO_PUBKEY|is not signed", "the mirror's signature is not by a key that the base knows: is it a mirror of Debian?"),
    (r"Unable to locate package|has no installation candidate", "a package of its Dockerfile is not in this suite or mirror"),
    (r"the build ended early", "the connection to the engine broke off"),
)


def _short(words: str, length: int = 70) -> str:
    flat = " ".join(words.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"
