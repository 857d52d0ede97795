"""Security updates that wait, by Debian's own list."""

from __future__ import annotations

import http.server
import lzma
import threading
from collections.abc import Iterator

import pytest

from appliance.errors import ApplianceError
from appliance.images.mirror import Mirrors
from appliance.images.updates import pending

PATH = "/debian-security/dists/trixie-security/main/binary-amd64/Packages.xz"
PACKAGES = """\
Package: openssl
Source: openssl
Version: 3.5.1-1+deb13u1
Description: Secure Sockets Layer toolkit
 Version: 9 is no version of it

Package: openssl
Version: 3.5.1-1+deb13u2

Package: postfix
Version: 3.10.4-1~deb13u1
"""


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What a mirror on loopback answers, path → body; ``root`` is its address."""
    bodies: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = bodies.get(self.path)
            self.send_response(404 if found is None else 200)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("appliance.images.updates.proxies", dict)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bodies["root"] = f"http://127.0.0.1:{server.server_port}".encode()
    yield bodies
    server.shutdown()
    server.server_close()


def found(mirror: dict[str, bytes], *held: str) -> tuple[str, ...]:
    root = mirror["root"].decode()
    return pending(held, Mirrors(f"{root}/debian", f"{root}/debian-security"), "trixie", "amd64")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (("openssl=3.5.1-1 bash=5.2-1",), ("openssl 3.5.1-1 → 3.5.1-1+deb13u2",)),
        (("openssl=3.5.1-1", "openssl=3.5.1-1 bash=5.2-1"), ("openssl 3.5.1-1 → 3.5.1-1+deb13u2",)),  # once, not per image
        (("openssl=3.5.1-1+deb13u2 postfix=3.10.5-1",), ()),
        (("postfix=3.10.4-1~deb13u1",), ()),
        (("postfix=3.10.4-1~bpo12",), ("postfix 3.10.4-1~bpo12 → 3.10.4-1~deb13u1",)),
        (("openssl=1:1.0-1",), ()),  # an epoch is newer
        ((), ()),
    ],
)
def test_what_is_older_waits(mirror: dict[str, bytes], held: tuple[str, ...], expected: tuple[str, ...]) -> None:
    mirror[PATH] = lzma.compress(PACKAGES.encode())
    assert found(mirror, *held) == expected


@pytest.mark.parametrize(
    ("body", "words"), [(None, "cannot be had: HTTPError at http://"), (b"<html>please log in</html>", "is garbled")]
)
def test_a_mirror_that_does_not_help(mirror: dict[str, bytes], body: bytes | None, words: str) -> None:
    if body is not None:
        mirror[PATH] = body
    with pytest.raises(ApplianceError, match=words):
        found(mirror, "openssl=3.5.1-1")


def test_a_mirror_that_is_not_there() -> None:
    with pytest.raises(ApplianceError, match="ConnectionError at http"):
        pending(("openssl=1",), Mirrors("http://127.0.0.1:9", "http://127.0.0.1:9"), "trixie", "amd64")
