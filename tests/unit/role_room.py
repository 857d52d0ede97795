"""A spec, rendered: what the tests of single roles read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from appliance.catalog.load import load as load_catalog
from appliance.catalog.role import Role
from appliance.keys import view
from appliance.keys.view import KeyView
from appliance.render.bundle import Bundle, File
from appliance.render.render import render
from appliance.resources import folder
from appliance.spec.load import load
from appliance.spec.model import Spec
from appliance.topology import resolve

HEAD = """
version: 1
name: room
hostname: mail.example.org
addresses: [203.0.113.7, "2001:db8::7"]
postmaster: alice@example.org
"""
#: a hash of the right form
HASH = "{SHA512-CRYPT}$6$saltsaltsaltsalt$" + "x" * 86
ALICE = f'mailboxes: {{alice@example.org: {{password: "{HASH}"}}}}\n'
BODY = """
domains:
  example.org: {}
  catch.example: {catch_all: alice@example.org}
  bücher.example: {dkim: {algorithms: [ed25519]}}
mailboxes:
  alice@example.org: {password: "HASH"}
  bob@example.org: {password: "HASH"}
  carol@example.org: {enabled: false}
  off@catch.example: {enabled: false}
  jürgen@bücher.example: {password: "HASH"}
aliases:
  sales@example.org: [alice@example.org, bob@example.org]
  list@example.org: {to: [bob@example.org], send_as: [alice@example.org]}
  away@example.org: x@elsewhere.example
""".replace("HASH", HASH)


class Files:
    """No file beside the spec but the relay's credentials."""

    def file(self, path: str) -> bytes:
        assert path == "relay.txt"
        return b"user:secret\n"

    def folder(self, path: str) -> Mapping[str, bytes]:
        raise AssertionError(path)


@cache
def catalog() -> Mapping[str, Role]:
    return load_catalog([folder("roles")])


def spec(more: str = "", body: str = BODY) -> Spec:
    return load(HEAD + body + more, "mail.yml", catalog(), Files()).spec


def bundle(more: str = "", families: tuple[int, ...] = (4,), body: str = BODY) -> Bundle:
    wanted = spec(more, body)
    tags = {s.image: f"{s.image}:tag" for r in catalog().values() for s in r.services}
    keys = KeyView(public={view.INTERNAL_CLIENT_CERT: "AA:BB"}, tokens={"probe": "p" * 16, "double-bounce": "d" * 16})
    return render(resolve(wanted, catalog()), keys, tags, families)


def texts(service: str, more: str = "", families: tuple[int, ...] = (4,)) -> Mapping[str, str]:
    """Path → text of a service's rendered files."""
    files = bundle(more, families).service(service).files
    return {f.path: f.data.decode() for f in files if isinstance(f, File)}


def settings(text: str) -> Mapping[str, str]:
    """main.cf's settings; continued lines joined by one blank (postconf(5))."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\n    ", " ").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in joined)}


def table(text: str) -> Mapping[str, str]:
    """A look-up table's entries."""
    rows = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    assert len({key for key, _, _ in rows}) == len(rows), "a key stands twice"
    return {key: value for key, _, value in rows}
