"""A first spec for somebody's own domain, made of the example: its comments stay, its values become theirs. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.spec import example
from appliance.spec.hops import PRIVATE, instance_name
from appliance.spec.names import Fault, u_label

#: below this the signatures of ClamAV (1.2 GB) do not fit beside the rest
SCANNER_MEMORY = 2 * 10**9
_HEAD = """\
# yaml-language-server: $schema=./{schema}
#
# The mail system of {domain}. Every field is explained by `appliance explain FIELD`; `appliance validate` checks this file,
# `appliance plan` says what would happen, `appliance up` does it.

"""


@dataclass(frozen=True)
class Answers:
    """What is known of the machine and its owner. ``memory``: bytes of the machine, 0 where it is not known.

    ``server``: the host of the engine where that is another machine than this one, whose addresses then say nothing.
    """

    domain: str  # A-labels
    mailbox: str
    password_hash: str
    addresses: tuple[str, ...] = ()
    memory: int = 0
    server: str = ""


def draft(answers: Answers) -> str:
    """The text of the spec; it is valid as it stands."""
    blocks = dict(_blocks(example.text()))
    shown = u_label(answers.domain)
    own = {
        "name": f"name: {_name(answers.domain)}\n",
        "hostname": f"hostname: mail.{shown}\n",
        "addresses": _addresses(answers.addresses, answers.server),
        "postmaster": f"postmaster: {answers.mailbox}\n",
        "listen": "# listen:\n#   address: 203.0.113.7\n#   ports: {pop3: null, pop3s: null}\n",
        "domains": blocks["domains"][1].replace("example.org:", f"{shown}:"),
        "mailboxes": f'mailboxes:\n  {answers.mailbox}:\n    password: "{answers.password_hash}"\n    quota: 2 GiB\n',
        "aliases": f"# aliases:\n#   sales@{shown}: [{answers.mailbox}]\n",
        "roles": _roles(answers.memory, answers.server or "This machine"),
    }
    notes = {
        "addresses": "# What the world sees, behind NAT too. It goes into A, AAAA, SPF and PTR.\n",
        "mailboxes": "".join(line for line in blocks["mailboxes"][0].splitlines(keepends=True)),
    }
    text = _HEAD.format(schema=example.SCHEMA_FILE, domain=shown)
    for name, (comment, body) in blocks.items():
        text += notes.get(name, comment) + own.get(name, body) + "\n"
    return text.rstrip("\n") + "\n"


def _blocks(text: str) -> Iterable[tuple[str, tuple[str, str]]]:
    """(field, (comment above it, its own lines)) of the example in order; a field may be commented out."""
    paragraphs = [p + "\n" for p in re.split(r"\n\n+", text.rstrip("\n"))][1:]
    for paragraph in paragraphs:
        lines = paragraph.splitlines(keepends=True)
        first = next((i for i, line in enumerate(lines) if re.match(r"[a-z_]+:|# [a-z_]+:( [{]|$)", line)), 0)
        name = lines[first].lstrip("# ").partition(":")[0]
        yield name, ("".join(lines[:first]), "".join(lines[first:]))


def _name(domain: str) -> str:
    """The domain's first label as the instance's name."""
    try:
        return instance_name(domain.partition(".")[0])
    except Fault:
        return "mail"


def _addresses(found: tuple[str, ...], server: str) -> str:
    if server:
        return (
            f"# The engine is on {server}, and its public addresses cannot be seen from the machine that wrote this:\n"
            f"# write them here, e.g. [203.0.113.7]. `ip -br address` on {server} shows them, unless it is behind NAT.\n"
            "addresses: []\n"
        )
    public = [a for a in found if not _private(a)]
    if public:
        return f"addresses: [{', '.join(_quoted(a) for a in public)}]\n"
    if found:
        return (
            f"# This machine has only private addresses ({', '.join(found)}):\n"
            "# write the one that the world sees, e.g. [203.0.113.7].\n"
            "addresses: []\n"
        )
    return "# This machine has no way to the internet: write the address that it will have, e.g. [203.0.113.7].\naddresses: []\n"


def _private(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return not found.is_global or any(found.version == net.version and found in net for net in PRIVATE)


def _quoted(address: str) -> str:
    return f'"{address}"' if ":" in address else address


def _roles(memory: int, machine: str) -> str:
    if memory and memory < SCANNER_MEMORY:
        return (
            "roles:\n"
            f"  # {machine} has {memory / 10**9:.1f} GB of memory, and ClamAV's signatures take more than 1 GiB:\n"
            "  # mail is not scanned. With 2 GB or more, remove this line.\n"
            "  clamav: off\n"
        )
    return (
        "# roles:\n"
        "#   clamav: off                           # saves more than 1 GiB of memory; mail is not scanned then\n"
        "#   policy: {recipients_per_hour: 200}    # a stolen password must not burn the address\n"
    )
