"""What every field of the model says about itself, and how its models behave."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from appliance.spec.types import one_or_many, unique


@dataclass(frozen=True)
class About:
    """What a field is (``text``), what changing it does (``effect``), its unit and an example as it is written in the spec."""

    text: str
    effect: str = ""
    unit: str = ""
    example: str = ""
    default: str = ""  # in words, where the default is not a value


class Model(BaseModel):
    """Frozen, and refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


#: one value stands for a list of one
MANY = BeforeValidator(one_or_many)
#: no entry twice
UNIQUE = AfterValidator(unique)
