"""The ground that services stand on: the network and the volumes."""

from __future__ import annotations

from typing import Any

from appliance.engines.docker.api import Refused
from appliance.engines.docker.labels import labels
from appliance.engines.docker.site import Site
from appliance.errors import ApplianceError
from appliance.render.bundle import Bundle, NetworkBundle


def network_body(network: NetworkBundle, marks: dict[str, str]) -> dict[str, Any]:
    """The body of POST /networks/create."""
    pool = {"Subnet": network.subnet, "Gateway": network.gateway, "IPRange": network.dynamic}
    pools = [{key: value for key, value in pool.items() if value}]
    if network.subnet6:
        pools.append({"Subnet": network.subnet6})
    return {
        "Name": network.name,
        "Driver": "bridge",
        "CheckDuplicate": True,  # engines before 25 would make a second one of the same name
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {"Driver": "default", "Config": pools},
        "Labels": marks,
    }


class MakeNetwork:
    """The instance's network."""

    def __init__(self, site: Site) -> None:
        self.site, self.made = site, ""

    def do(self) -> None:
        """Makes it. Raises ApplianceError, with the way out, when its addresses are taken."""
        network = self.site.plan.bundle.network
        try:
            marks = labels(self.site.instance, ring=self.site.ring)
            self.made = str(self.site.api.post("/networks/create", network_body(network, marks))["Id"])
        except Refused as why:
            if "overlap" in why.words:
                subnets, fields = network.subnet, "network.subnet"
                if network.subnet6:
                    subnets, fields = f"{subnets} or {network.subnet6}", f"{fields} or network.subnet6"
                raise ApplianceError(
                    f"the subnet {subnets} is taken on the engine's host: {why.words}", hint=f"set {fields} to a free one"
                ) from None
            raise

    def undo(self) -> None:
        """Removes it again; the containers in it are gone by then."""
        if self.made:
            self.site.api.delete(f"/networks/{self.made}")


class MakeVolumes:
    """Volumes that are not there yet; configuration volumes come with the writer, which mounts them.

    One that exists, made beforehand with another driver or options, is used as it is. There is no undo for state: between its
    making and a failure a mail may have been accepted into it. What holds none is removed after the hands are gone (apply.py).
    """

    def __init__(self, site: Site) -> None:
        self.site, bundle = site, site.plan.bundle
        self.state = {v.name for v in bundle.volumes if v.state}
        self.owners = _owners(bundle)
        self.missing = [v.name for v in bundle.volumes if v.name not in site.observed.volumes]

    def do(self) -> None:
        """Makes them with the labels of the service that uses them first."""
        for name in self.missing:
            marks = labels(self.site.instance, self.owners.get(name, ""), self.site.ring)
            made = self.site.api.post("/volumes/create", {"Name": name, "Labels": marks})
            # the engine answers with one that was there before, without a word: its labels are others
            if name not in self.state and made.get("Labels") == marks:
                self.site.made_volumes.append(name)


def _owners(bundle: Bundle) -> dict[str, str]:
    """volume → service. A socket folder belongs to the service that is not told to leave it alone (nocopy)."""
    found: dict[str, str] = {}
    for service in bundle.services:
        for mount in service.runtime.mounts:
            if not mount.nocopy or mount.path == "/config":
                found.setdefault(mount.volume, service.name)
    return found
