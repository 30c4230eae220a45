"""Which moments are due: from what hooks were told of a zone, and how it is now. Pure.

Level-triggered: nobody needs to have heard an event. What a hook has not been told yet is owed to it, in the order in
which it happened; what undoes something that was never told is not told either.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from zonehookd.model.zone import Zone, ZoneState

Moment = Literal[
    "before-create", "after-create", "before-start", "after-start", "before-stop", "after-stop", "before-delete",
    "after-delete", "reconnect",
]  # fmt: skip
Gated = Literal["before-start", "before-stop", "before-delete"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)
GATED: tuple[Gated, ...] = get_args(Gated)
REFUSING: tuple[Moment, ...] = ("before-create", *GATED)
_ENDING = (ZoneState.SHUTTING_DOWN, ZoneState.DOWN)
_UNSURE = (ZoneState.UNKNOWN, ZoneState.MOUNTED)


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a zone has come. `made`: our first steps for it are over. `run`: which run of it is up; "": none."""

    made: bool = False
    run: str = ""


@dataclass(frozen=True, slots=True)
class Owed:
    """A moment that some hooks are still to be told of: name -> how often that was tried. `about`: the zone as it was
    then; `at`: when it was seen, unix seconds; `missed`: it happened while nobody looked."""

    moment: Moment
    at: float
    hooks: Mapping[str, int]
    about: Mapping[str, Any] = field(default_factory=dict)
    missed: bool = False


def stage(zone: Zone | None, told: Stage | None, made: bool, boot: str) -> Stage | Literal["unsure"] | None:
    """Of a zone as a look found it; None: it is gone. `told`: as it was before; `boot`: which boot of the host this is,
    for zone ids begin anew with each (zones sheet 1.1). unsure: nothing may be concluded now."""
    if zone is None or zone.absent:
        return None
    if zone.trouble or zone.state in _UNSURE:
        return "unsure"
    run = f"{boot}/{zone.zoneid}" if zone.state is ZoneState.RUNNING else ""
    if zone.state in _ENDING and told is not None:
        run = told.run  # it is not over before it is over
    return Stage(made or bool(run) or (told is not None and told.made), run)


def due(told: Stage | None, now: Stage | None) -> Sequence[Moment]:
    """What is to be told to get from the one to the other. None: there is no such zone."""
    found: list[Moment] = []
    if told is not None and told.run and (now is None or now.run != told.run):
        found.append("after-stop")
    if now is None:
        return (*found, "after-delete") if told is not None else ()
    if told is None:
        found.append("before-create")
    if now.made and not (told is not None and told.made):
        found.append("after-create")
    if now.run and not (told is not None and told.run == now.run):
        found.append("after-start")
    return found


def merged(owed: Sequence[Owed], new: Owed) -> tuple[Owed, ...]:
    """What is owed once `new` has happened, too. So never more than a handful, however often a zone comes and goes."""
    for hook in new.hooks:
        match new.moment:
            case "after-start" | "reconnect":
                owed = _without(owed, hook, (new.moment,))
            case "after-stop":
                if _tries(owed, hook, "after-start") == 0:  # of that run it has heard nothing, and need not now
                    new = replace(new, hooks={each: tries for each, tries in new.hooks.items() if each != hook})
                    owed = _without(owed, hook, ("after-start",))
                else:
                    owed = _without(owed, hook, ("after-start", "after-stop"))
            case "after-delete":
                if _tries(owed, hook, "before-create") == 0:
                    new = replace(new, hooks={each: tries for each, tries in new.hooks.items() if each != hook})
                    born = next(
                        n for n, each in enumerate(owed) if each.moment == "before-create" and hook in each.hooks
                    )
                    owed = [
                        *owed[:born],
                        *_without(owed[born:], hook, MOMENTS),
                    ]  # who was of that name before is gone, too
                else:
                    owed = _without(owed, hook, [each for each in MOMENTS if each != "after-stop"])
    every = (new, *owed) if new.moment == "reconnect" else (*owed, new)
    return tuple(each for each in every if each.hooks)


def _without(owed: Sequence[Owed], hook: str, moments: Collection[str]) -> Sequence[Owed]:
    return [
        replace(each, hooks={name: tries for name, tries in each.hooks.items() if name != hook})
        if each.moment in moments
        else each
        for each in owed
    ]


def _tries(owed: Sequence[Owed], hook: str, moment: Moment) -> int | None:
    """None: it is not owed."""
    return next((each.hooks[hook] for each in owed if each.moment == moment and hook in each.hooks), None)


def done(owed: Sequence[Owed], entry: Owed, hook: str) -> tuple[Owed, ...]:
    """Without that debt: it was paid, or given up."""
    rest = [
        replace(each, hooks={name: tries for name, tries in each.hooks.items() if name != hook})
        if (each.moment, each.at) == (entry.moment, entry.at)
        else each
        for each in owed
    ]
    return tuple(each for each in rest if each.hooks)


def tried(owed: Sequence[Owed], entry: Owed, hook: str) -> tuple[Owed, ...]:
    """One try more; from now on the hook may have heard of it."""
    return tuple(
        replace(each, hooks={**each.hooks, hook: each.hooks[hook] + 1})
        if (each.moment, each.at) == (entry.moment, entry.at) and hook in each.hooks
        else each
        for each in owed
    )


def next_call(
    owed: Sequence[Owed], ready: Callable[[Owed, str], bool] = lambda entry, hook: True
) -> tuple[Owed, str] | None:
    """The first debt that is not behind another of the same hook; hooks in the order of their names. `ready`: whether
    that hook may be called now."""
    return next((first for first in firsts(owed) if ready(*first)), None)


def firsts(owed: Sequence[Owed]) -> Iterator[tuple[Owed, str]]:
    """Of each hook the debt that comes first."""
    seen: set[str] = set()
    for each in owed:
        for hook in sorted(each.hooks.keys() - seen):
            yield each, hook
            seen.add(hook)


def words(moment: Moment) -> tuple[str, str]:
    """OPERATION and PHASE, as a hook's arguments have them."""
    phase, _, operation = moment.rpartition("-")
    return (operation, phase) if phase else (moment, "begin")
