"""Who has nothing to do with a change notices nothing of it: a TCP stream through NAT, and 300 changes beside it."""

from __future__ import annotations

import signal

import pytest
from machine import Daemon, Machine, until
from test_gateway import CONFIG, FAR, boot, links_there, member, private_sources, quiet

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(600)]

ROUNDS, WAYS = 30, 10  # rounds of as many forwards that come, move and go: 300 rules changed


def ways(round_: int) -> str:
    """Forwards that move by one port each round: each round removes as many rules as it adds."""
    return "".join(
        f"[[gateway.edge.forward]]\nport = {10000 + round_ * WAYS + number}\n"
        f'to = "10.99.0.{50 + number}"\nto_port = 80\n'
        for number in range(WAYS)
    )


def test_a_stream_survives_three_hundred_changes(machine: Machine) -> None:
    host = machine
    host.do("zonelab", "outside", "capture", "start")
    host.serve("outside", "echo", FAR, "7")
    daemon = Daemon(host, CONFIG)
    daemon.start()
    member(host, "edge")
    member(host, "web1", "web")
    links_there(host, "edge_wan0", "edge_web0", "edge_db0", "web1_0")
    until(
        lambda: "edge_db0" in host.do("zonecfg", "-z", "edge", "export"), "the gateway's NICs are in its configuration"
    )
    boot(host, "edge", "web1")
    until(
        lambda: "open" in daemon.ask("gateways").out and host.inside("web1", "ping", "-c1", FAR).status == 0, "it is up"
    )

    log = "/var/log/stream.log"
    stream = host.start(*host.wire_argv("web1", ("stream", FAR, "7", "600")), log=log)
    until(lambda: host.do("ipnat", "-lR", "-z", "edge").count("<- ->"), "the stream has a session")
    changes = 0
    for number in range(ROUNDS):
        before = rules(host)
        daemon.configure(CONFIG + ways(number))
        host.signal(daemon.pid, signal.SIGHUP)
        until(lambda want=f"port {10000 + number * WAYS + 9} ": want in "\n".join(rules(host)), f"round {number}")  # type: ignore[misc]
        until(lambda gone=f"port {10000 + number * WAYS - 1} ": gone not in "\n".join(rules(host)), f"round {number}")  # type: ignore[misc]
        changes += len(set(rules(host)) ^ set(before))
        if number % 10 == 0:  # zones come and go as well
            member(host, f"guest{number}", "web")
            links_there(host, f"guest{number}_0")
            boot(host, f"guest{number}")
            host.delete(f"guest{number}")
    assert host.wait(stream, 0.1) is None, f"the stream still runs: {host.read(log)}"
    host.run("pkill", "-INT", "-f", "stream 198.51.100.1")
    assert host.wait(stream) == 0, host.read(log)
    came_back, longest_s = host.read(log).split()
    print(f"{came_back} lines came back, each at once or within {longest_s} s, while {changes} rules changed")
    assert int(came_back) > 1000 and float(longest_s) < 5.0
    assert changes >= 300, changes
    until(lambda: quiet(daemon) or "waits for zone" in daemon.ask("status").out, "everybody is well")
    asked = [entry["argv"] for entry in host.journal()]
    assert not any(argv[0] == "svcadm" and ("refresh" in argv or "restart" in argv) for argv in asked)
    assert not any(argv[0] == "ipnat" and any(w.startswith("-") and set("CF") & set(w) for w in argv) and "-z" in argv
                   for argv in asked)  # fmt: skip
    assert private_sources(host) == []


def rules(host: Machine) -> list[str]:
    return host.do("ipnat", "-lR", "-z", "edge").split("List of active sessions")[0].splitlines()[1:]
