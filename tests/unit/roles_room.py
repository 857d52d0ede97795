"""A spec in a few lines, and what a role makes of it: for the tests of single roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from appliance.catalog.load import load as load_catalog
from appliance.catalog.role import Role
from appliance.keys.view import KeyView
from appliance.people import people
from appliance.render.bundle import Bundle, File
from appliance.render.render import render, view_of
from appliance.resources import folder
from appliance.spec.load import load
from appliance.spec.model import Spec
from appliance.topology import Topology, View, resolve

KEYS = KeyView(ring_id="test", tokens={"probe": "testprobe0000000", "double-bounce": "testbounce000000"})
HEAD = """version: 1
name: t-role
hostname: mail.example.org
addresses: [203.0.113.5]
postmaster: alice@example.org
domains: {example.org: {}, bücher.example: {}}
"""


@dataclass(frozen=True)
class Given:
    """A reader of files that stand nowhere."""

    folders: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)

    def file(self, path: str) -> bytes:
        raise FileNotFoundError(path)

    def folder(self, path: str) -> Mapping[str, bytes]:
        if path not in self.folders:
            raise FileNotFoundError(path)
        return self.folders[path]


@cache
def catalog() -> Mapping[str, Role]:
    return load_catalog([folder("roles")])


def spec(rest: str, folders: Mapping[str, Mapping[str, bytes]] | None = None) -> Spec:
    """HEAD and more lines; without mailboxes alice is the only one."""
    alice = "" if "mailboxes:" in rest else 'mailboxes: {alice@example.org: {password: "{SSHA512}' + "x" * 96 + '"}}\n'
    return load(HEAD + alice + rest, "mail.yml", catalog(), Given(folders or {})).spec


def topology(rest: str, folders: Mapping[str, Mapping[str, bytes]] | None = None) -> Topology:
    return resolve(spec(rest, folders), catalog())


def view(service: str, rest: str, folders: Mapping[str, Mapping[str, bytes]] | None = None) -> View:
    """What the templates of a service see."""
    joined = topology(rest, folders)
    node = joined.node(service)
    assert node is not None, f"{service} does not run"
    return view_of(node, joined, people(joined.spec, KEYS), KEYS, tuple(n.name for n in joined.nodes), (4,))


def bundle(rest: str, folders: Mapping[str, Mapping[str, bytes]] | None = None, families: tuple[int, ...] = (4,)) -> Bundle:
    joined = topology(rest, folders)
    return render(joined, KEYS, {n.service.image: f"test/{n.service.image}" for n in joined.nodes}, families)


def text(made: Bundle, service: str, path: str) -> str:
    """One rendered file."""
    file = made.service(service).file(path)
    assert isinstance(file, File), f"{service} has no {path}"
    return file.data.decode()


def values(configuration: str) -> Mapping[str, str]:
    """``name value`` and ``name = value`` lines, blocks and remarks left out; of equal names the first."""
    found: dict[str, str] = {}
    for line in configuration.splitlines():
        if line.strip() and not line.lstrip().startswith("#") and not line[:1].isspace():
            name, _, value = line.replace("=", " ", 1).strip().partition(" ")
            found.setdefault(name, value.strip())
    return found
