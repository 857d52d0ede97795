"""A Runtime becomes a container's creation and is read back from inspect: nothing is lost, and a change by hand is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.engines.docker.readback import runtime_of
from appliance.engines.docker.runtime import Limits, create_arguments, limits_of
from appliance.render.bundle import Health, Mount, Port, Runtime

FULL = Runtime(
    image="appliance/postfix:0123456789ab",
    command=("postfix", "start-fg"),
    hostname="mail.example.org",
    user="901:901",
    capabilities=("SETUID", "KILL"),
    memory=256 << 20,
    pids=300,
    nofile=8192,
    mounts=(
        Mount("t-postfix-config", "/config", True),
        Mount("t-auth-sock", "/sock/auth", nocopy=True),
        Mount("t-queue", "/queue"),
    ),
    tmpfs=(("/tmp", "mode=1777,size=64m"), ("/run", "")),  # noqa: S108
    ports=(Port("smtp", "0.0.0.0", 25, 25), Port("smtp", "::", 25, 25), Port("submission", "127.0.0.1", 2587, 587)),
    network="t",
    address="198.18.1.10",
    dns=("198.18.1.2",),
    hosts=(("sasl.internal", "198.18.1.11"), ("six.internal", "fd00::1")),
    env=(("TZ", "UTC"), ("EMPTY", "")),
    stop_timeout=45,
    health=Health(("sh", "/config/current/health.sh"), 40, 5, 90, 2),
    log_keep=86400,
)
LEAST = Runtime("appliance/x:1", ("x",), "mail.example.org", network="t")
IMAGE = {"Config": {"User": "", "Env": ["PATH=/bin", "MAIL_CONFIG=/config/current"]}}


def inspected(runtime: Runtime) -> dict[str, Any]:
    """What inspect says of a container made by these arguments: the image's variables come first, maps lose their order."""
    made = create_arguments(runtime, instance="t", service="postfix", ring="r")
    config = {key: made[key] for key in ("Image", "Cmd", "Hostname", "User", "Labels", "StopTimeout", "Healthcheck")}
    config["Env"] = [*IMAGE["Config"]["Env"], *reversed(made["Env"])]
    host = {**made["HostConfig"], "CapAdd": [f"CAP_{c}" for c in reversed(made["HostConfig"]["CapAdd"])]}
    host["PortBindings"] = dict(reversed(host["PortBindings"].items()))
    return {"Config": config, "HostConfig": host, "NetworkSettings": {"Networks": made["NetworkingConfig"]["EndpointsConfig"]}}


@pytest.mark.parametrize("runtime", [FULL, LEAST, replace(FULL, user="")], ids=["full", "least", "the image's user"])
def test_what_was_made_is_read_back(runtime: Runtime) -> None:
    assert runtime_of(inspected(runtime), IMAGE) == runtime
    assert runtime_of(inspected(runtime), IMAGE).digest == runtime.digest


def changed(path: str, value: object) -> dict[str, Any]:
    found = inspected(FULL)
    *way, last = path.split(".")
    place: Any = found
    for key in way:
        place = place[key]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("path", "value", "field", "seen"),
    [
        ("HostConfig.CapAdd", ["CAP_SETUID"], "capabilities", ("SETUID",)),
        ("HostConfig.PidsLimit", 10, "pids", 10),
        ("HostConfig.Dns", [], "dns", ()),
        ("HostConfig.PortBindings", {}, "ports", ()),
        ("Config.User", "root", "user", "root"),
        ("Config.Image", "appliance/postfix:other", "image", "appliance/postfix:other"),
        ("Config.Healthcheck", {"Test": ["NONE"]}, "health", None),
        ("Config.Env", ["TZ=CET", "EMPTY="], "env", (("TZ", "CET"), ("EMPTY", ""))),
        ("Config.Env", ["TZ=UTC", "EMPTY=", "DEBUG=1"], "env", (("TZ", "UTC"), ("EMPTY", ""), ("DEBUG", "1"))),
        ("HostConfig.RestartPolicy", {"Name": "no"}, "deviations", ("restart policy no",)),
        ("HostConfig.Privileged", True, "deviations", ("privileged",)),
        ("HostConfig.ReadonlyRootfs", False, "deviations", ("the root file system is writable",)),
        ("HostConfig.SecurityOpt", None, "deviations", ("new privileges are possible",)),
        ("HostConfig.CapDrop", None, "deviations", ("not all capabilities are dropped",)),
        ("HostConfig.MemorySwap", -1, "deviations", ("memory and swap limit -1",)),
        ("HostConfig.NanoCpus", 10**8, "deviations", ("NanoCpus 100000000",)),
    ],
)
def test_a_change_by_hand_is_another_field(path: str, value: object, field: str, seen: object) -> None:
    found = runtime_of(changed(path, value), IMAGE)
    assert getattr(found, field) == seen
    assert replace(found, **{field: getattr(FULL, field)}) == FULL


def test_a_memory_limit_by_hand_is_seen() -> None:
    found = inspected(FULL)
    found["HostConfig"] |= {"Memory": 1 << 30, "MemorySwap": 1 << 30}
    assert runtime_of(found, IMAGE) == replace(FULL, memory=1 << 30)


def test_other_networks_are_seen() -> None:
    found = inspected(FULL)
    found["NetworkSettings"]["Networks"] |= {"bridge": {}}
    assert runtime_of(found, IMAGE).deviations == ("also in the network bridge",)
    found["NetworkSettings"]["Networks"] = {}
    assert runtime_of(found, IMAGE).deviations == ("not in the network t",)


def test_limits_that_the_kernel_cannot_set_are_not_compared() -> None:
    limits = limits_of({"MemoryLimit": False, "SwapLimit": False, "PidsLimit": False})
    assert limits == Limits(memory=False, swap=False, pids=False)
    found = inspected(FULL)
    found["HostConfig"] |= {"Memory": 0, "MemorySwap": -1, "PidsLimit": None}
    assert runtime_of(found, IMAGE, limits) == FULL


def test_every_container_has_the_frame() -> None:
    host = create_arguments(LEAST, instance="t", service="x")["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]
    assert host["LogConfig"]["Config"]["mode"] == "non-blocking"


def test_a_container_without_our_label_is_still_read() -> None:
    found = inspected(FULL)
    found["Config"]["Labels"] = {}
    seen = runtime_of(found, IMAGE)
    assert (seen.memory, seen.hostname, seen.user) == (FULL.memory, FULL.hostname, FULL.user)
