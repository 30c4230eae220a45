"""When to look again after a look that did not end well. Kept per subject; success forgets."""

from __future__ import annotations

from dataclasses import dataclass

from zonehookd.model.outcome import Result

_FIRST_S = {Result.BUSY: 0.1, Result.FAILED: 0.5, Result.BLIND: 0.5, Result.UNSETTLED: 5.0}
_ROUNDS_MAX = 5  # looks in a row that changed something and were still not done


@dataclass(slots=True)
class Backoff:
    """Pauses double from a first one that depends on the trouble; `Result.STUCK` waits for a full look."""

    retry_max_s: float
    tries: int = 0
    rounds: int = 0

    def heard(self) -> None:
        """Something new about it: a change that follows is no repetition."""
        self.rounds = 0

    def after(self, result: Result) -> tuple[Result, float | None]:
        """The result, perhaps made worse, and the pause in seconds before the next look (None: no need)."""
        if result is Result.CHANGED:
            self.rounds += 1
            if self.rounds <= _ROUNDS_MAX:
                return result, 0.0  # look again at once: it must now have nothing to do
            result = Result.UNSETTLED
        elif result is Result.NOOP:
            self.tries = self.rounds = 0
            return result, None
        elif result is Result.STUCK:
            return result, None
        self.tries += 1
        return result, min(self.retry_max_s, _FIRST_S[result] * 2 ** min(self.tries - 1, 30))
