"""What `zonehookctl routes` says: who is behind each route, where each stands, and why somebody is not."""

from __future__ import annotations

import io
import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from rich.console import Console
from stage import ENABLED, Stage

from zonehookd.bus.messages import Request
from zonehookd.bus.route_messages import BackendRow, RouteRow, RoutesReply
from zonehookd.cli import tables
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.reconciler import Reconciler
from zonehookd.errors import ZonehookError
from zonehookd.model import subject
from zonehookd.model.record import Record
from zonehookd.model.route import ROUTE, Backend, Match
from zonehookd.plugin.routing import RouteBook, Seat
from zonehookd.routes.answers import RouteAnswers
from zonehookd.routes.counts import counts
from zonehookd.routes.drain import Draining


def routes(stage: Stage, **about: str) -> RoutesReply:
    """After a look at everything."""
    found: list[RoutesReply] = []

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await dispatcher.settled()
        reply = await answers.routes(Request.model_validate({"verb": "routes", **about}))
        assert isinstance(reply, RoutesReply)
        found.append(reply)

    stage.play(scene)
    return found[0]


def shown(reply: RoutesReply) -> str:
    out = Console(file=io.StringIO(), width=300, color_system=None, soft_wrap=True, highlight=False)
    tables.routes(out, json.loads(reply.model_dump_json()))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def of(reply: RoutesReply, match: str) -> dict[str, BackendRow]:
    row: RouteRow = next(row for row in reply.routes if row.match == match)
    return {each.zone: each for each in row.backends}


def test_every_route_with_everybody_behind_it(stage: Stage) -> None:
    stage.up()
    stage.zone("web1", "shop.example.org port=8080 weight=2 check=no group=shop")
    stage.zone("web2", "shop.example.org check=/health group=shop", state="installed")
    stage.zone("db1", "tcp=5432")
    reply = routes(stage)
    assert [(row.match, row.protocol, row.owner, row.group) for row in reply.routes] == [
        ("tcp/5432", "tcp", "db1", ""),
        ("shop.example.org/", "http", "web1", "shop"),
    ]
    shop = of(reply, "shop.example.org/")
    assert (shop["web1"].state, shop["web1"].code, shop["web1"].weight) == ("in", "routed", 2)
    assert shop["web1"].since is not None and (shop["web1"].address, shop["web1"].port) == ("10.99.0.2", 8080)
    assert (shop["web2"].state, shop["web2"].code, shop["web2"].why) == (
        "out", "not-running", "zone web2 is installed"
    )  # fmt: skip
    assert of(reply, "tcp/5432")["db1"].code == "unanswered", "nobody asks backends here"
    assert not reply.refused and not reply.text and [each.trouble for each in reply.proxies] == [[]]
    text = shown(reply)
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["GATEWAY", "ROUTE", "OWNER", "BACKEND", "AT", "STATE", "SINCE"]
    assert lines[2][:6] == ["edge", "shop.example.org/", "web1", "web1", "10.99.0.2:8080", "in"]
    assert (lines[3][0], lines[3][2]) == ("web2", "out") and "zone web2 is installed" in text


def test_what_is_refused_is_said_with_owner_and_way_out(stage: Stage) -> None:
    stage.up()
    stage.zone("web1", "shop.example.org check=no")
    stage.zone("web2", "shop.example.org check=no", "bad;host", "tcp=9")
    reply = routes(stage)
    assert {(row.zone, row.source, row.code, row.owner) for row in reply.refused} == {
        ("web2", "zh.route0", "host-taken", "zone web1"),
        ("web2", "zh.route1", "malformed-route", "zone web2"),
        ("web2", "zh.route2", "port-not-allowed", "[gateway.edge.proxy]"),
    }
    text = shown(reply)
    assert "refused: zone web2: attribute zh.route0: shop.example.org/ belongs to zone web1 (hint: take another" in text
    assert "expected a host name such as shop.example.org or *.example.org, found 'bad;host'" in text


def test_declared_routes_whose_zone_is_not_there_are_shown(tmp_path: Path) -> None:
    declared = [
        {"to": "later", "host": "a.example.org", "check": "no"},
        {"to": "bare", "host": "b.example.org", "on": "web"},
        {"to": "10.99.0.200", "tcp": 7000, "check": "no"},
        {"to": "web1", "host": ["c.example.org", "a.example.org"], "check": "no"},
    ]
    stage = Stage(tmp_path, route=declared)
    stage.up()
    stage.admin.zone("bare")
    stage.zone("web1")
    reply = routes(stage)
    assert {row.match: row.owner for row in reply.routes} == dict.fromkeys(
        ["a.example.org/", "b.example.org/", "c.example.org/", "tcp/7000"], "the configuration"
    )
    later = of(reply, "a.example.org/")["later"]
    assert (later.state, later.code, later.why, later.since) == ("out", "no-zone", "zone later does not exist", None)
    assert of(reply, "a.example.org/")["web1"].state == "in"
    bare = of(reply, "b.example.org/")["bare"]
    assert (bare.code, bare.why) == ("no-address", "zone bare has no address on network web that we know of")
    assert of(reply, "tcp/7000")[""].state == "in"
    assert "zone later does not exist" in shown(reply)


def test_a_gateway_in_trouble_is_said(stage: Stage) -> None:
    stage.zone("web1", "shop.example.org check=no")
    reply = routes(stage)
    assert [(note.code, note.text) for note in reply.proxies[0].trouble] == [("gateway-down", "its zone is installed")]
    assert of(reply, "shop.example.org/")["web1"].code == "new"
    assert "haproxy of gateway edge: its zone is installed" in shown(reply)
    stage.up()
    assert not routes(stage).proxies[0].trouble
    stage.scribe.blind = True
    reply = routes(stage)
    assert [note.kind for note in reply.proxies[0].trouble] == ["failed"]
    assert "haproxy of gateway edge: haproxy: the proxy does not answer" in shown(reply)


def test_a_proxy_whose_plugin_is_left_out_is_said(stage: Stage) -> None:
    stage.up()
    stage.zone("web1", "shop.example.org check=no")
    stage.ours.reconciler = Reconciler([each for each in stage.ours.reconciler.plugins if each is not stage.scribe],
                                       lambda *each: None)  # fmt: skip
    assert "haproxy" not in ENABLED
    (note,) = routes(stage).proxies[0].trouble
    assert (note.code, note.text) == (
        "no-plugin", "plugin haproxy does not work here; [plugins] enabled leaves it out"
    )  # fmt: skip


def test_only_one_zone_or_one_gateway(stage: Stage) -> None:
    stage.up()
    stage.zone("web1", "shop.example.org check=no")
    stage.zone("web2", "blog.example.org check=no", "shop.example.org")
    reply = routes(stage, zone="web2")
    assert [row.match for row in reply.routes] == ["blog.example.org/"] and len(reply.refused) == 1
    assert not routes(stage, zone="web1").refused
    assert not routes(stage, zone="edge").routes
    assert len(routes(stage, gateway="edge").routes) == 2 and len(routes(stage, gateway="edge").refused) == 1
    with pytest.raises(ZonehookError, match=r"there is no zone 'web9'.*there are: edge, web1, web2"):
        routes(stage, zone="web9")
    with pytest.raises(ZonehookError, match=r"there is no gateway 'edgy'.*there are: edge"):
        routes(stage, gateway="edgy")


def test_without_a_proxy_it_says_how_to_declare_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path, proxy=None)
    stage.zone("web1", "shop.example.org", state="installed")
    reply = routes(stage)
    assert not reply.routes and not reply.proxies and [row.code for row in reply.refused] == ["no-proxy"]
    assert 'no gateway has a proxy; [gateway.edge.proxy] with program = "haproxy" or "nginx"' in shown(reply)
    assert "GATEWAY" not in shown(reply)


def test_a_proxy_without_routes_says_so(stage: Stage) -> None:
    stage.up()
    assert shown(routes(stage)) == "no routes\n"


def test_who_leaves_and_who_is_drained_is_shown(stage: Stage) -> None:
    stage.up()
    stage.zone("web1", "shop.example.org check=no")
    stage.scribe.busy = {"web1"}

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await dispatcher.settled()
        request = Request(verb="drain", zone="web1", for_s=600, reason="ticket 42", wait=False)
        await answers.drain(request)
        await dispatcher.attended("edge")
        while of(reply := await asked(answers), "shop.example.org/")["web1"].state != "drain":
            await dispatcher.attended("edge")
        assert [(row.zone, row.reason) for row in reply.drained] == [("web1", "ticket 42")]
        assert "drained: zone web1, for another 10m: ticket 42" in shown(reply)
        assert "zone web1 is drained" in shown(reply)
        stage.admin.do("zonecfg", "-z", "web1", "remove attr name=zh.route0")
        await dispatcher.attended("web1")
        while not (reply := await asked(answers)).routes[0].backends[0].why.startswith("it is offered"):
            await dispatcher.attended("edge")
        leaving = of(reply, "shop.example.org/")["web1"]
        assert (leaving.state, leaving.why) == ("drain", "it is offered no more")

    async def asked(answers: RouteAnswers) -> RoutesReply:
        reply = await answers.routes(Request(verb="routes"))
        assert isinstance(reply, RoutesReply)
        return reply

    stage.play(scene)


def record(gateway: str, host: str, *seats: tuple[str, str]) -> Record:
    found = {}
    for number, (state, code) in enumerate(seats, 1):
        backend = Backend(ip_address(f"10.99.0.{number}"), 80, f"web{number}")
        found[backend.key] = Seat(backend, state, code)  # type: ignore[arg-type]
    return RouteBook(Match(host), "web1", "web", "", found).to_record(gateway, subject.gateway(gateway), "haproxy")


def test_what_is_counted() -> None:
    books = [
        record("edge", "a", ("in", "routed"), ("out", "unwell")),
        record("edge", "b", ("in", "held"), ("out", "held"), ("drain", "drained")),
        record("edge", "c"),
        record("far", "d", ("out", "not-running")),
    ]
    assert all(each.kind == ROUTE for each in books)
    found = counts(books)
    assert found.routes == {("edge", "served"): 2, ("edge", "unserved"): 1, ("far", "unserved"): 1}
    assert found.backends == {
        ("edge", "in"): 1, ("edge", "out"): 1, ("edge", "held"): 2, ("edge", "drain"): 1, ("far", "out"): 1,
    }  # fmt: skip
    assert found.held == {"edge": 1, "far": 0}


def test_a_held_backend_is_marked() -> None:
    seat = {"zone": "web1", "address": "fd00::2", "port": 80, "state": "in", "held": True, "since": 1.0, "why": "flaps"}
    row = {"gateway": "edge", "match": "shop/", "owner": "web1", "backends": [seat]}
    empty = {"gateway": "edge", "match": "blog/", "owner": "web1", "backends": []}
    out = Console(file=io.StringIO(), width=200, color_system=None)
    tables.routes(out, {"text": "", "proxies": [], "routes": [row, empty], "refused": [], "drained": []})
    assert isinstance(out.file, io.StringIO)
    assert "[fd00::2]:80  in, held" in out.file.getvalue() and "nobody is behind it" in out.file.getvalue()
