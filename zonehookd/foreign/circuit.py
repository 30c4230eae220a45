"""When a plugin that failed is tried again: soon at first, then after rests that grow, and by one small call each."""

from __future__ import annotations

_IN_A_ROW = 3
_SOON_S = (0.2, 1.0)  # after the first failure, and the second
_REST_S, _REST_MAX_S = 10.0, 300.0


class Circuit:
    """`failed` and `worked` are told; `pause_s` says how long the process stays down. Bounded, and without a clock."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self._rest_s = 0.0

    @property
    def open(self) -> bool:
        """It is not called; what comes next is one small call."""
        return self.in_a_row >= _IN_A_ROW

    @property
    def pause_s(self) -> float:
        """Before it is started again."""
        if self.open:
            return self._rest_s
        return _SOON_S[self.in_a_row - 1] if self.in_a_row else 0.0

    def failed(self) -> None:
        """A call, a start, or its end in between."""
        self.in_a_row += 1
        if self.open:
            self._rest_s = min(max(_REST_S, 2 * self._rest_s), _REST_MAX_S)

    def worked(self, *, small: bool = False) -> None:
        """After a `small` call others are let in, but the next failure is one too many."""
        if small:
            self.in_a_row = min(self.in_a_row, _IN_A_ROW - 1)
        else:
            self.in_a_row, self._rest_s = 0, 0.0
