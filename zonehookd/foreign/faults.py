"""What may be wrong with a worker."""

from __future__ import annotations

from typing import Literal

from zonehookd.errors import ZonehookError

Reason = Literal["exited", "timeout", "protocol", "memory", "start"]


class Fault(ZonehookError):
    """It cannot go on, and is ended. `reason` is for counting."""

    code = "plugin-failed"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
