"""Builds the plan: for each service the mildest action that is right, the resources, the dangers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from appliance.observed import FileMark, Manifest, Observed, ObservedService, basis_of
from appliance.plan.dangers import refusals, warnings
from appliance.plan.model import Action, Change, FileChange, Plan, Resource
from appliance.plan.rings import label_change
from appliance.plan.words import package_changes, packages_said, runtime_change
from appliance.render.bundle import ON_CHANGE_ORDER, Bundle, Runtime, SecretFile, ServiceBundle


@dataclass(frozen=True)
class Wishes:
    """What the user allowed or asked for beside the spec.

    ``allow_remove``: names of volumes (without the instance's prefix) that may go. ``adopt``: take over an instance of another
    ring. ``missing_keys``: refs that `up` would make. ``removes_people``: nobody is added and somebody goes, so that the edge
    learns it before the store.
    """

    allow_remove: frozenset[str] = frozenset()
    adopt: bool = False
    missing_keys: tuple[str, ...] = ()
    removes_people: bool = False
    notes: tuple[str, ...] = ()


def plan(bundle: Bundle, observed: Observed, wishes: Wishes | None = None) -> Plan:
    """Desired and observed state → Plan. An empty plan means that both agree in everything that can be seen."""
    wishes = wishes or Wishes()
    changes = [_change(bundle, s, observed.services.get(s.name), observed.packages) for s in bundle.services]
    if wishes.removes_people and all(c.action in ("keep", "update") for c in changes):
        changes.reverse()
    wanted = {s.name for s in bundle.services}
    gone = [_removal(s) for name, s in sorted(observed.services.items(), reverse=True) if name not in wanted]
    return Plan(
        instance=bundle.instance,
        bundle=bundle,
        changes=(*gone, *changes),
        resources=tuple(_resources(bundle, observed, wishes)),
        settle=observed.previous,
        warnings=(*wishes.notes, *warnings(bundle, observed, allow_remove=wishes.allow_remove, adopt=wishes.adopt)),
        refusals=tuple(refusals(bundle, observed, adopt=wishes.adopt, missing_keys=wishes.missing_keys)),
        adopt=wishes.adopt,
        basis=basis_of(observed.services),
    )


def _removal(seen: ObservedService) -> Change:
    ports = tuple(sorted({p.name or str(p.host_port) for p in seen.runtime.ports}))
    return Change(seen.name, "remove", ("its role is off, or gone from the spec",), interrupts=ports)


def _change(bundle: Bundle, wanted: ServiceBundle, seen: ObservedService | None, labels: Mapping[str, str]) -> Change:
    if seen is None:
        files = tuple(FileChange(f.path, "added", f.on_change, f.secret, f.source) for f in wanted.files)
        return Change(wanted.name, "create", ("it does not exist yet",), files, bundle=wanted, parsed=True)
    # equal digests are equal files: the manifest was not even read
    files = () if seen.current == wanted.live else tuple(_file_changes(wanted, seen.manifest))
    action, why = _action(wanted, seen, files, label_change(bundle, seen.ring_id))
    packages: tuple[str, ...] = ()
    if seen.runtime.image != wanted.runtime.image and seen.image_packages:
        old, new = seen.image_packages, labels.get(wanted.runtime.image, "")
        why = (*why, packages_said(old, new))
        packages = package_changes(old, new) if new else ()
    return Change(
        service=wanted.name,
        action=action,
        why=why,
        files=files,
        interrupts=_interrupts(wanted, action),
        bundle=wanted,
        packages=packages,
        parsed=_parsed(files) or seen.runtime.image != wanted.runtime.image,
    )


def _parsed(files: tuple[FileChange, ...]) -> bool:
    return any(f.on_change in ("reload", "restart") for f in files)


def _action(
    wanted: ServiceBundle, seen: ObservedService, files: tuple[FileChange, ...], label: str
) -> tuple[Action, tuple[str, ...]]:
    differences = (*([label] if label else ()), *_runtime_differences(seen.runtime, wanted.runtime))
    if differences:
        return "replace", differences
    if seen.current is None:
        return "replace", ("it was made, and never got its configuration",)
    strongest, why = _strongest(wanted, seen, files)
    if seen.state == "paused":
        return "restart", ("it is paused", *why)
    if seen.state != "running":
        return "start", (f"it is {seen.state}", *why)
    if seen.health == "unhealthy":
        return "restart", ("it is unhealthy", *why)
    actions: Mapping[str, Action] = {"none": "update", "map": "update", "reload": "reload", "restart": "restart"}
    return (actions[strongest], why) if strongest else ("keep", ())


def _strongest(wanted: ServiceBundle, seen: ObservedService, files: tuple[FileChange, ...]) -> tuple[str, tuple[str, ...]]:
    """The strongest on_change asked for, "" for none, and why."""
    asked = [f.on_change for f in files]
    why = [f"{f.path} {f.kind}" for f in files]
    if seen.current != wanted.live and not files:
        asked.append("reload" if wanted.reload else "restart")
        why.append("the configuration on the host is not the wanted one")
    if seen.loaded != seen.current:
        # an apply ended between the switch of the link and the reload: the daemon still runs on the older files
        why.append("the running daemon has not loaded its present configuration")
        older = seen.loaded_manifest
        asked += [f.on_change for f in _file_changes(wanted, older)] if older else ["restart"]
        asked.append("reload" if wanted.reload else "restart")
    if not asked:
        return "", ()
    strongest = max(asked, key=ON_CHANGE_ORDER.index)
    if strongest == "reload" and not wanted.reload:
        strongest = "restart"
    return strongest, tuple(why)


def _file_changes(wanted: ServiceBundle, manifest: Manifest | None) -> Iterator[FileChange]:
    before = manifest.files if manifest else {}
    for file in wanted.files:
        mark = before.get(file.path)
        if mark is None:
            yield FileChange(file.path, "added", file.on_change, file.secret, file.source)
            continue
        ref = file.ref if isinstance(file, SecretFile) else ""
        now = FileMark(file.digest, file.mode, file.owner, file.on_change, file.secret, file.people, ref, file.build)
        if (mark.digest, mark.mode, mark.owner, mark.on_change, mark.build) != (
            now.digest,
            now.mode,
            now.owner,
            now.on_change,
            now.build,
        ):
            stronger = max((mark.on_change, file.on_change), key=ON_CHANGE_ORDER.index)
            yield FileChange(file.path, "changed", stronger, file.secret, file.source)
    for path in sorted(set(before) - {f.path for f in wanted.files}):
        yield FileChange(path, "removed", before[path].on_change, before[path].secret)


def _runtime_differences(seen: Runtime, wanted: Runtime) -> Iterator[str]:
    for f in fields(Runtime):
        old, new = getattr(seen, f.name), getattr(wanted, f.name)
        if old != new:
            yield runtime_change(f.name, old, new)


def _interrupts(service: ServiceBundle, action: Action) -> tuple[str, ...]:
    if action not in ("replace", "restart"):
        return ()
    return tuple(sorted({p.name for p in service.runtime.ports})) or (f"what joins {service.name}",)


def _resources(bundle: Bundle, observed: Observed, wishes: Wishes) -> Iterator[Resource]:
    for ref in wishes.missing_keys:
        yield Resource("key", "create", ref)
    if observed.network is None:
        yield Resource("network", "create", bundle.network.name)
    wanted = {v.name for v in bundle.volumes}
    for name in sorted(wanted - set(observed.volumes)):
        yield Resource("volume", "create", name)
    for name in sorted(set(observed.volumes) - wanted):
        short = name.removeprefix(f"{bundle.instance}-")
        if name.endswith(("-config", "-sock")):
            yield Resource("volume", "remove", name)
        elif short in wishes.allow_remove:
            yield Resource("volume", "remove", name, danger="its content cannot be had back")
    for image in sorted({s.runtime.image for s in bundle.services} - observed.images):
        yield Resource("image", "create", image)


def without_keys(order: Plan) -> Plan:
    """The plan after the keys were made: what remains for the engine."""
    return replace(order, resources=tuple(r for r in order.resources if r.kind not in ("key", "image")))
