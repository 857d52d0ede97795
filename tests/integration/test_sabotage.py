"""Each step of the suite has a sabotage in which it, and no other but the documented ones, turns red; then all heals.

``sabotage.py`` is the table. A few rows run in every round; all of them, against the whole suite, are slow.
"""

from __future__ import annotations

import pytest

from appliance.verify import checks
from appliance.verify.proof import Proof, Step, Suite
from appliance.verify.registry import steps
from appliance.verify.run import verify
from tests.integration.running import Appliance
from tests.integration.sabotage import TABLE, Sabotage
from tests.integration.sabotage_roles import NOT_HERE, ROLE_TABLE, RoleSabotage
from tests.reports import Recorder

#: one row of each kind, in every round
REPRESENTATIVE = ("port 25 relays for one domain", "one signer is not asked", "abuse is refused", "the scanner is stopped")


#: steps that this machine cannot ask, or no daemon of ours can be made to fail; test_verify_liar.py shows them red
ELSEWHERE = frozenset(["relay-outside-ipv6", "trusted", "outwards-ipv4", "outwards-ipv6", "smuggling-bdat", "starttls-injection"])


def prove(appliance: Appliance, suite: Suite = "smoke", only: frozenset[str] = frozenset()) -> Proof:
    return verify(appliance.target(), suite, Recorder(), only=only)


def ends(proof: Proof) -> set[str]:
    """The end-to-end steps that failed; the roles' checks have a table of their own."""
    return {s.name for s in proof.failed if s.group != "roles"}


def told(proof: Proof) -> str:
    return "\n".join(f"{s.name}: {s.reason}" for s in proof.failed)


@pytest.mark.parametrize("sabotage", [s for s in TABLE if s.name in REPRESENTATIVE], ids=lambda s: s.name)
def test_sabotage_turns_its_steps_red(appliance_up: Appliance, sabotage: Sabotage) -> None:
    with sabotage.how.on(appliance_up):
        proof = prove(appliance_up)
    assert ends(proof) == sabotage.red, told(proof)
    healed = prove(appliance_up, only=sabotage.red)
    assert not healed.failed, told(healed)


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", TABLE, ids=lambda s: s.name)
def test_sabotage_turns_no_other_step_red(appliance_up: Appliance, sabotage: Sabotage) -> None:
    with sabotage.how.on(appliance_up):
        proof = prove(appliance_up, "full")
    assert ends(proof) == sabotage.red | sabotage.full, told(proof)
    healed = prove(appliance_up, "full", sabotage.red | sabotage.full)
    assert not healed.failed, told(healed)


def checked(appliance: Appliance) -> dict[str, Step]:
    found: list[Step] = []
    checks.carry_out(appliance.target(), found.append, frozenset())
    return {s.name: s for s in found}


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", ROLE_TABLE, ids=lambda s: s.name)
def test_a_roles_check_turns_red_and_no_other(appliance_up: Appliance, sabotage: RoleSabotage) -> None:
    with sabotage.how.on(appliance_up):
        found = checked(appliance_up)
    assert {n for n, s in found.items() if s.status == "failed"} == sabotage.red, [s.reason for s in found.values() if s.reason]
    healed = checked(appliance_up)
    assert not {n for n, s in healed.items() if s.status == "failed"}


def test_everything_has_a_sabotage(appliance_up: Appliance) -> None:
    """Each step of the full suite and each check of each role that runs stands in a table."""
    sabotaged = {name for s in TABLE for name in s.red | s.full} | ELSEWHERE
    assert {s.name for s in steps("full")} <= sabotaged
    assert set(checked(appliance_up)) <= {name for s in ROLE_TABLE for name in s.red} | NOT_HERE
