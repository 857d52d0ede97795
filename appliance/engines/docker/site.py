"""What the steps of one apply share: the engine, the hand, the plan, and what was found under the lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance import __version__
from appliance.engines.base import Report, SecretSource
from appliance.engines.docker.api import Api
from appliance.engines.docker.hand import Hand, body, remove
from appliance.engines.docker.labels import config_volume, labels, writer
from appliance.engines.docker.runtime import Limits
from appliance.observed import Observed
from appliance.plan.model import Plan
from appliance.render.bundle import ServiceBundle


@dataclass
class Site:
    """One apply. ``wait``: seconds until a service must be able to do its work; ``sleep`` raises when the user asked to end."""

    api: Api
    plan: Plan
    observed: Observed
    limits: Limits
    hand: Hand
    image: str  # of the hand
    secrets: SecretSource
    report: Report
    who: str
    wait: int
    sleep: Callable[[float], None]
    time: float = field(default_factory=time.time)
    made_volumes: list[str] = field(default_factory=list)  # by this apply, none that holds state
    builders: dict[str, Hand] = field(default_factory=dict)  # image → a further hand

    @property
    def instance(self) -> str:
        """The instance's name."""
        return self.plan.instance

    @property
    def ring(self) -> str | None:
        """The id of the key ring that everything made now belongs to."""
        return self.plan.bundle.ring_id

    @property
    def controller(self) -> str:
        """This program's version, for manifests."""
        return __version__

    def builder(self, service: ServiceBundle) -> Hand:
        """The hand whose image has the programs that make a service's tables: the writer itself, or one more of its kind."""
        image = service.runtime.image
        if image == self.image:
            return self.hand
        if image not in self.builders:
            same = [s.name for s in self.plan.bundle.services if s.runtime.image == image]
            volumes = {s: (config_volume(self.instance, s), labels(self.instance, s, self.ring)) for s in same}
            name = f"{writer(self.instance)}-{len(self.builders) + 1}"
            remove(self.api, name)  # of a controller that was killed: the lock is ours, so nobody uses it
            self.builders[image] = Hand.start(self.api, name, body(image, labels(self.instance, kind="writer"), volumes))
        return self.builders[image]

    def close(self) -> None:
        """Lets the hands go; the last one is the lock."""
        for hand in (*self.builders.values(), self.hand):
            hand.close()
