"""How many routes and backends there are, for metrics and `status`; pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zonehookd.model.record import Record

State = tuple[str, str]  # gateway, state


@dataclass(frozen=True, slots=True)
class Counts:
    """`routes`: served (somebody is in) or unserved; `backends`: in, drain, out or held; `held`: gateway -> routes with
    somebody who flaps and is held."""

    routes: Mapping[State, int]
    backends: Mapping[State, int]
    held: Mapping[str, int]


def counts(books: Iterable[Record]) -> Counts:
    """`books`: records of kind ROUTE, as plugin/routing/book.py writes them."""
    routes: Counter[State] = Counter()
    backends: Counter[State] = Counter()
    held: Counter[str] = Counter()
    for record in books:
        gateway = record.facts["gateway"]
        states = [seat["state"][:2] for seat in json.loads(record.facts["seats"])]
        routes[gateway, "served" if any(state == "in" for state, _ in states) else "unserved"] += 1
        backends.update((gateway, "held" if code == "held" else state) for state, code in states)
        held[gateway] += any(code == "held" for _, code in states)
    return Counts(routes, backends, held)
