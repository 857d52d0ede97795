"""Each step of the suite has a sabotage in which it, and no other but the documented ones, turns red; then all heals.

``sabotage.py`` is the table. A few rows run in every round; all of them, against the whole suite, are slow.
"""

from __future__ import annotations

import pytest

from appliance.verify.proof import Proof, Suite
from appliance.verify.run import verify
from tests.integration.running import Appliance
from tests.integration.sabotage import TABLE, Sabotage
from tests.reports import Recorder

#: one row of each kind, in every round
REPRESENTATIVE = ("port 25 relays for one domain", "one signer is not asked", "abuse is refused", "the scanner is stopped")


def prove(appliance: Appliance, suite: Suite = "smoke", only: frozenset[str] = frozenset()) -> Proof:
    return verify(appliance.target(), suite, Recorder(), only=only)


def told(proof: Proof) -> str:
    return "\n".join(f"{s.name}: {s.reason}" for s in proof.failed)


@pytest.mark.parametrize("sabotage", [s for s in TABLE if s.name in REPRESENTATIVE], ids=lambda s: s.name)
def test_sabotage_turns_its_steps_red(appliance_up: Appliance, sabotage: Sabotage) -> None:
    with sabotage.how.on(appliance_up):
        proof = prove(appliance_up)
    assert {s.name for s in proof.failed} == sabotage.red, told(proof)
    healed = prove(appliance_up, only=sabotage.red)
    assert not healed.failed, told(healed)


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", TABLE, ids=lambda s: s.name)
def test_sabotage_turns_no_other_step_red(appliance_up: Appliance, sabotage: Sabotage) -> None:
    with sabotage.how.on(appliance_up):
        proof = prove(appliance_up, "full")
    assert {s.name for s in proof.failed} == sabotage.red | sabotage.full, told(proof)
    healed = prove(appliance_up, "full", sabotage.red | sabotage.full)
    assert not healed.failed, told(healed)
