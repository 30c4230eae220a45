"""What came back from a plugin is a plan, down to its steps. Asked wherever plans are made: all say the same."""

from __future__ import annotations

from typing import get_args

from zonehookd.errors import PluginFailed
from zonehookd.model.plan import Note, Plan, RemoveFile, Step, WriteBlock, WriteFile, describe


def checked(plan: object) -> Plan:
    """`plan` itself; raises PluginFailed with the rule that was broken."""
    if not isinstance(plan, Plan):
        raise PluginFailed(f"plan returned {type(plan).__name__}, not a Plan")
    for name, found, kinds in (("steps", plan.steps, get_args(Step)), ("notes", plan.notes, (Note,))):
        if not isinstance(found, tuple):
            raise PluginFailed(f"plan: {name} must be a tuple, found {type(found).__name__}; is a comma missing?")
        for each in found:
            if not isinstance(each, kinds):
                raise PluginFailed(f"plan: {name} may not hold {type(each).__name__}")
    for step in plan.steps:
        if not step.why:
            raise PluginFailed(f"plan: {describe(step)!r} has no why")
        if isinstance(step, WriteFile | RemoveFile | WriteBlock) and not step.path.is_absolute():
            raise PluginFailed(f"plan: {step.path} is no absolute path")
    return plan
