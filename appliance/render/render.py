"""Renders the roles' templates into a Bundle. Pure and deterministic: the same input gives the same bytes."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import jinja2

from appliance.catalog.role import FileDef, Role, ServiceDef
from appliance.errors import ApplianceError
from appliance.keys.view import KeyView
from appliance.people import People, people
from appliance.render.bundle import (
    SOCK,
    AnyFile,
    Bundle,
    File,
    Mount,
    NetworkBundle,
    Port,
    Runtime,
    SecretFile,
    ServiceBundle,
    VolumeBundle,
)
from appliance.topology import Node, Topology, View


def render(topology: Topology, keys: KeyView, tags: Mapping[str, str], families: tuple[int, ...] = (4,)) -> Bundle:
    """Topology → Bundle.

    ``tags``: image name → tag. ``families``: address families in which published ports see the true client address; only these
    are published, and only with 6 has the network IPv6. Raises ApplianceError for a fault in a role's template (file and line
    are named), and where every address of ``listen.address`` is of a family that is not served.
    """
    if 6 not in families:
        topology = replace(topology, network=replace(topology.network, subnet6=""))
    who = people(topology.spec, keys)
    running = tuple(n.name for n in topology.nodes)
    views = {n.name: view_of(n, topology, who, keys, running, families) for n in topology.nodes}
    instance, network = topology.spec.name, topology.network
    return Bundle(
        instance=instance,
        network=NetworkBundle(instance, network.subnet, network.gateway, network.dynamic, network.subnet6),
        volumes=_volumes(topology),
        services=tuple(_service(n, views[n.name], topology, tags) for n in topology.nodes),
        ring_id=keys.ring_id,
        adopted=keys.adopted,
    )


def view_of(
    node: Node, topology: Topology, who: People, keys: KeyView, running: tuple[str, ...], families: tuple[int, ...]
) -> View:
    """What the templates of one service see."""
    settings = topology.spec.roles.get(node.role.name)
    options = {o.name: o.default for o in node.role.options} | dict(settings.options if settings else {})
    return View(
        spec=topology.spec,
        options=options,
        service=node.service,
        joins=node.joins,
        milters=node.milters,
        network=topology.network,
        people=who,
        keys=keys,
        running=running,
        families=families,
    )


def _service(node: Node, view: View, topology: Topology, tags: Mapping[str, str]) -> ServiceBundle:
    files = tuple(sorted(_files(node, view), key=lambda f: f.path))
    twice = {path for path, n in Counter(f.path for f in files).items() if n > 1}
    if twice:
        raise ApplianceError(f"the role {node.role.name} makes {', '.join(sorted(twice))} of {node.name} twice")
    return ServiceBundle(
        name=node.name,
        role=node.role.name,
        runtime=_runtime(node, view, topology, tags),
        files=files,
        reload=node.service.reload,
        validate=node.service.validate,
        after=node.after,
    )


def _files(node: Node, view: View) -> Iterator[AnyFile]:
    extra: Iterable[FileDef | File] = node.role.hooks["files"](view) if "files" in node.role.hooks else ()
    templates = _Templates(node.role, view)
    for item in (*node.service.files, *extra):
        if isinstance(item, File):
            yield item
        elif item.ref:
            yield SecretFile(
                path=item.path,
                ref=item.ref,
                fingerprint=view.keys.fingerprint(item.ref),
                mode=item.mode,
                owner=item.owner,
                on_change=item.on_change,
                source=f"roles/{node.role.name}/role.yml",
                build=item.build,
            )
        else:
            yield File(
                path=item.path,
                data=templates.render(item.template),
                mode=item.mode,
                owner=item.owner,
                on_change=item.on_change,
                source=f"roles/{node.role.name}/templates/{item.template}",
                secret=item.secret,
                people=item.people,
                build=item.build,
            )


@lru_cache(maxsize=64)
def _environment(folder: Path) -> jinja2.Environment:
    """A role's templates. Kept: compiling takes longer than rendering; a changed file is seen (auto_reload)."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 configuration files, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


class _Templates:
    """The templates of one role with the variables of one service."""

    def __init__(self, role: Role, view: View) -> None:
        self.role = role
        self.environment = _environment(role.folder / "templates")
        # found by name when a template is rendered, so that those of a role that was read again are taken
        self.environment.filters.update(cast(dict[str, Callable[..., Any]], role.hooks.get("FILTERS", {})))
        self.variables: dict[str, Any] = {name: getattr(view, name) for name in view.__dataclass_fields__}
        if "context" in role.hooks:
            self.variables |= role.hooks["context"](view)

    def render(self, name: str) -> bytes:
        """One template. Plain files without the ending .j2 are taken as they are."""
        try:
            if not name.endswith(".j2"):
                return Path(self.role.folder / "templates" / name).read_bytes()
            return self.environment.get_template(name).render(self.variables).encode()
        except jinja2.TemplateSyntaxError as why:
            raise ApplianceError(f"roles/{self.role.name}/templates/{why.name}:{why.lineno}: {why.message}") from None
        except (jinja2.UndefinedError, jinja2.TemplateNotFound, OSError) as why:
            raise ApplianceError(f"roles/{self.role.name}/templates/{name}: {why}") from why


def _runtime(node: Node, view: View, topology: Topology, tags: Mapping[str, str]) -> Runtime:
    service, spec = node.service, topology.spec
    if service.image not in tags:
        raise ApplianceError(
            f"the service {service.name} wants the image {service.image}, and there is no images/{service.image}"
        )
    memory = node.role.hooks["memory"](view) if "memory" in node.role.hooks else service.memory
    resolver = node.joins.get("resolver")
    return Runtime(
        image=tags[service.image],
        command=service.command,
        hostname=spec.hostname,
        user=service.user,
        capabilities=tuple(sorted(service.capabilities)),
        memory=memory,
        pids=service.pids,
        nofile=service.nofile,
        mounts=_mounts(node, spec.name),
        tmpfs=service.tmpfs,
        ports=_ports(service, view),
        network=spec.name,
        address=topology.network.addresses.get(service.name, ""),
        dns=(resolver.address,) if resolver else (),
        hosts=tuple(sorted((j.host, j.address) for j in node.joins.values() if j.host and j is not resolver)),
        env=service.env,
        stop_timeout=service.stop_timeout,
        health=service.health,
        log_keep=spec.logs.keep,
    )


def _mounts(node: Node, instance: str) -> tuple[Mount, ...]:
    mounts = [Mount(f"{instance}-{node.name}-config", "/config", read_only=True)]
    mounts += [Mount(f"{instance}-{v.name}", v.path, v.read_only) for v in node.service.volumes]
    if any(o.socket for o in node.service.offers):
        mounts.append(Mount(f"{instance}-{node.name}-sock", f"{SOCK}/{node.name}"))
    # users of a socket must not seed its folder from their own image (owner and mode of the last image win): nocopy
    sockets = [j.socket for j in node.joins.values()] + [m.socket for ms in node.milters.values() for m in ms]
    for folder in {s.rpartition("/")[0] for s in sockets if s}:
        provider = folder.rpartition("/")[2]
        if provider != node.name:
            mounts.append(Mount(f"{instance}-{provider}-sock", folder, nocopy=True))
    return tuple(sorted(mounts, key=lambda m: m.path))


def _published(listen: tuple[str, ...], families: tuple[int, ...]) -> list[str]:
    """The host addresses that ports are published on: all of them only where the spec names none."""
    if not listen:
        return [{4: "0.0.0.0", 6: "::"}[f] for f in families]  # noqa: S104 the published side, families as plan found them
    found = [a for a in listen if ipaddress.ip_address(a).version in families]
    if not found:
        left = " and ".join(f"IPv{f}" for f in sorted({ipaddress.ip_address(a).version for a in listen}))
        raise ApplianceError(
            f"listen.address names only {', '.join(listen)}, and {left} is not served here: nothing could be published",
            hint=f"`appliance doctor` says why {left} is left out and what brings it; or name an address of the other family too",
        )
    return found


def _ports(service: ServiceDef, view: View) -> tuple[Port, ...]:
    addresses = _published(view.spec.listen.address, view.families)
    ports = []
    for listener, inside in service.ports.items():
        outside = getattr(view.spec.listen.ports, listener, None)
        if outside is not None:
            ports += [Port(listener, a, outside, inside) for a in addresses]
    return tuple(sorted(ports, key=lambda p: (p.container_port, p.address)))


def _volumes(topology: Topology) -> tuple[VolumeBundle, ...]:
    instance = topology.spec.name
    found: dict[str, VolumeBundle] = {}
    for node in topology.nodes:
        found[f"{instance}-{node.name}-config"] = VolumeBundle(f"{instance}-{node.name}-config", state=False)
        if any(o.socket for o in node.service.offers):
            found[f"{instance}-{node.name}-sock"] = VolumeBundle(f"{instance}-{node.name}-sock", state=False)
        for volume in node.service.volumes:
            name, holds = f"{instance}-{volume.name}", node.role.state.get(volume.name, "")
            if name not in found or holds:
                found[name] = VolumeBundle(name, state=bool(holds), holds=holds)
    return tuple(found[name] for name in sorted(found))
