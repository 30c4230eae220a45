"""Who is behind each route, whatever happens: nobody is in without a reason, nobody out without a cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from routing_play import RUNNING, SHOP, UNKNOWN, backend, many

from zonehookd.model.zone import ZoneState

names = st.sampled_from(["web1", "web2", "web3"])
acts = st.lists(
    st.one_of(
        st.tuples(st.just("state"), names, st.sampled_from(list(ZoneState))),
        st.tuples(st.just("ill"), names, st.booleans()),
        st.tuples(st.just("unasked"), names, st.booleans()),
        st.tuples(st.just("drain"), names, st.sampled_from([0.0, 0.5, 30.0])),
        st.tuples(st.just("offer"), names, st.booleans()),
        st.tuples(st.just("idle"), names, st.booleans()),
        st.tuples(st.just("unread"), names, st.booleans()),
        st.tuples(st.just("look"), st.sampled_from([0.01, 0.3, 1.0, 20.0, 90.0, -500.0]), st.none()),
    ),
    max_size=60,
)
CAUSES: Mapping[str, str] = {
    "not-running": "is",
    "unanswered": "check",
    "unwell": "check",
    "drained": "is drained",
    "held": "flapping",
    "leaving": "offered no more",
}
OFFERED_ANEW_AND_UNKNOWN = [
    ("state", "web1", UNKNOWN),
    ("offer", "web1", False),
    ("idle", "web1", False),
    ("offer", "web1", True),
]


@given(acts, st.booleans())
@example(OFFERED_ANEW_AND_UNKNOWN, False)
def test_nobody_is_in_who_does_not_run_and_nobody_out_without_cause(story: list[Any], watches: bool) -> None:
    play = many(3)
    play.watches = watches
    play.look()
    for what, who, value in story:
        if what == "state":
            play.states[who] = value
        elif what == "drain":
            play.drains[who] = play.now_s + value
        elif what == "offer":
            rest = [each for each in play.offered[SHOP] if each.zone != who]
            play.offered[SHOP] = [*rest, backend(int(who[-1]))] if value else rest
        elif what == "idle":
            play.idle ^= {(SHOP, backend(int(who[-1])).key)}
        elif what == "look":
            play.look(who)
        else:
            chosen: set[str] = getattr(play, what)
            (chosen.add if value else chosen.discard)(who)
        states = play.look(0.01)
        for zone, state in states.items():
            seat = play.seat(zone)
            runs = play.states[zone]
            if state == "in" and not play.notes("shrunk"):
                assert runs in (RUNNING, UNKNOWN), (zone, seat)
            if state == "out":
                assert CAUSES[seat.code] in seat.why, seat


@given(acts)
def test_a_look_at_the_same_things_decides_the_same(story: list[Any]) -> None:
    """Else a plan is never done."""
    play = many(3)
    play.look()
    for what, who, value in story:
        if what == "state":
            play.states[who] = value
        elif what in ("ill", "unasked"):
            chosen: set[str] = getattr(play, what)
            (chosen.add if value else chosen.discard)(who)
        elif what == "look":
            play.look(who)
    play.look(100.0)
    play.look(100.0)  # a landslide takes two
    before = dict(play.books)
    play.look(0.0)
    assert play.books == before
