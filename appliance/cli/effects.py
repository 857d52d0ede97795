"""What changing a field does, found out by doing it: the example is rendered twice, once with the field changed, and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from appliance.catalog.role import Role
from appliance.dns.wanted import wanted
from appliance.errors import ApplianceError
from appliance.keys.needs import needs
from appliance.keys.view import KeyView
from appliance.render.bundle import ON_CHANGE_ORDER, Bundle, ServiceBundle, digest_of
from appliance.render.render import render
from appliance.spec import example
from appliance.spec.fields import FieldDoc, Shape
from appliance.spec.hosted import Alias, DomainSpec, Mailbox
from appliance.spec.load import load
from appliance.spec.model import Folder, RelayHost, RoleSettings, Route, Spec
from appliance.topology import resolve

#: what applies a file of each on_change, mildest first
_WORDS = {"none": "read again by itself", "map": "a table, seen at once", "reload": "reload", "restart": "restart"}


@dataclass
class Effect:
    """``files``: service → path → on_change. ``anew``: services that need a new container, with what of it differs."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    anew: dict[str, set[str]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    stopped: set[str] = field(default_factory=set)
    records: set[str] = field(default_factory=set)
    network: bool = False
    instance: bool = False  # another instance: nothing of the old one is touched
    refused: str = ""  # why no changed value could be rendered

    def lines(self) -> Iterator[str]:
        """Service by service what it reaches and how it is applied."""
        if self.instance:
            yield "every container, network and volume: they are another instance's, new and empty"
            return
        for service in sorted({*self.files, *self.anew} - self.started - self.stopped):
            paths = ", ".join(sorted(self.files.get(service, {})))
            if service in self.anew:
                yield f"{service}: a new container ({', '.join(sorted(self.anew[service]))}){f'; {paths}' if paths else ''}"
            else:
                yield f"{service}: {paths} → {_WORDS[self.action(service)]}"
        for words, services in (("starts", self.started), ("stops", self.stopped)):
            yield from (f"{service}: {words}" for service in sorted(services))
        if self.network:
            yield "the instance's network is made anew"
        if self.records:
            yield f"DNS: {', '.join(sorted(self.records))}"
        if self.refused:
            yield self.refused

    def action(self, service: str) -> str:
        """The strongest on_change among the service's files."""
        return max(self.files.get(service, {"": "none"}).values(), key=ON_CHANGE_ORDER.index)

    def summary(self) -> str:
        """One sentence."""
        if self.instance:
            return "is not a change but another instance; the old one goes on running"
        if self.refused:
            return "cannot be changed in the example"
        if self.anew or self.network or self.started or self.stopped:
            return "containers are made anew, started or stopped: what they serve is interrupted for a moment"
        strongest = {self.action(service) for service in self.files}
        for word, sentence in (
            ("restart", "restarts a service: what it serves is interrupted for a moment"),
            ("reload", "reloads; nothing is restarted"),
        ):
            if word in strongest:
                return sentence
        if strongest:
            return "takes effect at once; nothing is reloaded or restarted"
        return "changes records of DNS only" if self.records else "changes nothing that runs"


def effect(doc: FieldDoc, catalog: Mapping[str, Role]) -> Effect:
    """Changes the field in every way that its type offers, and gathers what differs."""
    found = Effect()
    before = _ground(doc.path, catalog)
    base, ways = _rendered(before, catalog), 0
    for after in changed(before, doc):
        try:
            _compare(base, _rendered(after, catalog), found)
            ways += 1
        except ApplianceError as why:
            found.refused = why.message
    if ways:
        found.refused = ""
    return found


def _rendered(spec: Spec, catalog: Mapping[str, Role]) -> tuple[Bundle, set[str]]:
    keys = _keys(spec)
    images = {service.image: service.image for role in catalog.values() for service in role.services}
    bundle = render(resolve(spec, catalog), keys, images, (4, 6))
    records = {f"{r.name} {r.type} {r.value}" for r in wanted(spec, keys, (4, 6))} if spec.addresses else set()
    return bundle, records


def _keys(spec: Spec) -> KeyView:
    """A ring that does not exist, whose entries change exactly when what they are made for changes."""
    marks = {
        need.ref: digest_of(asdict(replace(need, path="")) if need.kind != "given" else asdict(need)) for need in needs(spec)
    }
    return KeyView("example", marks, {ref: f"{mark}=" for ref, mark in marks.items()}, {})


def _compare(before: tuple[Bundle, set[str]], after: tuple[Bundle, set[str]], found: Effect) -> None:
    old, new = ({s.name: s for s in b.services} for b in (before[0], after[0]))
    found.instance |= before[0].instance != after[0].instance
    found.started |= set(new) - set(old)
    found.stopped |= set(old) - set(new)
    for name in set(old) & set(new):
        _compare_service(old[name], new[name], found)
    found.network |= before[0].network != after[0].network
    found.records |= {" ".join(line.split(" ", 2)[:2]) for line in before[1] ^ after[1]}


def _compare_service(old: ServiceBundle, new: ServiceBundle, found: Effect) -> None:
    a, b = ({f.path: (f.digest, f.mode, f.owner, f.on_change) for f in s.files} for s in (old, new))
    for path in set(a) | set(b):
        if a.get(path) != b.get(path):
            mark = b.get(path) or a[path]
            found.files.setdefault(old.name, {})[path] = mark[3]
    if old.frozen != new.frozen:
        one, two = asdict(old.runtime), asdict(new.runtime)
        found.anew.setdefault(old.name, set()).update(key for key in one if one[key] != two[key])


# -- the changed spec ----------------------------------------------------------------------------------------------------------
def _ground(path: str, catalog: Mapping[str, Role]) -> Spec:
    """The example, with what it leaves out where the field needs it."""
    spec = load(example.text(), "mail.yml", catalog, example.Reader()).spec
    more: dict[str, Any] = {}
    parts = path.split(".")
    if parts[0] == "roles" and len(parts) > 2:  # an option says something only while its role runs
        more["roles"] = {**spec.roles, parts[1]: RoleSettings(True, spec.roles[parts[1]].options)}
    if path.startswith("routes."):
        more["routes"] = {"partner.example": Route(host="mx.partner.example")}
    if path.startswith("relay_host."):
        more["relay_host"] = RelayHost(host="smtp.relay.example", credentials="relay-credentials")
    if path in ("tls.certificate", "tls.key"):
        more["tls"] = spec.tls.model_copy(update={"mode": "files", "certificate": "cert.pem", "key": "key.pem"})
    elif path in ("tls.email", "tls.directory", "tls.challenge"):
        more["tls"] = spec.tls.model_copy(update={"mode": "acme"})
    return spec.model_copy(update=more)


def changed(spec: Spec, doc: FieldDoc) -> Iterator[Spec]:
    """The spec with the field changed, once for each way."""
    steps = doc.path.split(".")
    if steps[0] == "roles" and len(steps) > 1:
        settings = spec.roles[steps[1]]
        if doc.option is None:
            ways = [RoleSettings(not settings.enabled, settings.options)]
        else:
            name = doc.option.name
            values = _others(doc, doc.shape, settings.options[name], spec)
            ways = [RoleSettings(True, {**settings.options, name: value}) for value in values]
        for way in ways:
            yield spec.model_copy(update={"roles": {**spec.roles, steps[1]: way}})
        return
    current = _get(spec, steps)
    for value in _others(doc, doc.shape, current, spec):
        if value != current:
            yield _put(spec, steps, value)


def _get(holder: Any, steps: list[str]) -> Any:
    for step in steps:
        holder = next(iter(holder.values())) if step == "*" else getattr(holder, step)
    return holder


def _put(holder: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    if steps[0] == "*":
        key = next(iter(holder))
        return {**holder, key: _put(holder[key], steps[1:], value)}
    return holder.model_copy(update={steps[0]: _put(getattr(holder, steps[0]), steps[1:], value)})


_HASH = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
_ENTRIES: Mapping[str, Any] = {
    "domains": {"example.net": DomainSpec()},
    "mailboxes": {"carol@example.org": Mailbox(password=_HASH, quota=2**30)},
    "aliases": {"team@example.org": Alias(to=("bob@example.org",))},
    "routes": {"partner.example": Route(host="mx.partner.example")},
}
_TEXTS: Mapping[str, tuple[Any, ...]] = {
    "name": ("other",),
    "domain": ("mx.example.net",),
    "address": ("bob@example.org",),
    "password": (_HASH,),
    "ip": ("203.0.113.8",),
    "subnet": ("198.18.7.0/24",),
    "subnet6": ("fd00:7::/64",),
    "selector": ("s2",),
    "path": ("other.pem",),
    "url": ("https://acme.example.net/directory",),
    "host": ("other.example.net",),
    "string": ("other.example.net", "203.0.113.8"),
}


def _others(doc: FieldDoc, shape: Shape, current: Any, spec: Spec) -> list[Any]:
    """Other values of a field's type."""
    kind = shape.kind.name if shape.kind else ""
    if doc.option is not None and doc.option.or_folder:
        return [*shape.choices, Folder("other", {"other.ndb": b"other"})]
    if shape.choices:
        return [c for c in shape.choices if c != current]
    if shape.values is not None:
        return [{**current, **_ENTRIES[doc.path]}]
    if shape.model is not None:
        return [_section(doc, current)] if current is None else []
    if shape.item is not None:
        held = tuple(current or ())
        more = tuple(v for v in _others(doc, shape.item, None, spec) if v not in held)
        return [way for value in more for way in ((*held, value), (value,))] or [held[:1]]
    if kind in ("size", "duration", "integer", "port"):
        return _numbers(doc, kind, current)
    if kind == "boolean":
        return [not current]
    nothing = [None] if shape.nullable and current is not None else []
    return [v for v in _TEXTS[kind or "string"] if v != current] + nothing


def _section(doc: FieldDoc, current: Any) -> Any:
    return RelayHost(host="smtp.relay.example", credentials="relay-credentials") if doc.path == "relay_host" else current


def _numbers(doc: FieldDoc, kind: str, current: int | None) -> list[Any]:
    if kind == "port":
        return [(current or 2000) + 1, *([None] if doc.shape.nullable else [])]
    if current is None or kind != "integer":
        return [(current or 0) + {"size": 10 * 2**20, "duration": 86400}.get(kind, 1)]
    most = doc.option.maximum if doc.option and doc.option.maximum is not None else current + 1
    return [current + 1 if current < most else current - 1]
