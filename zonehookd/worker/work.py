"""What each shape of plugin does behind the messages: says what it is, takes its options, answers calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from zonehookd.plugin.contract import API
from zonehookd.wire.messages import Call, Kind, Question, Result, Welcome


@dataclass(frozen=True, slots=True)
class Introduction:
    """What `Hello` says of a plugin; fields as there. Of one that could not be loaded, nothing but the name."""

    name: str
    kind: Kind | None = None
    after: tuple[str, ...] = ()
    about: str = ""
    schema_of_options: dict[str, Any] = field(default_factory=dict)
    moments: tuple[str, ...] = ()
    api: int = API


class Desk(Protocol):
    """The daemon, as it can be asked while a call is worked on."""

    async def ask(self, question: Question) -> dict[str, Any]:
        """Its answer, shaped as the question says. Raises CannotObserve."""
        ...

    def ask_now(self, question: Question) -> dict[str, Any]:
        """The same for code that cannot await: only the plugin's own thread waits."""
        ...


class Work(Protocol):
    async def load(self) -> Introduction:
        """Raises PluginRefused, one complaint a line."""
        ...

    async def begin(self, welcome: Welcome) -> None:
        """Takes its options. Raises PluginRefused, one complaint a line."""
        ...

    async def work(self, call: Call, desk: Desk) -> Result:
        """Never raises for what one subject, or one moment, has wrong: the answer says it."""
        ...
