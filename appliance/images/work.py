"""Long requests to the engine: their messages, and their end from outside.

A build is one HTTP request that streams for minutes. The engine stops it, and removes its container, when the connection ends;
so an interrupted program needs no more than to let go of its connections, also of those that other threads are reading.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from weakref import WeakSet

import docker
import requests

Message = Mapping[str, Any]


class Work:
    """While it is entered, every streaming answer of this client is known and ``cancel`` can end it."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.api = client.api
        self._lock = threading.Lock()
        self._open: WeakSet[requests.Response] = WeakSet()
        self._hook: Any = self._opened  # one bound method, so that it can be found again in the list
        self.cancelled = False

    def __enter__(self) -> Work:
        self.api.hooks["response"].append(self._hook)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(ValueError):
            self.api.hooks["response"].remove(self._hook)

    def _opened(self, response: requests.Response, *_args: Any, **options: Any) -> None:
        if options.get("stream"):
            with self._lock:
                self._open.add(response)
            if self.cancelled:
                _shut(response)

    def cancel(self) -> None:
        """Ends all streaming answers; their readers see the end of the stream, or an error."""
        self.cancelled = True
        with self._lock:
            responses = list(self._open)
        for response in responses:
            _shut(response)


def _shut(response: requests.Response) -> None:
    # closing would wait for the reading thread's lock; shutting the socket down wakes it (urllib3 2.3)
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        response.raw.shutdown()


def messages(response: requests.Response) -> Iterator[Message]:
    """The JSON objects of a streaming answer, one a line or none at all."""
    for line in response.iter_lines(chunk_size=512):
        if line.strip():
            yield json.loads(line)


def address(client: docker.DockerClient, path: str) -> str:
    """The address of an endpoint for which the SDK has no function; ``path`` begins with a slash."""
    return f"{client.api.base_url}/v{client.api.api_version}{path}"
