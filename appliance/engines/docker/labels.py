"""Names and labels of what the engine makes. A volume's labels never change once it is made: nothing that changes is in one."""

from __future__ import annotations

INSTANCE = "appliance.instance"
SERVICE = "appliance.service"
RING = "appliance.ring"
FROZEN = "appliance.frozen"  # the frozen digest
RUNTIME = "appliance.runtime"  # the Runtime as it was asked for, JSON: names that the engine does not keep
ROLE = "appliance.kind"  # service, writer, trial, reader: what the container is for
WHO, WHEN, WHY = "appliance.who", "appliance.when", "appliance.why"  # of the writer: the lock's words
PACKAGES = "appliance.packages"  # of an image: what is installed

PREVIOUS = "-previous"


def container(instance: str, service: str) -> str:
    """The container's name."""
    return f"{instance}-{service}"


def previous(instance: str, service: str) -> str:
    """Where the old container waits until the new one is healthy."""
    return f"{instance}-{service}{PREVIOUS}"


def writer(instance: str) -> str:
    """The container that is the lock and the hand."""
    return f"{instance}-writer"


def config_volume(instance: str, service: str) -> str:
    """The configuration volume's name."""
    return f"{instance}-{service}-config"


def of_instance(instance: str, kind: str = "") -> dict[str, list[str]]:
    """The API's filter for what belongs to an instance."""
    return {"label": [f"{INSTANCE}={instance}", *([f"{ROLE}={kind}"] if kind else [])]}


def labels(instance: str, service: str = "", ring: str | None = None, kind: str = "") -> dict[str, str]:
    """The labels that everything of an instance carries."""
    found = {INSTANCE: instance}
    if service:
        found[SERVICE] = service
    if ring:
        found[RING] = ring
    if kind:
        found[ROLE] = kind
    return found
