"""Which lines belong together: one id for all that is heard, asked, done and said about one change of one subject.

The id is short, and sorts by time: milliseconds since 1970 in base 32 (digits and letters, without i, l, o, u). It is
given when a subject is first heard of or found changed, and kept until a look finds nothing more to do about it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 9  # enough until the year 3084


@dataclass(frozen=True, slots=True)
class Correlation:
    """`change`: the id of this change; "" of a look, which may be about many. `cause`: the id of what set it off, the
    same for all subjects of one cause. `look`: of the look that planned it. `heard`: the cause in words."""

    change: str = ""
    cause: str = ""
    look: str = ""
    heard: str = ""

    def fields(self) -> dict[str, str]:
        """What a line about it carries; a change that is its own cause says so once."""
        cause = self.cause if self.cause != self.change else ""
        every = {"change": self.change, "cause": cause, "look": self.look}
        return {key: value for key, value in every.items() if value}


NONE = Correlation()
CURRENT: ContextVar[Correlation] = ContextVar("correlation", default=NONE)
"""What the running task works on: whoever writes a line, or passes a call on to another process, finds it here."""


class Ids:
    """Gives ids out: never the same twice, and each sorts after the one before, whatever the clock does meanwhile."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        self._last = max(self._last + 1, time.time_ns() // 1_000_000)
        number, text = self._last, ""
        for _ in range(_LENGTH):
            number, digit = divmod(number, 32)
            text = _DIGITS[digit] + text
        return text
