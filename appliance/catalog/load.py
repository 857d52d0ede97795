"""Role folders → typed Role objects. Reads only the folders it is given; every fault names the role.yml and the field."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from appliance.catalog.fields import Fields
from appliance.catalog.role import (
    HOOKS,
    MILTER_SERVICES,
    STAGES,
    FileDef,
    Offer,
    Option,
    Role,
    ServiceDef,
    Use,
    VolumeDef,
)
from appliance.errors import ApplianceError
from appliance.render.bundle import ON_CHANGE_ORDER, Health, Validate

OPTION_TYPES = ("string", "boolean", "integer", "size", "duration", "address", "domain", "choice", "path", "folder", "list")


def load(folders: Sequence[Path]) -> Mapping[str, Role]:
    """All roles below the given folders by name, sorted. Raises ApplianceError for a role.yml that does not fit."""
    roles: dict[str, Role] = {}
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if not (path / "role.yml").is_file():
                continue
            if path.name in roles:
                raise ApplianceError(f"the role {path.name} stands in {roles[path.name].folder} and in {path}")
            roles[path.name] = load_role(path)
    _check_unique(roles)
    return dict(sorted(roles.items()))


def load_role(path: Path) -> Role:
    """One role folder."""
    try:
        raw = yaml.load((path / "role.yml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as why:
        raise ApplianceError(f"{path / 'role.yml'} cannot be read: {why}") from None
    top = Fields(raw, f"{path.name}/role.yml")
    services = tuple(_service(name, top.sub(f"services.{name}", value)) for name, value in top.mapping("services").items())
    role = Role(
        name=path.name,
        summary=top.text("summary"),
        folder=path,
        services=services,
        options=tuple(_option(name, top.sub(f"options.{name}", value)) for name, value in top.mapping("options").items()),
        enabled=top.boolean("enabled", True),
        without=top.text("without", ""),
        state=top.mapping("state"),
        dns=top.texts("dns"),
        hooks=_hooks(path),
    )
    top.end()
    for service in services:
        # any word of the command: a script that waits may stand before the program
        programs = {word.rpartition("/")[2] for word in service.command} - {""}
        if not service.name.startswith(tuple({path.name, service.image} | programs)):
            top.fail(f"services.{service.name}", "a service's name begins with its role's or its program's name")
    return role


def _check_unique(roles: Mapping[str, Role]) -> None:
    seen: dict[object, str] = {}
    for role in roles.values():
        for service in role.services:
            for key in (("service", service.name), ("address", service.address)):
                if key[1] and key in seen:
                    raise ApplianceError(f"the roles {seen[key]} and {role.name} both have the {key[0]} {key[1]}")
                seen[key] = role.name


def _option(name: str, f: Fields) -> Option:
    option = Option(
        name=name,
        type=f.choice("type", OPTION_TYPES),
        default=f.anything("default", None),
        description=f.text("description"),
        unit=f.text("unit", ""),
        choices=f.texts("choices"),
        minimum=f.whole("minimum", None),
        maximum=f.whole("maximum", None),
        or_folder=f.boolean("or_folder", False),
    )
    f.end()
    return option


def _service(name: str, f: Fields) -> ServiceDef:
    service = ServiceDef(
        name=name,
        image=f.text("image"),
        command=f.texts("command"),
        files=tuple(_file(path, f.sub(f"files.{path}", value)) for path, value in f.mapping("files").items()),
        user=f.text("user", ""),
        capabilities=f.texts("capabilities"),
        memory=f.size("memory"),
        pids=f.whole("pids", 100) or 100,
        nofile=f.whole("nofile", 4096) or 4096,
        volumes=tuple(_volume(f.sub("volumes", v)) for v in f.sequence("volumes")),
        tmpfs=tuple(sorted((k, str(v)) for k, v in f.mapping("tmpfs").items())),
        ports={k: int(v) for k, v in f.mapping("ports").items()},
        address=f.whole("address", 0) or 0,
        offers=tuple(_offer(n, f.sub(f"offers.{n}", v)) for n, v in f.mapping("offers").items()),
        uses=tuple(_use(f, n, v) for n, v in f.mapping("uses").items()),
        takes_milters=f.texts("takes_milters", among=MILTER_SERVICES),
        reload=f.texts("reload"),
        health=_health(f.sub("health", f.mapping("health"))) if f.has("health") else None,
        status=f.texts("status"),
        forget=f.texts("forget"),
        validate=_validate(f.sub("validate", f.mapping("validate"))) if f.has("validate") else Validate(),
        env=tuple(sorted((k, str(v)) for k, v in f.mapping("env").items())),
        stop_timeout=f.whole("stop_timeout", 30) or 30,
    )
    f.end()
    if not service.command:
        f.fail("command", "a service needs a command")
    if any(x.on_change == "reload" for x in service.files) and not service.reload:
        f.fail("reload", "files with on_change reload need a reload command")
    return service


def _file(path: str, f: Fields) -> FileDef:
    owner = f.sequence("owner") or [0, 0]
    file = FileDef(
        path=path,
        template=f.text("template", ""),
        ref=f.text("ref", ""),
        mode=int(str(f.anything("mode", "0444")), 8),
        owner=(int(owner[0]), int(owner[1])),
        on_change=f.choice("on_change", ON_CHANGE_ORDER, "reload"),  # type: ignore[arg-type]
        secret=f.boolean("secret", False),
        people=f.boolean("people", False),
        build=f.texts("build"),
    )
    f.end()
    if bool(file.template) == bool(file.ref):
        f.fail("", "a file has either a template or a ref")
    if path.startswith("/") or ".." in path.split("/"):
        f.fail("", "a path is relative to the generation")
    if file.build and file.on_change != "map":
        f.fail("build", "only a file with on_change map is built")
    return file


def _offer(name: str, f: Fields) -> Offer:
    offer = Offer(
        name=name,
        socket=f.text("socket", ""),
        port=f.whole("port", 0) or 0,
        stage=f.choice("stage", (*STAGES, ""), ""),  # type: ignore[arg-type]
        joins=f.texts("joins", among=MILTER_SERVICES),
        timeout=f.whole("timeout", 30) or 30,
    )
    f.end()
    if bool(offer.socket) == bool(offer.port):
        f.fail("", "an offer has either a socket or a port")
    if name == "milter" and not (offer.stage and offer.joins):
        f.fail("", "a milter says its stage and the Postfix services it joins")
    return offer


def _use(f: Fields, name: str, value: object) -> Use:
    if value not in ("required", "optional", "later"):
        f.fail(f"uses.{name}", "expected required, optional or later")
    return Use(name, value)


def _volume(f: Fields) -> VolumeDef:
    volume = VolumeDef(f.text("name"), f.text("path"), f.boolean("read_only", False))
    f.end()
    return volume


def _health(f: Fields) -> Health:
    health = Health(
        command=f.texts("command"),
        interval=f.whole("interval", 30) or 30,
        timeout=f.whole("timeout", 10) or 10,
        start_period=f.whole("start_period", 60) or 60,
        retries=f.whole("retries", 3) or 3,
    )
    f.end()
    return health


def _validate(f: Fields) -> Validate:
    commands = tuple(tuple(str(word) for word in argv) for argv in f.sequence("commands"))
    validate = Validate(commands, f.texts("trial"), f.whole("timeout", 30) or 30)
    f.end()
    return validate


def _hooks(path: Path) -> Mapping[str, Any]:
    """The hooks of a role's own filters.py, loaded under a name of its own so that two roles cannot meet."""
    source = path / "filters.py"
    if not source.is_file():
        return {}
    module = _module(f"appliance_role_{path.name.replace('-', '_')}", source)
    hooks = {name: getattr(module, name) for name in HOOKS if hasattr(module, name)}
    return {**hooks, "FILTERS": getattr(module, "FILTERS", {})}


def _module(name: str, source: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise ApplianceError(f"{source} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a role folder may be read-only, and stays as it is
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
