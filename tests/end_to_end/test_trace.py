"""What trace says is what packets do: the same pairs asked of the daemon and of real packets, well and broken."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from machine import SET_UP_S, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

FAR = "198.51.100.1"  # a server far away: the lab's outside has it
CONFIG = """
[timing]
full_look_s = 3600  # what is broken by hand stays broken until the test says so
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
[network.db]
cidr = "10.98.0.0/24"
via = "edge"
[network.deep]
cidr = "10.97.0.0/24"
via = "inner"
[network.plain]
cidr = "10.96.0.0/24"
via = "router"
[network.lone]
cidr = "10.95.0.0/24"
isolated = true
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dns = "none"
dhcp = "none"
[gateway.edge.proxy]
program = "haproxy"
http = 0
https = 0
tcp_ports = [5432]
[[gateway.edge.forward]]
port = 9000
to = "web1"
to_port = 7000
[[gateway.edge.static]]
public = "192.0.2.20"
inside = "db1"
[gateway.inner]
outside = "web"
dhcp = "none"
dns = "none"
[gateway.router]
outside = "web"
nat = false
dhcp = "none"
dns = "none"
"""
MEMBERS = {
    "edge": "", "inner": "", "router": "", "web1": "web 10.99.0.11", "web2": "web 10.99.0.12", "db1": "db 10.98.0.11",
    "deep1": "deep 10.97.0.11", "plain1": "plain 10.96.0.11", "lone1": "lone 10.95.0.11", "lone2": "lone 10.95.0.12",
}  # fmt: skip


class Pair(NamedTuple):
    """`b` as trace is told; `to`: its address, for who sends packets. `port` 0: ping."""

    a: str
    b: str
    to: str
    port: int = 0


PAIRS = {
    "same network": Pair("web1", "web2", "10.99.0.12"),
    "two networks": Pair("web1", "db1", "10.98.0.11"),
    "two networks, the other way": Pair("db1", "web2", "10.99.0.12"),
    "out": Pair("web1", FAR, FAR),
    "one to one, out": Pair("db1", FAR, FAR),
    "its gateway, by network": Pair("web1", "web", "10.99.0.1"),
    "chained with NAT, out": Pair("deep1", FAR, FAR),
    "chained with NAT, to the middle": Pair("deep1", "web1", "10.99.0.11"),
    "chained with NAT, across": Pair("deep1", "db1", "10.98.0.11"),
    "into what is translated": Pair("web1", "deep1", "10.97.0.11"),
    "chained without NAT, out": Pair("plain1", FAR, FAR),
    "chained without NAT, across": Pair("plain1", "db1", "10.98.0.11"),
    "into what is routed": Pair("web1", "plain1", "10.96.0.11"),
    "across, into what is routed": Pair("db1", "plain1", "10.96.0.11"),
    "from what is translated into what is routed": Pair("deep1", "plain1", "10.96.0.11"),
    "isolated, among themselves": Pair("lone1", "lone2", "10.95.0.12"),
    "isolated, out": Pair("lone1", FAR, FAR),
    "isolated, to another network": Pair("lone1", "web1", "10.99.0.11"),
    "into what is isolated": Pair("web1", "lone1", "10.95.0.11"),
    "nobody's address": Pair("web1", "10.99.0.77", "10.99.0.77"),
    "a forward, from outside": Pair(FAR, "192.0.2.10", "192.0.2.10", 9000),
    "a forward, from a neighbour": Pair("web2", "192.0.2.10", "192.0.2.10", 9000),
    "one to one, from outside": Pair(FAR, "192.0.2.20", "192.0.2.20"),
    "one to one, from a neighbour": Pair("web1", "192.0.2.20", "192.0.2.20"),
    "a route through the proxy": Pair(FAR, "192.0.2.10", "192.0.2.10", 5432),
    "a hidden address, from outside": Pair(FAR, "web1", "10.99.0.11"),
    "a port of a neighbour": Pair("web2", "web1", "10.99.0.11", 7000),
}
UNREACHABLE = {
    "into what is translated", "isolated, out", "isolated, to another network", "into what is isolated",
    "nobody's address", "a hidden address, from outside",
}  # fmt: skip
Here = tuple[Machine, Daemon]


@pytest.fixture(scope="module")
def here() -> Iterator[Here]:
    host = Machine()
    daemon = Daemon(host, CONFIG)
    daemon.start()
    for name, wish in MEMBERS.items():
        own = f"set allowed-address={wish.split()[1]}/24; " if name.startswith("lone") else ""  # without a gateway
        net = f"add net; set physical={name}_0; {own}end; " if wish else ""
        attr = f'add attr; set name=zh.net0; set type=string; set value="{wish}"; end; ' if wish else ""
        if name == "web2":
            attr += 'add attr; set name=zh.route0; set type=string; set value="tcp=5432 port=7000"; end; '
        host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                f"set ip-type=exclusive; {net}{attr}")  # fmt: skip
        host.do("zoneadm", "-z", name, "install")
    links = {f"{name}_0" for name, wish in MEMBERS.items() if wish}
    sides = {"edge_wan0", "edge_web0", "edge_db0", "inner_web0", "inner_deep0", "router_web0", "router_plain0"}
    until(lambda: links | sides <= set(host.links()), "all links are there", SET_UP_S)
    assert host.control("apply") is not None
    host.do("sh", "-c", 'for zone do zoneadm -z "$zone" boot & done; wait', "boot", *MEMBERS)
    for zone in ("web1", "web2"):
        host.serve(zone, "serve", "tcp", "7000")
    settled(daemon)
    until(lambda: "'state': 'in'" in str(host.control("routes")), "the route has a backend", SET_UP_S)
    yield host, daemon
    daemon.stop()
    host.close()


@pytest.fixture(autouse=True)
def mended(here: Here) -> Iterator[None]:
    """Whatever a test breaks is right again before the next one."""
    yield
    settled(here[1])


def settled(daemon: Daemon) -> None:
    def quiet() -> bool:
        daemon.machine.control("apply")
        status = daemon.machine.control("status")
        return bool(status and status["ready"] and not status["trouble"])

    until(quiet, f"everybody is well: {daemon.ask('status').out}", SET_UP_S)


def packets(host: Machine, pairs: Sequence[Pair], wait_s: int) -> list[bool]:
    """Which of these real packets reach, and are answered; all are sent at once."""
    lines = []
    for number, pair in enumerate(pairs):
        where = "outside" if pair.a == FAR else pair.a
        ping = ("ping", "-c", "1", "-W", str(wait_s), pair.to)
        if pair.port:
            sent = Machine.wire_argv(where, ("ask", "tcp", pair.to, str(pair.port)))
        elif where == "outside":
            sent = ["zonelab", "outside", "run", "--", *ping]
        else:
            sent = ["zlogin", "-n", where, shlex.join(ping)]
        said = " | grep ." if pair.port else ""  # a proxy takes a connection that leads nowhere, and closes it
        lines.append(f"( ( {shlex.join(sent)}{said} ) >/dev/null 2>&1 </dev/null; echo {number} $? ) &")
    out = host.do("sh", "-c", "\n".join([*lines, "wait"]))
    statuses = dict(line.split() for line in out.splitlines())
    return [statuses[str(number)] == "0" for number in range(len(pairs))]


def traced(host: Machine, pair: Pair) -> dict[str, Any]:
    answer: dict[str, Any] = host.control("trace", zone=pair.a, target=pair.b, port=pair.port)
    assert answer is not None, pair
    return answer


def agree(here: Here, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Traces of these pairs, each of which says what packets do. Those that are said to arrive are given time to."""
    host, _ = here
    traces = {name: traced(host, PAIRS[name]) for name in names}
    arrived = lost = [name for name in names if not traces[name]["reachable"]]

    def none_arrives() -> bool:
        nonlocal arrived  # traced again: what was on its way to be well is so a moment later
        traces.update({name: traced(host, PAIRS[name]) for name in arrived if arrived is not lost})
        left = [name for name in arrived if not traces[name]["reachable"]]
        arrived = [name for name, did in zip(left, packets(host, [PAIRS[n] for n in left], 3), strict=True) if did]
        return not arrived

    try:
        until(none_arrives, "what trace says is lost does not arrive")
    except AssertionError:
        raise AssertionError({name: traces[name]["text"] for name in arrived}) from None
    left = [name for name in names if traces[name]["reachable"]]

    def all_arrive() -> bool:
        answers = packets(host, [PAIRS[name] for name in left], 5)
        left[:] = [name for name, did in zip(left, answers, strict=True) if not did]
        return not left

    try:
        until(all_arrive, "what trace says arrives does")
    except AssertionError:
        raise AssertionError(json.dumps({name: traces[name] for name in left}, indent=1)) from None
    return traces


def test_every_pair_while_all_is_well(here: Here) -> None:
    traces = agree(here, list(PAIRS))
    assert {name for name, answer in traces.items() if not answer["reachable"]} == UNREACHABLE, traces
    for name, answer in traces.items():
        broken = [hop for hop in answer["hops"] if hop["state"] == "broken"]
        assert bool(broken) is (name in UNREACHABLE), answer
        assert not broken or answer["cure"], answer
    out = traces["out"]
    rules = [hop["rule"] for hop in out["hops"] if hop["what"] == "nat"]
    assert rules[0] == "map edge_wan0 10.99.0.0/24 -> 192.0.2.10/32" and not out["sure"], out
    assert any(
        "sends tcp/5432 to web2 10.99.0.12:7000" in hop["text"] for hop in traces["a route through the proxy"]["hops"]
    )
    assert traces["same network"]["sure"], traces["same network"]


BEHIND_EDGE = ["two networks", "out", "chained with NAT, out", "chained without NAT, across", "same network"]


def ends(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Where it is broken: way, zone, what."""
    hop = answer["hops"][-1]
    assert hop["state"] == "broken" and hop["cure"] == answer["cure"] != "", answer
    return hop["way"], hop["at"], hop["what"]


def test_forwarding_is_off(here: Here) -> None:
    host, _ = here
    host.do("zlogin", "edge", "ipadm set-ifprop -t -p forwarding=off -m ipv4 edge_web0")
    traces = agree(here, [*BEHIND_EDGE, "a forward, from outside", "one to one, from outside"])
    assert ends(traces["out"]) == ends(traces["two networks"]) == ("there", "edge", "forwarding")
    assert "edge_web0" in traces["out"]["text"] and traces["same network"]["reachable"]
    assert ends(traces["a forward, from outside"]) == ("there", "edge", "forwarding")
    assert traces["one to one, from outside"]["reachable"]


def test_rules_are_flushed(here: Here) -> None:
    host, _ = here
    host.do("ipnat", "-CF", "-z", "edge")
    traces = agree(here, [*BEHIND_EDGE, "a forward, from outside", "one to one, from outside", "one to one, out"])
    assert ends(traces["out"]) == ends(traces["one to one, out"]) == ("there", "edge", "nat")
    assert traces["two networks"]["reachable"], "what is not translated goes on"
    assert "no rule is loaded: the gateway answers" in str(traces["one to one, from outside"]["hops"])


def test_rules_of_an_inner_gateway_are_flushed(here: Here) -> None:
    host, _ = here
    host.do("ipnat", "-CF", "-z", "inner")
    traces = agree(here, ["chained with NAT, out", "chained with NAT, across", "chained without NAT, out", "out"])
    assert ends(traces["chained with NAT, out"]) == ("there", "inner", "nat")
    assert traces["chained without NAT, out"]["reachable"] and traces["out"]["reachable"]


def test_a_link_is_deleted(here: Here) -> None:
    """Of a zone that is down, for nobody can take the link from one that runs; and nobody can make it again yet."""
    host, daemon = here
    host.fault("add", "fail", "dladm create-vnic *lone2_0*", "--times", "1000")
    host.do("zoneadm", "-z", "lone2", "halt")
    host.do("dladm", "delete-vnic", "lone2_0")
    traces = agree(here, ["isolated, among themselves"])
    assert ends(traces["isolated, among themselves"]) == ("there", "lone2", "link")
    checked = daemon.ask("check", "lone2")
    assert checked.status == 1 and checked.out.startswith("zone lone2: link lone2_0: lone2_0 does not exist"), checked
    host.fault("clear")
    until(lambda: host.control("apply") and "lone2_0" in host.links(), "the link is there again", SET_UP_S)
    host.do("zoneadm", "-z", "lone2", "boot")


def test_a_route_is_missing_on_one_way_only(here: Here) -> None:
    host, daemon = here
    host.do("zlogin", "db1", "route delete default 10.98.0.1")
    traces = agree(here, ["two networks", "two networks, the other way", "out"])
    assert ends(traces["two networks"]) == ("back", "db1", "route"), traces["two networks"]["text"]
    assert "the answer: at zone db1" in traces["two networks"]["text"]
    assert ends(traces["two networks, the other way"]) == ("there", "db1", "route")
    checked = daemon.ctl("check", "db1")
    assert checked["broken"] and checked["text"].startswith("zone db1: route default by 10.98.0.1"), checked["text"]
    host.do("zlogin", "db1", checked["cure"].removeprefix("zlogin db1 "))
    assert agree(here, ["two networks"])["two networks"]["reachable"], "the cure that check names"


def test_a_gateway_is_down(here: Here) -> None:
    host, daemon = here
    host.do("zoneadm", "-z", "edge", "halt")
    traces = agree(here, [*BEHIND_EDGE, "a forward, from outside", "one to one, from outside"])
    assert ends(traces["out"]) == ("there", "edge", "zone") and traces["out"]["cure"] == "zoneadm -z edge boot"
    assert traces["same network"]["reachable"]
    explained = daemon.ask("explain", "web1").out.splitlines()
    assert explained[0] == "zone web1: gateway edge: its zone is installed"
    assert explained[1] == "  cure: zoneadm -z edge boot"
    host.do("zoneadm", "-z", "edge", "boot")
    settled(daemon)
    assert agree(here, BEHIND_EDGE)["out"]["reachable"]


def test_a_zone_is_down(here: Here) -> None:
    host, _ = here
    host.do("zoneadm", "-z", "web2", "halt")
    until(lambda: host.control("explain", zone="web2")["state"] == "installed", "the daemon knows")
    until(lambda: "'state': 'out'" in str(host.control("routes")), "and the proxy")
    traces = agree(here, ["same network", "a route through the proxy"])
    assert ends(traces["same network"]) == ("there", "web2", "zone")
    assert ends(traces["a route through the proxy"]) == ("there", "edge", "proxy")
    host.do("zoneadm", "-z", "web2", "boot")
    host.serve("web2", "serve", "tcp", "7000")


def test_all_is_well_again_and_check_says_so(here: Here) -> None:
    host, daemon = here
    for name in MEMBERS:
        answer = host.control("check", zone=name)
        wrong = [row for row in answer["links"] if row["state"] not in ("ok", "not applicable")]
        assert not answer["broken"] and not wrong, (name, wrong)
    shown = daemon.ask("check", "web1")
    assert shown.status == 0 and shown.out.splitlines()[0].endswith("links of the chain are well"), shown
    assert daemon.ask("explain", "web1").out.splitlines()[0] == shown.out.splitlines()[0]


def test_the_exit_status_and_who_is_unknown(here: Here) -> None:
    _, daemon = here
    assert daemon.ask("trace", "web1", "db1").status == 0
    lost = daemon.ask("trace", "web1", "deep1")
    assert lost.status == 1 and lost.out.startswith("web1 does not reach deep1: "), lost
    nobody = daemon.ask("trace", "web1", "nobody")
    assert nobody.status == 1 and "'nobody' is nobody we know (hint: a zone" in nobody.err
    assert daemon.ask("trace", "web1").status == 64 and daemon.ask("trace", "web1", "db1", "--udp").status == 64
    assert "there is no zone 'nobody'" in daemon.ask("check", "nobody").err


def test_the_timeline_tells_one_change_from_event_to_end(here: Here) -> None:
    _, daemon = here
    answer = daemon.ctl("timeline", "db1")
    mine = [row for row in answer["entries"] if (row["kind"], row["name"]) == ("zone", "db1")]
    boot = next(row for row in mine if row["what"] == "plugin zone_address" and "ipadm" in row["text"])
    change = [row for row in mine if row["change"] == boot["change"]]
    whats = [row["what"] for row in change]
    assert "event" in whats and whats.index("look") < whats.index("plugin zone_address"), whats
    end = len(whats) - 1 - whats[::-1].index("settled")
    assert change[end]["seconds"] >= boot["seconds"] > 0, change
    # What the kernel said while that look was under way brings another one, which finds nothing to do.
    assert not any(what.startswith("plugin") for what in whats[end:]), whats
    lines = [line for line in daemon.lines() if line.get("change") == boot["change"] and line["event"] == "changed"]
    assert lines and lines[0]["zone"] == "db1" and lines[0]["heard"], daemon.tail()
    audit = daemon.audit()
    done = [line for line in audit if line.get("change") == boot["change"]]
    assert [line for line in done if "ipadm create-addr" in " ".join(line["argv"])], "the commands of that change"
    looks = {line["look"] for line in lines}
    assert [line for line in audit if line.get("look") in looks and line["kind"] == "look"], "and what was asked before"
    shown = daemon.ask("timeline", "db1", "--change", boot["change"]).out.splitlines()
    assert "when the daemon started" in shown[0] and any("plugin zone_address" in line for line in shown), shown
    assert daemon.ask("timeline", "nobody").status == 1
