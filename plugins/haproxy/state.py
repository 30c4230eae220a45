"""Our record of one haproxy beside `served`'s: which socket it has, and how many backends are in stock. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

KIND = "haproxy"
_SOCKETS = 1000
_MOVE_S, _MOVES_MAX = 15.0, 8  # half a minute after the first, an hour in the end


@dataclass(frozen=True, slots=True)
class State:
    """`socket`: number of the one it is told to have. `moved_s`: when it was given that one, wall clock. `moves`: how
    often it was given another since it was last heard.

    A socket whose file is gone cannot be had again by a reload, for that hands over the one that is open, but one of
    another name can (tried with 2.6).
    """

    socket: int = 0
    moved_s: float = 0.0
    capacity: Mapping[str, int] = field(default_factory=dict)
    moves: int = 0

    def moved(self, now_s: float) -> State:
        return State((self.socket + 1) % _SOCKETS, now_s, self.capacity, min(self.moves + 1, _MOVES_MAX))

    def rests(self, now_s: float) -> bool:
        """Too early for another one: each move is a reload, and what did not help the last time comes more and more
        seldom, for old workers with connections of before are not to pile up."""
        return 0 <= now_s - self.moved_s < _MOVE_S * 2.0**self.moves

    def to_record(self, gateway: str, owner: Subject, plugin: str) -> Record:
        facts = {
            "socket": str(self.socket),
            "moved_s": repr(self.moved_s),
            "moves": str(self.moves),
            "capacity": json.dumps(dict(self.capacity), sort_keys=True),
        }
        return Record(KIND, gateway, owner, plugin, facts)

    @staticmethod
    def of(records: Sequence[Record]) -> State:
        facts = next((each.facts for each in records if each.kind == KIND), None)
        if facts is None:
            return State()
        moves = int(facts.get("moves", "0"))
        return State(int(facts["socket"]), float(facts["moved_s"]), json.loads(facts["capacity"]), moves)
