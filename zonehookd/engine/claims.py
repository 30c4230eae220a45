"""Who wants what in one look: each thing that is made has one owner, and of two that want it the second is told so."""

from __future__ import annotations

from dataclasses import replace

from zonehookd.engine.blocks import Blocks
from zonehookd.errors import PluginFailed
from zonehookd.model.plan import Plan, Remember, Step, WriteBlock, WriteFile
from zonehookd.model.subject import Subject

Claims = dict[tuple[str, str], tuple[Subject, str]]  # kind and name of a thing -> for whom, and by which plugin


def needed(plan: Plan, who: tuple[Subject, str], claims: Claims, blocks: Blocks) -> Plan:
    """Without blocks that stand already. Raises PluginFailed for what is somebody else's, CannotObserve."""
    for step in plan.steps:
        _claim(step, who, claims)
    if not any(isinstance(step, WriteBlock) for step in plan.steps):
        return plan
    subject_, plugin = who
    left = [s for s in plan.steps if not (isinstance(s, WriteBlock) and blocks.stands(s, plugin, subject_))]
    return replace(plan, steps=tuple(left))


def _claim(step: Step, who: tuple[Subject, str], claims: Claims) -> None:
    if isinstance(step, Remember):
        key = (step.record.kind, step.record.name)
    elif isinstance(step, WriteFile):
        key = ("file", str(step.path))
    else:
        return
    owner = claims.setdefault(key, who)
    if owner != who:
        raise PluginFailed(f"{key[0]} {key[1]} is wanted for {who[0]}, and by plugin {owner[1]} for {owner[0]}")
