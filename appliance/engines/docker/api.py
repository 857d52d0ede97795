"""The engine's HTTP API, one typed call at a time, on the connection of the docker SDK.

The SDK's session negotiates the version and speaks unix, tcp and TLS; its higher methods hide what we compare (they fill in and
rename fields), so requests and answers travel here as the API's own JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import docker
import requests

from appliance.engines.docker.stream import Stream
from appliance.errors import ApplianceError, Unavailable

#: seconds for a call that the engine answers from what it knows
QUICK = 60


class Refused(ApplianceError):
    """The engine answered with an error. ``status``: the HTTP status, ``words``: its own message."""

    def __init__(self, status: int, words: str, what: str) -> None:
        super().__init__(f"the engine refused {what}: {words}")
        self.status, self.words = status, words


class Api:
    """Calls of one engine; safe to use from several threads."""

    def __init__(self, client: docker.DockerClient) -> None:
        self.client = client
        self._session = client.api

    @property
    def version(self) -> tuple[int, ...]:
        """The negotiated API version, (1, 41) and up."""
        return tuple(int(part) for part in str(self._session.api_version).split("."))

    def get(self, path: str, **params: Any) -> Any:
        """GET → JSON."""
        return self.call("GET", path, params=params).json()

    def post(self, path: str, body: Any = None, *, timeout: float | None = QUICK, **params: Any) -> Any:
        """POST → JSON, None for an empty answer."""
        answer = self.call("POST", path, params=params, body=body, timeout=timeout)
        return answer.json() if answer.content else None

    def delete(self, path: str, *, missing: bool = True, **params: Any) -> None:
        """DELETE; what is not there (404) counts as done unless ``missing`` is False."""
        try:
            self.call("DELETE", path, params=params)
        except Refused as why:
            if not (missing and why.status == 404):
                raise

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        data: bytes | None = None,
        timeout: float | None = QUICK,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """One request. ``params`` that are mappings travel as JSON, as the API wants filters.

        Raises Refused for an error answer and Unavailable when the engine is gone.
        """
        sent = {key: _param(value) for key, value in (params or {}).items() if value is not None}
        heading = dict(headers or {})
        if body is not None:
            data, heading["Content-Type"] = json.dumps(body).encode(), "application/json"
        url = self._session.base_url + f"/v{self._session.api_version}" + path
        try:
            answer = self._session.request(method, url, params=sent, data=data, headers=heading, timeout=timeout, stream=stream)
        except requests.exceptions.Timeout:
            raise Unavailable(f"the engine did not answer {method} {path} within {timeout} s") from None
        except requests.exceptions.RequestException as why:
            raise Unavailable(f"the engine is gone: {_innermost(why)}", hint="is the Docker service running?") from None
        if answer.status_code >= 400:
            raise Refused(answer.status_code, _words(answer), f"{method} {path}")
        return answer

    def hijack(self, path: str, body: Any = None, **params: Any) -> Stream:
        """POST whose connection becomes a raw two-way stream (attach, exec start).

        The engine does not read the body of an attach: whatever is sent there would arrive on the program's stdin.
        """
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        answer = self.call("POST", path, params=params, body=body, stream=True, headers=upgrade)
        return Stream.of(answer)


def seconds_of(date: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with nanoseconds; 0 for the engine's zero time."""
    match = re.fullmatch(r"(\d+-\d+-\d+T\d+:\d+:\d+)(?:\.(\d+))?(Z|[+-]\d+:\d+)", date or "")
    if match is None or date.startswith("0001-"):
        return 0.0
    whole, fraction, zone = match.groups()
    return datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp() + float(f"0.{fraction or 0}")


def _param(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _words(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return answer.text.strip() or answer.reason


def _innermost(why: BaseException) -> str:
    while why.__cause__ or why.__context__:
        why = why.__cause__ or why.__context__ or why
    return str(why)
