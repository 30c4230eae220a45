"""One link of a zone's chain, and the list that they are written into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from zonehookd.errors import CannotObserve
from zonehookd.tracing.walk import APPLY

State = Literal["ok", "broken", "unknown", "not applicable"]


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. `name`: which; `object`: what it is about; `cure`: only where it is broken."""

    name: str
    object: str
    state: State
    text: str
    cure: str = ""


def first_broken(links: Sequence[Link]) -> Link | None:
    return next((each for each in links if each.state == "broken"), None)


class Links:
    """Links in the order in which they rest on each other; `found` grows."""

    def __init__(self) -> None:
        self.found: list[Link] = []

    def say(self, name: str, about: str, state: State, text: str, cure: str = "") -> None:
        self.found.append(Link(name, about, state, text, cure))

    def judge(self, name: str, about: str, wrong: str, well: str, cure: str = APPLY) -> None:
        """Broken if anything is `wrong`."""
        self.say(name, about, "broken" if wrong else "ok", wrong or well, cure if wrong else "")

    async def asked(self, name: str, about: str, see: Callable[[], Awaitable[tuple[str, str]]], cure: str) -> None:
        """`see` returns what is wrong, and what is said where nothing is. Unknown when it cannot observe."""
        try:
            wrong, well = await see()
        except CannotObserve as problem:
            self.say(name, about, "unknown", f"could not look: {problem}")
            return
        self.judge(name, about, wrong, well, cure)
