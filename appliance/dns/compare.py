"""Compares what is wanted with what is published, by meaning: as sets, tags and addresses. TTLs are the user's own matter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from appliance.dns import spf
from appliance.dns.records import Answer, Lookup, Record
from appliance.spec.model import Spec

Status = Literal["ok", "missing", "different", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One comparison. ``note`` says what is different, ``remedy`` what to do. ``required``: mail suffers until it is done."""

    name: str
    type: str
    purpose: str
    status: Status
    wanted: tuple[str, ...]
    live: tuple[str, ...]
    note: str = ""
    remedy: str = ""
    required: bool = True

    @property
    def fails(self) -> bool:
        """Whether a requirement is not met, or cannot be seen to be."""
        return self.required and self.status != "ok"


@dataclass(frozen=True)
class World:
    """What a judge may look at beside the answer. ``addresses``: those that are published, the instance sends from them."""

    hostname: str
    addresses: tuple[str, ...]
    lookup: Lookup


Verdict = tuple[Status, str, bool]  # status, note, required
_OK: Verdict = ("ok", "", True)


def compare(records: Iterable[Record], spec: Spec, lookup: Lookup) -> tuple[Finding, ...]:
    """One finding per name and purpose, in the order of the records."""
    records = tuple(records)
    addresses = tuple(r.value for r in records if r.purpose == "host") or spec.addresses
    world = World(spec.hostname, addresses, lookup)
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.name, record.type, record.purpose), []).append(record)
    for kind in ("A", "AAAA"):  # a family that is not served must not be published
        if any(purpose == "host" for _, _, purpose in groups):
            groups.setdefault((spec.hostname, kind, "host"), [])
    found = (_finding(*key, wanted, world) for key, wanted in groups.items())
    return tuple(f for f in found if f.wanted or f.status != "ok")


def questions(records: Iterable[Record], spec: Spec) -> Iterator[tuple[str, str]]:
    """What ``compare`` will ask for certain: these can be looked up at once."""
    yield from ((r.name, r.type) for r in records)
    yield from ((spec.hostname, kind) for kind in ("A", "AAAA"))


def _finding(name: str, kind: str, purpose: str, wanted: list[Record], world: World) -> Finding:
    answer = world.lookup(name, kind)
    values = tuple(r.value for r in wanted)
    if answer.failed:
        remedy = "ask again later, or another resolver (--resolver)"
        return Finding(name, kind, purpose, "unknown", values, (), answer.failed, remedy)
    status, note, required = _JUDGES[purpose](name, values, answer, world)
    remedy = "" if status == "ok" else _remedy(status, kind, wanted)
    return Finding(name, kind, purpose, status, values, answer.values, note, remedy, required)


def _remedy(status: Status, kind: str, wanted: list[Record]) -> str:
    if not wanted:
        return f"remove the {kind} record, or serve that family (`appliance plan` says what keeps it off)"
    lines = "; ".join(str(r) for r in wanted)
    if wanted[0].provider:
        return f"ask whoever gave you the address for {lines}"
    return f"{'publish' if status == 'missing' else 'publish instead'} {lines}"


# -- the judges: one per purpose ---------------------------------------------------------------------------------------------
def _host(_name: str, wanted: tuple[str, ...], answer: Answer, _world: World) -> Verdict:
    live, ours = {str(ip_address(v)) for v in answer.values}, set(wanted)
    if live == ours:
        return _OK
    if not live:
        return "missing", "", True
    lacks, more = sorted(ours - live), sorted(live - ours)
    words = [f"lacks {', '.join(lacks)}"] if lacks else []
    words += [f"leads to {', '.join(more)} too, where this instance does not answer"] if more else []
    return "different", " and ".join(words), True


def _mx(_name: str, _wanted: tuple[str, ...], answer: Answer, world: World) -> Verdict:
    live = sorted((int(v.split()[0]), v.split()[1]) for v in answer.values)
    if not live:
        return "missing", "", True
    hosts = [host for _, host in live]
    if world.hostname not in hosts:
        none = "the domain says that it takes no mail (RFC 7505)"
        return "different", none if hosts == ["."] else "other hosts get the mail", True
    others = [host for host in hosts if host != world.hostname]
    if live[0][1] != world.hostname or (others and live[1][0] == live[0][0]):
        return "different", f"{', '.join(others)} is asked first, or as often", True
    return "ok", f"{', '.join(others)} gets mail while this host is away" if others else "", True


def _spf(name: str, wanted: tuple[str, ...], answer: Answer, world: World) -> Verdict:
    found = spf.records(answer.values)
    if not found:
        return "missing", "", True
    if len(found) > 1:
        return "different", "two SPF records are an error for every receiver (RFC 7208, 4.5): join them", True
    if spf.terms(found[0]) == spf.terms(wanted[0]):
        return _OK
    lacks = sorted(t for t in spf.terms(wanted[0]) - spf.terms(found[0]) if t.startswith("include:"))
    if lacks:
        return "different", f"it does not say {', '.join(lacks)}", True
    results = {address: spf.judge(found[0], address, name, world.lookup) for address in world.addresses}
    bad = [f"{address} gets {result}" for address, result in results.items() if result != "pass"]
    if bad:
        return "different", ", ".join(bad), True
    return "ok", "in other words than ours, and our addresses pass", True


def tags(text: str) -> Mapping[str, str]:
    """A tag list (RFC 6376, 3.2) as a mapping; white space inside values is kept, around them not."""
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _dkim(_name: str, wanted: tuple[str, ...], answer: Answer, _world: World) -> Verdict:
    if not answer.values:
        return "missing", "", True
    if len(answer.values) > 1:
        return "different", "several keys at one name: which one a receiver takes is open (RFC 6376, 3.6.2.2)", True
    live, ours = tags(answer.values[0]), tags(wanted[0])
    if live.get("v", "DKIM1") != "DKIM1" or live.get("k", "rsa").lower() != ours["k"]:
        return "different", f"it is not a key of the kind {ours['k']}", True
    if not live.get("p"):
        return "different", "an empty p= revokes the key (RFC 6376, 3.6.1)", True
    if "".join(live["p"].split()) != ours["p"]:
        return "different", "another public key: signatures made here fail", True
    if "h" in live and "sha256" not in [h.strip() for h in live["h"].lower().split(":")]:
        return "different", "h= does not allow sha256, with which mail is signed", True
    testing = "y" in [flag.strip() for flag in live.get("t", "").lower().split(":")]
    return "ok", "t=y says that the domain is only testing" if testing else "", True


def _dmarc(_name: str, wanted: tuple[str, ...], answer: Answer, _world: World) -> Verdict:
    found = [v for v in answer.values if tags(v).get("v") == "DMARC1"]
    if not found:
        return "missing", "", True
    if len(found) > 1:
        return "different", "two DMARC records count as none (RFC 7489, 6.6.3)", True
    live, ours = tags(found[0]), tags(wanted[0])
    if live.get("p", "").lower() not in ("none", "quarantine", "reject"):
        return "different", "it has no policy p=none, quarantine or reject", True
    if live["p"].lower() != ours["p"]:
        return "different", f"its policy is {live['p'].lower()}, the spec's is {ours['p']}", False
    return "ok", "" if live == ours else "with other settings beside the policy", True


def _ptr(name: str, _wanted: tuple[str, ...], answer: Answer, world: World) -> Verdict:
    """Forward-confirmed: the address's name is ours, and ours leads back to the address."""
    if not answer.values:
        return "missing", "", True
    if world.hostname not in answer.values:
        return "different", f"the address is called {', '.join(answer.values)}", True
    address = next(a for a in world.addresses if ip_address(a).reverse_pointer == name)
    back = world.lookup(world.hostname, "A" if ip_address(address).version == 4 else "AAAA")
    if address not in {str(ip_address(v)) for v in back.values}:
        return "different", f"{world.hostname} does not lead back to {address}", True
    return _OK


_JUDGES: Mapping[str, Callable[[str, tuple[str, ...], Answer, World], Verdict]] = {
    "host": _host,
    "mx": _mx,
    "spf": _spf,
    "dkim": _dkim,
    "dmarc": _dmarc,
    "ptr": _ptr,
}
