"""What runs now as a Bundle again, with only the ring's certificates of today: what unattended work may put in place. Pure.

What the user changed in the spec since the last `up`, and what an apply left unfinished, is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from appliance.observed import FileMark, Manifest, Observed, ObservedService
from appliance.plan.build import plan
from appliance.plan.model import Change, Plan
from appliance.render.bundle import AnyFile, Bundle, File, NetworkBundle, OnChange, SecretFile, ServiceBundle, VolumeBundle

#: actions that interrupt nothing
MILD = ("reload", "update")

Files = Callable[[str, str], Mapping[str, bytes]]  # (service, live digest) → the generation's files by path


@dataclass(frozen=True)
class Certificates:
    """The ring of today: ``fingerprints`` of all that is in it, and the ``refs`` of those certificates that may change."""

    ring_id: str | None
    fingerprints: Mapping[str, str]
    refs: Collection[str]

    def stale(self, seen: ObservedService) -> bool:
        """Whether a service lacks one of them: it is not on the host, or there and not loaded (a renewal that was cut off)."""
        if seen.manifest is None:
            return False
        marks = [m for m in seen.manifest.files.values() if m.ref in self.refs and m.ref in self.fingerprints]
        return any(m.digest != self.fingerprints[m.ref] for m in marks) or (bool(marks) and self.cut_off(seen))

    def cut_off(self, seen: ObservedService) -> bool:
        """Whether what is there and what is loaded differ, and in certificates alone."""
        if seen.loaded == seen.current or seen.manifest is None or seen.loaded_manifest is None:
            return False
        return self._others(seen.manifest) == self._others(seen.loaded_manifest)

    def obstacle(self, seen: ObservedService) -> str:
        """Why a service must wait for `up`, "" when it need not."""
        if seen.loaded != seen.current and not self.cut_off(seen):
            return "an apply was cut off"
        if seen.state != "running":
            return f"it is {seen.state}"
        marks = seen.manifest.files.values() if seen.manifest else ()
        for mark in sorted((m for m in marks if m.ref), key=lambda m: m.ref):
            here = self.fingerprints.get(mark.ref)
            if here is None:
                return f"the ring has no {mark.ref}"
            if mark.ref not in self.refs and mark.digest != here:
                return f"the ring's {mark.ref} is another than it runs with"
        return ""

    def of_today(self, service: ServiceBundle) -> ServiceBundle:
        """The service with them."""
        return replace(service, files=tuple(self._file(f) for f in service.files))

    def _file(self, file: AnyFile) -> AnyFile:
        ours = isinstance(file, SecretFile) and file.ref in self.refs
        return replace(file, fingerprint=self.fingerprints[file.ref]) if ours and isinstance(file, SecretFile) else file

    def _others(self, manifest: Manifest) -> Mapping[str, FileMark]:
        return {path: replace(m, digest="") if m.ref in self.refs else m for path, m in manifest.files.items()}


@dataclass(frozen=True)
class Renewal:
    """``plan``: only reloads, of services that lack a certificate. ``left``: service → why it cannot have it without `up`."""

    plan: Plan
    left: Mapping[str, str] = field(default_factory=dict)

    @property
    def services(self) -> tuple[str, ...]:
        """The services that change."""
        return tuple(c.service for c in self.plan.changes if c.action != "keep")


def renewal(observed: Observed, files: Files, certificates: Certificates, today: Bundle | None) -> Renewal:
    """Puts the certificates of today into what runs.

    ``today``: the spec's bundle, for how a service checks its files; None when the spec cannot be rendered now.
    """
    wanted = {name: seen for name, seen in observed.services.items() if certificates.stale(seen)}
    left = {name: why for name, seen in wanted.items() if (why := certificates.obstacle(seen))}
    if observed.previous:
        left = dict.fromkeys(wanted, "an apply was cut off")
    present = {s.name: s for s in _present(observed, files, today)}
    for name in wanted.keys() - present.keys() - left.keys():
        left[name] = "its configuration on the host is not what its manifest says"
    services = [certificates.of_today(s) if n in wanted and n not in left else s for n, s in present.items()]
    # ports are those of services that run; who else holds others is no concern here
    order = plan(_bundle(observed, certificates.ring_id, services), replace(observed, ports=()))
    for change in order.changes:
        if change.service in wanted and change.action not in (*MILD, "keep"):
            left.setdefault(change.service, f"it would have to {change.action}: {', '.join(change.why[:2])}")
    changes = [
        c if c.service in wanted and c.service not in left else Change(c.service, "keep", bundle=present[c.service])
        for c in order.changes
        if c.service in present
    ]
    bundle = replace(order.bundle, services=tuple(c.bundle for c in changes if c.bundle is not None))
    return Renewal(replace(order, bundle=bundle, changes=tuple(changes), resources=(), settle=(), warnings=()), left)


def _present(observed: Observed, files: Files, today: Bundle | None) -> Iterator[ServiceBundle]:
    """The services as they are, in start order. One whose generation cannot be made out again is left out."""
    known = {s.name: s for s in today.services} if today else {}
    for name in sorted(observed.services, key=lambda n: list(known).index(n) if n in known else -1):
        seen = observed.services[name]
        if seen.manifest and seen.current:
            service = _service(seen.manifest, files(name, seen.current), known.get(name))
            if service.live == seen.current:
                yield service


def _service(manifest: Manifest, data: Mapping[str, bytes], today: ServiceBundle | None) -> ServiceBundle:
    files = tuple(_file(path, manifest.files[path], data.get(path, b"")) for path in sorted(manifest.files))
    base = today or ServiceBundle(manifest.service, "", manifest.runtime, ())
    return replace(base, runtime=manifest.runtime, files=files, reload=manifest.reload)


def _file(path: str, mark: FileMark, data: bytes) -> AnyFile:
    on_change: OnChange = mark.on_change  # type: ignore[assignment]
    if mark.ref:
        people, secret, build = mark.people, mark.secret, mark.build
        return SecretFile(path, mark.ref, mark.digest, mark.mode, mark.owner, on_change, "the key ring", people, secret, build)
    return File(path, data, mark.mode, mark.owner, on_change, "what runs", mark.secret, mark.people, mark.build)


def _bundle(observed: Observed, ring_id: str | None, services: list[ServiceBundle]) -> Bundle:
    """Network and volumes as they are: none is made or removed."""
    network = observed.network or NetworkBundle(observed.instance, "", "", "")
    volumes = tuple(VolumeBundle(name, state=True) for name in sorted(observed.volumes))
    return Bundle(observed.instance, network, volumes, tuple(services), ring_id)
