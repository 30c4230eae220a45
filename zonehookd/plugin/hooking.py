"""Small functions as hooks: a file in hooks.d says `@on("after-start", zone="web*")` above a function, and no more.

A function asks for what it wants by the names of its arguments, see ARGUMENTS. It returns nothing when it is done, and
returns or raises `Later` or `Never`; anything else that it raises is a failure, and is tried again.
"""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from zonehookd.errors import PluginRefused

Function = TypeVar("Function", bound=Callable[..., Any])
Patterns = str | tuple[str, ...]
_MARK = "__zonehookd_on__"
MOMENTS = (
    "before-create", "after-create", "before-start", "after-start", "before-stop", "after-stop", "before-delete",
    "after-delete", "reconnect",
)  # fmt: skip
ARGUMENTS = {
    "zone": "the zone, as plugins are shown it",
    "moment": "which one it is",
    "attachments": "its NICs on our networks",
    "refusals": "what it wants of our networks and cannot have",
    "networks": "the names of the networks it is on",
    "addresses": "its addresses there, with their prefix lengths",
    "options": "the table [hooks.options.NAME] of the configuration, NAME being the file's without .py",
    "log": "called with a text, writes a line into the daemon's log",
    "deadline_s": "seconds that this call may take",
    "cause": "look, gate, start (of the daemon), or missed: it happened while no daemon looked",
    "when": "when it was seen, as text (RFC 3339)",
    "tries": "which try this is, from 1",
}


class Later(Exception):
    """Not now: asked again after so many seconds, by default after a pause that grows."""

    def __init__(self, after_s: float | None = None, why: str = "") -> None:
        super().__init__(why or "not now")
        self.after_s = after_s


class Never(Exception):
    """Refused, where the moment may refuse; else it is not tried again."""

    def __init__(self, why: str) -> None:
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Rule:
    """One `@on`. Patterns are as in a shell; none: everybody."""

    moments: tuple[str, ...]
    brand: tuple[str, ...]
    zone: tuple[str, ...]
    network: tuple[str, ...]

    def holds(self, moment: str, zone: str, brand: str, networks: Collection[str]) -> bool:
        return (
            moment in self.moments
            and _matches(self.zone, (zone,))
            and _matches(self.brand, (brand,))
            and _matches(self.network, networks)
        )


def on(
    *moments: str, brand: Patterns = (), zone: Patterns = (), network: Patterns = ()
) -> Callable[[Function], Function]:
    """Call the function at these moments, for zones of that brand, of that name, with a NIC on that network. May stand
    above one function several times; one of them that holds is enough. Raises PluginRefused."""
    for moment in moments:
        if moment not in MOMENTS:
            raise PluginRefused(f"there is no moment {moment!r}", hint=_near(moment, MOMENTS))
    if not moments:
        raise PluginRefused("on() wants a moment", hint=f"there are: {', '.join(MOMENTS)}")
    rule = Rule(moments, _several(brand), _several(zone), _several(network))

    def marked(function: Function) -> Function:
        check(function)
        setattr(function, _MARK, (*rules_of(function), rule))
        return function

    return marked


def rules_of(function: object) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = getattr(function, _MARK, ())
    return rules


def check(function: Callable[..., Any]) -> None:
    """Raises PluginRefused for an argument that nobody gives."""
    for name, argument in inspect.signature(function).parameters.items():
        if argument.kind in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            continue
        if argument.kind is argument.POSITIONAL_ONLY:
            raise PluginRefused(f"{function.__name__}: {name} is positional only, and arguments are given by name")
        if name not in ARGUMENTS and argument.default is argument.empty:
            raise PluginRefused(f"{function.__name__}: nobody gives {name!r}", hint=_near(name, ARGUMENTS))


def _several(patterns: Patterns) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) and patterns else tuple(patterns)


def _matches(patterns: tuple[str, ...], names: Collection[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(name, each) for name in names for each in patterns)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
