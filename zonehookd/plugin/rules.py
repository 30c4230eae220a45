"""What came back from a plugin is a plan, down to its steps. Asked wherever plans are made: all say the same."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from zonehookd.errors import PluginFailed
from zonehookd.model.command import Change
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
        if isinstance(step, Change) and not _words(step.argv):
            raise PluginFailed(f"plan: argv must be a tuple of words, found {step.argv!r:.200}")
        if not step.why:
            raise PluginFailed(f"plan: {describe(step)!r} has no why")
        if isinstance(step, WriteFile | RemoveFile | WriteBlock):
            if not isinstance(step.path, Path):
                raise PluginFailed(f"plan: path must be a Path, found {step.path!r:.200}")
            if not step.path.is_absolute():
                raise PluginFailed(f"plan: {step.path} is no absolute path")
    return plan


def _words(argv: object) -> bool:
    return isinstance(argv, tuple) and bool(argv) and all(isinstance(each, str) for each in argv)
