"""Who is behind each route, look by look: every way in and out, who flaps, a landslide, clocks that jump."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from routing_play import INSTALLED, RUNNING, SHOP, UNKNOWN, Play, backend, many

from zonehookd.model.route import Backend, Check
from zonehookd.model.zone import ZoneState
from zonehookd.plugin.routing import to_ask
from zonehookd.plugin.routing.decide import FLAP_MAX, FLAP_S, SHRINK_S


def test_in_comes_who_runs_and_answers() -> None:
    play = Play(states={"web1": INSTALLED, "web2": RUNNING}, unasked={"web2"})
    assert play.look() == {"web1": "out", "web2": "out"}
    assert (play.seat("web1").code, play.seat("web2").code) == ("not-running", "unanswered")
    assert play.seat("web1").why == "zone web1 is installed"
    play.states["web1"] = RUNNING
    play.unasked, play.ill = set(), {"web2"}
    assert play.look() == {"web1": "in", "web2": "out"}
    assert play.seat("web2").code == "unwell" and "connection refused" in play.seat("web2").why
    play.ill = set()
    assert play.look() == {"web1": "in", "web2": "in"}
    assert play.seat("web2").since_s == play.now_s and play.seat("web2").code == "routed"


def test_whom_nobody_asks_is_in_as_soon_as_it_runs() -> None:
    play = Play(offered={SHOP: [backend(1, Check("none"))]}, states={"web1": RUNNING}, unasked={"web1"})
    assert play.look() == {"web1": "in"}


def test_an_address_without_a_zone_needs_only_to_answer() -> None:
    play = Play(offered={SHOP: [Backend(ip_address("10.99.0.9"), 80)]}, states={})
    assert play.look() == {"": "in"}


def test_out_goes_at_once_who_does_not_run_any_more() -> None:
    play = Play()
    play.look()
    play.states["web1"] = ZoneState.SHUTTING_DOWN
    assert play.look(0.001) == {"web1": "out", "web2": "in"}
    assert play.seat("web1").code == "not-running"
    del play.states["web1"]
    assert play.look(0.001)["web1"] == "out" and play.seat("web1").why == "zone web1 is absent"


def test_whom_nobody_can_see_stays_where_it_is() -> None:
    play = Play(states={"web1": RUNNING, "web2": INSTALLED})
    before = play.look()
    play.states = {"web1": UNKNOWN, "web2": UNKNOWN}
    play.ill = {"web1", "web2"}
    assert play.look() == before


def test_after_a_restart_who_was_in_stays_in_until_it_is_known_to_be_ill() -> None:
    play = Play()
    play.look()
    play.unasked = {"web1", "web2"}  # nobody has been asked yet
    assert play.look() == {"web1": "in", "web2": "in"}
    play.unasked, play.ill = set(), {"web1"}
    assert play.look() == {"web1": "out", "web2": "in"}


def test_where_the_program_watches_we_take_nobody_out_for_being_ill() -> None:
    play = Play(watches=True)
    play.look()
    play.ill = {"web1"}
    assert play.look() == {"web1": "in", "web2": "in"}
    assert to_ask(play._routes(), play.books, play._known().zones, watches=True) == set()
    assert len(to_ask(play._routes(), play.books, play._known().zones, watches=False)) == 2


def test_a_zone_that_cannot_be_read_keeps_its_seat_and_loses_it_when_it_halts() -> None:
    play = Play()
    play.look()
    play.unread = {"web1"}
    for _ in range(30):
        assert play.look() == {"web1": "in", "web2": "in"}
    play.states["web1"] = INSTALLED
    assert play.look()["web1"] == "out"


# -- leaving


def test_a_drained_zone_finishes_what_it_has_and_comes_back_when_its_time_is_over() -> None:
    play = Play()
    play.look()
    play.drains = {"web1": play.now_s + 60}
    assert play.look() == {"web1": "drain", "web2": "in"}
    assert (play.seat("web1").code, play.seat("web1").why) == ("drained", "zone web1 is drained")
    assert play.look()["web1"] == "drain"
    play.idle = {(SHOP, play.seat("web1").backend.key)}
    assert play.look()["web1"] == "out"
    assert play.last.again_s is not None and play.last.again_s <= 60
    play.idle = set()
    assert play.look()["web1"] == "out"
    assert play.look(61.0)["web1"] == "in"


def test_whoever_is_never_idle_is_out_after_the_proxys_patience() -> None:
    play = Play()
    play.look()
    play.drains = {"web1": play.now_s + 600}
    assert play.look()["web1"] == "drain"
    assert play.look(9.0)["web1"] == "drain"
    assert play.look(1.1)["web1"] == "out"


def test_a_drained_zone_that_dies_is_out_at_once() -> None:
    play = Play()
    play.look()
    play.drains = {"web1": play.now_s + 600}
    play.look()
    play.states["web1"] = INSTALLED
    assert play.look(0.001)["web1"] == "out"


def test_a_drain_is_taken_back() -> None:
    play = Play()
    play.look()
    play.drains = {"web1": play.now_s + 600}
    play.look()
    play.drains = {}
    assert play.look() == {"web1": "in", "web2": "in"}


def test_what_is_offered_no_more_is_drained_and_then_forgotten() -> None:
    play = Play()
    play.look()
    play.offered[SHOP] = [backend(2)]
    assert play.look() == {"web1": "drain", "web2": "in"}
    assert play.seat("web1").code == "leaving"
    play.idle = {(SHOP, play.seat("web1").backend.key)}
    assert play.look() == {"web2": "in"}


def test_a_port_that_changes_drains_the_old_one_and_takes_the_new_one_in() -> None:
    play = Play()
    play.look()
    moved = Backend(ip_address("10.99.0.1"), 8080, "web1")
    play.offered[SHOP] = [moved, backend(2)]
    play.look()
    states = {key: seat.state for key, seat in play.books[SHOP].seats.items()}
    assert states == {"web1:10.99.0.1:80": "drain", "web1:10.99.0.1:8080": "in", "web2:10.99.0.2:80": "in"}


# -- who flaps


def test_who_comes_and_goes_too_often_is_held_out_while_others_serve() -> None:
    play = Play()
    play.look()
    play.flap("web1")
    assert play.seat("web1").code == "held" and play.seat("web1").state == "out"
    (note,) = play.notes("flapping")
    assert note.kind == "waiting" and "route shop.example.org/ to zone web1: flapping" in note.text
    play.ill = set()
    assert play.look() == {"web1": "out", "web2": "in"}, "well now, and still held"
    assert play.look(FLAP_S) == {"web1": "in", "web2": "in"}
    assert not play.notes("flapping")


def test_who_flaps_and_serves_alone_is_held_in() -> None:
    play = Play(offered={SHOP: [backend(1)]})
    play.look()
    play.flap("web1")
    assert play.seat("web1").code == "held" and play.seat("web1").state == "in"
    play.states["web1"] = INSTALLED
    assert play.look()["web1"] == "out", "but not when it does not run"
    assert play.seat("web1").code == "not-running"


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("ill", [True, False])
def test_who_is_held_changes_nothing_from_look_to_look(alone: bool, ill: bool) -> None:
    play = Play(offered={SHOP: [backend(1)] if alone else [backend(1), backend(2)]})
    play.look()
    play.flap("web1")
    play.ill = {"web1"} if ill else set()
    play.look()
    before = dict(play.books)
    for _ in range(5):
        play.look()
        assert play.books == before, "a plan that is never done"
    held_s = 0.0
    while play.seat("web1").code == "held":
        play.look(5.0)
        held_s += 5
        assert held_s < 2 * FLAP_S, "held for ever"
    assert play.seat("web1").state == ("out" if ill else "in")


def test_who_is_drained_again_and_again_does_not_flap() -> None:
    play = Play(offered={SHOP: [backend(1), backend(2)]})
    play.look()
    for _ in range(FLAP_MAX + 2):
        play.drains = {"web1": play.now_s + 600}
        assert play.look()["web1"] == "drain"
        play.idle = {(SHOP, backend(1).key)}
        assert play.look()["web1"] == "out"
        play.drains, play.idle = {}, set()
        assert play.look()["web1"] == "in"


def test_a_held_zone_can_be_drained() -> None:
    play = Play(offered={SHOP: [backend(1)]})
    play.look()
    play.flap("web1")
    play.ill = set()
    play.drains = {"web1": play.now_s + 600}
    assert play.look()["web1"] == "drain"
    assert play.look()["web1"] == "drain"
    assert play.look(10.0)["web1"] == "out"
    assert play.look()["web1"] == "out" and play.seat("web1").code == "drained"


# -- a landslide


def test_more_than_half_at_once_is_looked_at_a_second_time() -> None:
    play = many(4)
    play.look()
    play.ill = {"web1", "web2", "web3"}
    assert set(play.look().values()) == {"in"}
    (note,) = play.notes("shrunk")
    assert "3 of 4 backends of gateway edge would go at once" in note.text and note.again_after_s == SHRINK_S
    assert play.last.again_s == SHRINK_S
    assert set(play.look(SHRINK_S / 2).values()) == {"in"}
    assert play.look(SHRINK_S) == {"web1": "out", "web2": "out", "web3": "out", "web4": "in"}
    assert play.shrunk_s is None


def test_a_landslide_that_was_none_leaves_no_trace() -> None:
    play = many(4)
    play.look()
    play.ill = {"web1", "web2", "web3"}
    play.look()
    play.ill = set()
    assert set(play.look().values()) == {"in"} and play.shrunk_s is None and not play.notes("shrunk")


@pytest.mark.parametrize("lost", [1, 2])
def test_half_and_one_alone_go_at_once(lost: int) -> None:
    play = many(1 if lost == 1 else 4)
    play.look()
    play.ill = {f"web{number}" for number in range(1, lost + 1)}
    assert list(play.look().values()).count("out") == lost


def test_who_is_drained_is_no_landslide() -> None:
    play = many(4)
    play.look()
    play.drains = {f"web{number}": play.now_s + 60 for number in range(1, 5)}
    assert set(play.look().values()) == {"drain"} and not play.notes("shrunk")
    assert set(play.look(11.0).values()) == {"out"} and not play.notes("shrunk")


def test_who_comes_during_a_landslide_comes() -> None:
    play = many(4)
    play.states["web4"] = INSTALLED
    play.look()
    play.ill = {"web1", "web2", "web3"}
    play.states["web4"] = RUNNING
    assert set(play.look().values()) == {"in"} and play.notes("shrunk")


# -- clocks


def test_a_clock_set_back_ends_neither_drain_nor_landslide_late() -> None:
    play = many(4)
    play.look()
    play.ill = {"web1", "web2", "web3"}
    play.look()
    assert play.shrunk_s is not None
    assert list(play.look(-3600.0).values()).count("out") == 3
    play.ill = set()
    play.look()
    play.drains = {"web1": play.now_s + 60}
    play.look()
    play.drains = {"web1": play.now_s - 3600 + 60}
    assert play.look(-3600.0)["web1"] == "out", "nobody knows for how long it has been leaving"
