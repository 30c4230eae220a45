"""A backend that becomes another server of haproxy's, here or in another place, serves without a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from plugins.haproxy.live import Maps, additions, adopted, leftovers, removals, server_name, target
from zonehookd.errors import CannotObserve
from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Entry, Running, Runtime, Use
from zonehookd.model.command import Reply
from zonehookd.model.route import Backend, Check, Match, Route
from zonehookd.plugin.routing import RouteBook, Seat

MAPS = Maps(Path("/z/http.map"), Path("/z/tcp.map"), Path("/z/checks.map"))
SHOP = Match("shop.example.org")
WEB1 = Backend(ip_address("10.99.0.1"), 80, "web1")
OLD, NEW = "zh-web-1", "zh-webcheck-1"


def book(backend: Backend, place: str, state: str = "in") -> RouteBook:
    seat = Seat(backend, "in" if state == "in" else "drain")
    return RouteBook(SHOP, "web1", place=place, seats={backend.key: seat})


def runtime(servers: Mapping[tuple[str, str], Backend], leads: str) -> Runtime:
    running = {
        name: Running(str(each.address), each.port, True, "ready", 1, each.check.kind != "none", True)
        for name, each in servers.items()
    }
    maps = {str(each): () for each in MAPS.all} | {str(MAPS.http): (Entry("0x1", f"{SHOP}", leads),)}
    return Runtime("1", (2, 6), frozenset({OLD, NEW}), running, maps)


def removed(now: Runtime, wanted: RouteBook, cut: bool = False) -> list[str]:
    goal = target([wanted], MAPS)
    gone = leftovers(now, goal)
    use = {name: Use(0) for name in gone}
    return [line for group in removals(now, goal, use, gone if cut else ()) for line in group]


def test_in_another_place_it_serves_until_requests_go_there() -> None:
    moved = replace(WEB1, check=Check("http", "/health"))
    old, new = (OLD, server_name(WEB1)), (NEW, server_name(moved))
    before = runtime({old: WEB1}, OLD)
    assert removed(before, book(moved, NEW)) == []
    added = [line for group in additions(before, target([book(moved, NEW)], MAPS), MAPS) for line in group]
    assert f"set server {NEW}/{new[1]} state ready" in added
    assert added[-1] == f"set map {MAPS.http} {SHOP} {NEW}"
    after = runtime({old: WEB1, new: moved}, NEW)
    assert removed(after, book(moved, NEW)) == [f"set server {OLD}/{old[1]} state maint", f"del server {OLD}/{old[1]}"]


def test_by_another_name_it_serves_until_the_other_does() -> None:
    checked = WEB1
    unchecked = replace(WEB1, check=Check("none"))
    old, new = (OLD, server_name(checked)), (OLD, server_name(unchecked))
    assert removed(runtime({old: checked}, OLD), book(unchecked, OLD)) == []
    both = runtime({old: checked, new: unchecked}, OLD)
    assert removed(both, book(unchecked, OLD)) == [
        f"set server {OLD}/{old[1]} state maint",
        f"del server {OLD}/{old[1]}",
    ]
    waits = replace(both, servers=dict(both.servers) | {new: replace(both.servers[new], admin="maint")})
    assert removed(waits, book(unchecked, OLD)) == [], "the other takes nothing yet"


def test_who_is_gone_or_drained_is_not_waited_for() -> None:
    old = (OLD, server_name(WEB1))
    other = replace(WEB1, address=ip_address("10.99.0.2"), zone="web2")
    lines = removed(runtime({old: WEB1}, OLD), book(other, OLD), cut=True)
    assert lines[0] == f"set server {OLD}/{old[1]} state maint"
    moved = replace(WEB1, check=Check("http", "/health"))
    lines = removed(runtime({old: WEB1}, OLD), book(moved, NEW, "drain"))
    assert lines[0] == f"set server {OLD}/{old[1]} state maint"


def test_who_is_served_though_our_books_know_nothing_goes_on() -> None:
    route = Route(SHOP, (WEB1, replace(WEB1, zone="web2", address=ip_address("10.99.0.2"))), "web1", network="web")
    old = (OLD, server_name(WEB1))
    now = runtime({old: WEB1}, OLD)
    found = adopted(now, MAPS, [route], {}, 1000.0)
    assert {match: (made.place, set(made.seats)) for match, made in found.items()} == {SHOP: (OLD, {WEB1.key})}
    assert not leftovers(now, target(found.values(), MAPS)), "nobody is cut"
    assert adopted(now, MAPS, [route], {SHOP: book(WEB1, OLD)}, 1000.0) == {}, "the books are right where there are any"
    assert adopted(now, MAPS, [route], {Match("b.org"): book(WEB1, OLD)}, 1000.0) == {}, "of another route's place"
    gone = replace(now, servers={old: replace(now.servers[old], admin="maint")})
    assert adopted(gone, MAPS, [route], {}, 1000.0) == {}
    assert adopted(runtime({}, "zh-none"), MAPS, [route], {}, 1000.0) == {}


def test_nonsense_instead_of_haproxy_is_not_seen_and_named_in_no_command() -> None:
    query = haproxy.runtime("edge", Path("/z/0.sock"), MAPS.all[:1])
    head = "# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state srv_uweight srv_check_state "
    head += "srv_time_since_last_change"

    def heard(state: str, map_text: str = "") -> Runtime:
        said = ("", "Version: 2.6.12", OLD, state, map_text)
        return query.parse(Reply(0, "\n> " + "".join(f"{each}\n\n> " for each in said), ""))

    for state in ("# be_name\nzh-web-1", head + "\nzh-web-1"):
        with pytest.raises(CannotObserve, match="nonsense"):
            heard(state)
    found = heard(f"{head}\n{OLD} we;rd 10.99.0.1 80 2 0 1 0 5", "0x1;quit a b\n0x2 a b")
    assert not found.servers and [each.ref for each in found.maps[str(MAPS.http)]] == ["0x2"]
