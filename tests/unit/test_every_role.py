"""What every role owes, swept over all role folders: a new one is held to it without a word here."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from appliance.catalog.load import load
from appliance.catalog.role import FileDef, Role, ServiceDef
from appliance.cli.effects import effect
from appliance.images.context import Context, contexts, read
from appliance.resources import folder
from appliance.spec.fields import all_fields

ROLES = load([folder("roles"), folder("roles").parent / "tests/fixtures/roles"])
OURS = load([folder("roles")])
FIELDS = all_fields(OURS)
SERVICES = [(role, service) for role in ROLES.values() for service in role.services]
OPTIONS = [path for path, doc in FIELDS.items() if doc.option is not None]
#: what a daemon needs that starts as root and becomes others; nothing here reaches beyond its own container (capabilities(7))
HARMLESS = frozenset({"SETUID", "SETGID", "CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SYS_CHROOT", "NET_BIND_SERVICE"})

each_role = pytest.mark.parametrize("role", ROLES.values(), ids=lambda r: r.name)
each_service = pytest.mark.parametrize(("role", "service"), SERVICES, ids=[s.name for _, s in SERVICES])


def image(role: Role, service: ServiceDef) -> Context:
    """The context of a service's image; that of a role's own image stands in its folder."""
    own = read(role.name, role.folder / "image") if (role.folder / "image").is_dir() else None
    return own or contexts()[service.image]


def words(service: ServiceDef) -> Iterator[tuple[str, ...]]:
    """Every argv that is run in the service's container."""
    health = service.health.command if service.health else ()
    yield from (
        service.command,
        service.reload,
        health,
        service.status,
        service.forget,
        service.validate.trial,
        *service.validate.commands,
    )


@each_role
def test_the_room_is_whole(role: Role) -> None:
    readme = role.folder / "README.md"
    assert len(readme.read_text(encoding="utf-8").split()) > 20
    checks = "".join(p.read_text(encoding="utf-8") for p in role.folder.glob("checks/test_*.py"))
    assert "def test_" in checks, "a role has checks of its own"


@each_role
def test_every_template_is_used(role: Role) -> None:
    named = {f.template for s in role.services for f in s.files}
    thought = "".join(
        p.read_text(encoding="utf-8") for p in [role.folder / "filters.py", *role.folder.glob("templates/*")] if p.exists()
    )
    unused = {p.name for p in role.folder.glob("templates/*")} - named
    assert not {name for name in unused if name not in thought}


@each_role
def test_what_it_keeps_is_mounted(role: Role) -> None:
    assert set(role.state) <= {v.name for s in role.services for v in s.volumes}
    assert all(len(what.split()) > 2 for what in role.state.values()), "what would be lost is said in words"


@each_role
def test_a_role_never_names_another(role: Role) -> None:
    """It names offers; a word in a comment is for the reader."""
    services = {s.name for other in ROLES.values() if other.name != role.name for s in other.services}
    own = {s.name for s in role.services}
    for path in [role.folder / "role.yml", *role.folder.glob("templates/*.j2")]:
        code = "\n".join(re.sub(r"(^|\s)#.*", "", line) for line in path.read_text(encoding="utf-8").splitlines())
        for name in services - own:
            assert f"/sock/{name}/" not in code, f"{path.name} reaches into {name}"


@each_service
def test_every_limit_is_said(role: Role, service: ServiceDef) -> None:
    raw = yaml.safe_load((role.folder / "role.yml").read_text(encoding="utf-8"))["services"][service.name]
    assert {"memory", "pids"} <= set(raw)
    assert service.memory >= 16 * 2**20
    assert 0 < service.pids <= 4096
    assert 0 < service.nofile <= 65536, "an endless number of files makes some daemons walk them all"
    assert "/tmp" in dict(service.tmpfs), "the root file system is read-only"  # noqa: S108
    assert all("size=" in options for _, options in service.tmpfs), "a tmpfs counts as memory"


@each_service
def test_no_right_is_given_that_is_not_needed(role: Role, service: ServiceDef) -> None:
    assert set(service.capabilities) <= HARMLESS
    assert len(set(service.capabilities)) == len(service.capabilities)
    users = re.findall(r"^USER (\S+)", image(role, service).file("Dockerfile").decode(), re.MULTILINE)
    user = service.user or (users[-1] if users else "0")
    if user.split(":")[0] not in ("0", "root"):
        assert not service.capabilities, "a process that is not root cannot use them"
        assert re.fullmatch(r"\d+(:\d+)?", user), "a number: names differ between images and hosts"


@each_service
def test_health_is_cheap_and_new_files_are_tried(role: Role, service: ServiceDef) -> None:
    assert role.name
    assert service.health is not None
    assert service.health.interval >= 30, "an exec costs an engine 60 ms"
    assert service.health.timeout < service.health.interval
    assert service.validate.commands or service.validate.trial


@each_service
def test_every_program_that_is_run_is_there(role: Role, service: ServiceDef) -> None:
    """What is named below /config is a file of the service, or made by the role's filters."""
    files = {f.path for f in service.files}
    hooked = "files" in role.hooks
    for argv in words(service):
        for path in re.findall(r"/config/(?:current|live)/([^\s\"']+)", " ".join(argv)):
            assert path in files or hooked, f"{service.name}: {path}"


@each_service
def test_secrets_are_nobody_elses(role: Role, service: ServiceDef) -> None:
    assert role.name

    def secret(file: FileDef) -> bool:
        return file.secret or file.ref.endswith("key.pem") or file.path.endswith("key.pem")

    for file in filter(secret, service.files):
        assert not file.mode & 0o027, f"{file.path} may be read by all, or written by its group"


@each_service
def test_no_way_to_the_engine_and_none_to_strangers(role: Role, service: ServiceDef) -> None:
    assert role.name
    assert not [
        v for v in service.volumes if "docker" in v.path or v.path.startswith(("/proc", "/sys", "/dev", "/etc", "/run/docker"))
    ]
    for offer in service.offers:
        assert offer.socket or service.address, "an offer by TCP has a fixed address"
        assert offer.name != "milter" or offer.socket, (
            "filters are reached by sockets: no container on the bridge can pass them by"
        )


@pytest.mark.parametrize("path", OPTIONS)
def test_every_option_is_described_and_has_an_effect(path: str) -> None:
    option = FIELDS[path].option
    assert option is not None
    assert len(option.description.split()) >= 5
    assert option.type not in ("size", "duration") or option.unit
    readme = (OURS[path.split(".")[1]].folder / "README.md").read_text(encoding="utf-8")
    assert option.name in readme, f"the role's README does not say what {option.name} is"
    found = effect(FIELDS[path], OURS)
    assert not found.refused
    assert found.files or found.anew or found.started or found.stopped, f"{path} reaches nothing"
