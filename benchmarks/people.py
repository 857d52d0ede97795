"""Specs with very many mailboxes, from CSV."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.spec.model import Ports
from tests.instances import free_ports
from tests.integration.running import hashed

PASSWORD = "secret of all"
HEAD = "address,password,quota\n"

SPEC = """\
version: 1
name: {name}
hostname: mail.example.org
addresses: [203.0.113.7]
postmaster: {first}
listen: {{address: 127.0.0.1, ports: {ports}}}
network: {{subnet: {subnet}}}
domains: {{example.org: {{}}}}
mailboxes: {{include: mailboxes.csv}}
roles: {{clamav: off}}
"""


def address(number: int) -> str:
    """The address of a mailbox by its number."""
    return f"user{number:06d}@example.org"


def row(number: int, password: str = PASSWORD) -> str:
    """Its line in the CSV."""
    return f"{address(number)},{hashed(password)},1 GiB\n"


def write(folder: Path, count: int, name: str = "t-bench", subnet: str = "198.19.255.0/24") -> Path:
    """A spec of so many mailboxes and its CSV; returns the spec's path."""
    ports = dict(zip(Ports.model_fields, free_ports(len(Ports.model_fields)), strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    one = hashed(PASSWORD)
    rows(folder, [f"{address(i)},{one},1 GiB\n" for i in range(count)])
    spec = folder / "mail.yml"
    spec.write_text(SPEC.format(name=name, first=address(0), ports=json.dumps(ports), subnet=subnet))
    return spec


def rows(folder: Path, lines: list[str]) -> None:
    """Writes the CSV."""
    (folder / "mailboxes.csv").write_text(HEAD + "".join(lines))
