"""desired Bundle + observed state → Plan. Pure: no socket, no clock. What apply does is exactly what stands in the plan."""

from appliance.plan.build import Wishes, plan
from appliance.plan.model import Action, Change, FileChange, Plan, Resource

__all__ = ["Action", "Change", "FileChange", "Plan", "Resource", "Wishes", "plan"]
