"""`zonelab outside …`: the far side of the host's physical links, for tests. No illumos here."""

from __future__ import annotations

import argparse
import ipaddress
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lab import sniffer
from lab.call import Become, Call
from lab.sniffer import Capture, Flow, Packet
from lab.world import NotEmulated, Refused

if TYPE_CHECKING:
    from lab.outside import Outside  # it loads pyroute2, which the data-only floor does without

PROTOCOLS = ("tcp", "udp", "icmp", "icmp6", "arp")
INCOMPLETE = 3  # exit status: the number asked for is not known, because packets were forgotten or lost


def add_parsers(commands: Any) -> None:
    """Below `zonelab outside`; `commands` is what argparse's add_subparsers returned."""
    run = commands.add_parser("run", help="run a command in the outside network")
    run.add_argument("words", nargs="+", metavar="-- COMMAND")
    address = commands.add_parser("address", help="an address of the outside")
    address.add_argument("deed", choices=("add", "remove"))
    address.add_argument("address", metavar="ADDR/LEN")
    address.add_argument("link", nargs="?", default="net0", help="a physical link, or lo")
    route = commands.add_parser("route", help="a route of the outside")
    route.add_argument("deed", choices=("add", "remove"))
    route.add_argument("destination", metavar="CIDR")
    route.add_argument("via", choices=("via",))
    route.add_argument("gateway", metavar="ADDR")
    capture = commands.add_parser("capture", help="what crosses").add_subparsers(dest="deed", required=True)
    capture.add_parser("start", help="from now on; forget what an earlier capture has caught")
    capture.add_parser("stop", help="no further; what was caught stays askable")
    show = capture.add_parser("show", help="what was caught")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one object with packets, flows and counters")
    form.add_argument("--count", action="store_true", help="only how many packets")
    form.add_argument("--flows", action="store_true", help="each distinct source, destination and protocol, counted")
    show.add_argument("--src", type=ipaddress.ip_network, metavar="CIDR")
    show.add_argument("--dst", type=ipaddress.ip_network, metavar="CIDR")
    show.add_argument("--proto", choices=PROTOCOLS)
    show.add_argument("--port", type=int, metavar="N", help="source or destination port")


def main(call: Call, options: argparse.Namespace) -> int:
    """Exit status. Raises `Become` for `run`, `NotEmulated` on the data-only floor."""
    outside = call.world.floor.outside
    if outside is None:
        raise NotEmulated("the world outside on the data-only floor")
    if options.action == "run":
        raise Become(options.words, network=outside.network.fd)
    try:
        return _DEEDS[options.action](call, outside, options)
    except (Refused, ValueError) as problem:
        call.err(f"zonelab: outside {options.action}: {problem}\n")
        return 1


def _address(call: Call, outside: Outside, options: argparse.Namespace) -> int:
    outside.change_address(options.deed, options.address, options.link)
    return 0


def _route(call: Call, outside: Outside, options: argparse.Namespace) -> int:
    outside.change_route(options.deed, options.destination, options.gateway)
    return 0


def _capture(call: Call, outside: Outside, options: argparse.Namespace) -> int:
    if options.deed == "start":
        outside.start_capture()
        return 0
    if outside.capture is None:
        raise Refused("no capture was started")
    if options.deed == "stop":
        outside.capture.stop()
        return 0
    return _show(call, outside.capture, options)


_DEEDS: dict[str, Callable[[Call, Outside, argparse.Namespace], int]] = {
    "address": _address,
    "route": _route,
    "capture": _capture,
}


def _show(call: Call, capture: Capture, options: argparse.Namespace) -> int:
    packets = [each for each in capture.packets() if _matches(each, options)]
    flows = {flow: count for flow, count in capture.flows().items() if _belongs(flow, options)}
    if capture.lost or capture.flows_forgotten:
        call.err(f"zonelab: {capture.lost} packets lost unread, {capture.flows_forgotten} of too many flows\n")
    if options.json:
        call.out(json.dumps(_report(capture, packets, flows)) + "\n")
    elif options.count:
        return _count(call, capture, len(packets) if options.port else sum(flows.values()), bool(options.port))
    elif options.flows:
        call.out("".join(f"{flow.proto} {flow.src} > {flow.dst} {count}\n" for flow, count in flows.items()))
    else:
        if capture.forgotten:
            call.err(f"zonelab: the last {sniffer.WINDOW} packets; {capture.forgotten} before them are forgotten\n")
        call.out("".join(_line(packet) for packet in packets))
    return 0


def _count(call: Call, capture: Capture, number: int, by_port: bool) -> int:
    call.out(f"{number}\n")
    if not capture.lost and not capture.flows_forgotten and not (by_port and capture.forgotten):
        return 0
    call.err("zonelab: at least; packets were lost or forgotten\n")
    return INCOMPLETE


def _matches(packet: Packet, options: argparse.Namespace) -> bool:
    return _belongs(packet.flow, options) and (options.port is None or options.port in (packet.sport, packet.dport))


def _belongs(flow: Flow, options: argparse.Namespace) -> bool:
    if options.proto not in (None, flow.proto):
        return False
    return _within(flow.src, options.src) and _within(flow.dst, options.dst)


def _within(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network | None) -> bool:
    if network is None:
        return True
    try:
        return ipaddress.ip_address(text) in network
    except ValueError:
        return False  # a MAC


def _report(capture: Capture, packets: list[Packet], flows: dict[Flow, int]) -> dict[str, object]:
    rows = [
        {
            "time": round(packet.time, 6), "link": packet.link, "direction": packet.direction, **vars(packet.flow),
            "sport": packet.sport, "dport": packet.dport, "mac": packet.mac,
        }
        for packet in packets
    ]  # fmt: skip
    return {
        "running": capture.running,
        "seen": capture.seen,
        "forgotten": capture.forgotten,
        "lost": capture.lost,
        "flows_forgotten": capture.flows_forgotten,
        "packets": rows,
        "flows": [{**vars(flow), "count": count} for flow, count in flows.items()],
    }


def _line(packet: Packet) -> str:
    flow = packet.flow
    clock = time.strftime("%H:%M:%S", time.gmtime(packet.time)) + f"{packet.time % 1:.6f}"[1:]
    if packet.sport is None:
        return f"{clock} {packet.direction} {packet.link} {flow.proto} {flow.src} > {flow.dst}\n"
    return (
        f"{clock} {packet.direction} {packet.link} {flow.proto} {flow.src}.{packet.sport} > {flow.dst}.{packet.dport}\n"
    )
