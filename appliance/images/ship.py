"""Images on their way to another engine: the stream of ``docker save`` and ``docker load``, for engines without a registry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import docker
import requests

from appliance.errors import ApplianceError
from appliance.images.build import stock
from appliance.images.lock import Lock
from appliance.images.work import address, messages

CHUNK = 1 << 20  # bytes
_LOADED = re.compile(r"Loaded image: (\S+)")


def save(client: docker.DockerClient, names: Sequence[str], lock: Lock) -> Iterator[bytes]:
    """One archive of several images, their common layers once. Raises ApplianceError for an image that is not built."""
    found = stock(client, names, lock)
    if found.missing:
        raise ApplianceError(f"not built: {', '.join(sorted(found.missing))}", hint="`appliance build` builds them")
    return save_tags(client, tuple(found.wanted.values()))


def save_tags(client: docker.DockerClient, tags: Sequence[str]) -> Iterator[bytes]:
    """The archive of images by tag."""
    query = {"names": list(tags)}
    with client.api.get(address(client, "/images/get"), params=query, stream=True, timeout=600) as response:
        if response.status_code != requests.codes.ok:
            raise ApplianceError(f"the engine does not give {', '.join(tags)}: {response.text.strip()}")
        yield from response.iter_content(CHUNK)


def load(client: docker.DockerClient, stream: Iterable[bytes]) -> tuple[str, ...]:
    """Loads an archive; returns the tags that it brought. Raises ApplianceError when the engine does not take it."""
    loaded: list[str] = []
    with client.api.post(address(client, "/images/load"), data=stream, stream=True, timeout=600) as response:
        if response.status_code != requests.codes.ok:
            raise ApplianceError(f"the engine does not load the images: {response.text.strip()}")
        for message in messages(response):
            if message.get("error"):
                raise ApplianceError(f"the engine does not load the images: {message['error']}")
            loaded += _LOADED.findall(str(message.get("stream") or ""))
    return tuple(loaded)
