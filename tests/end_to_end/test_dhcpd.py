"""Zones get their leases from the real dhcpd: through OMAPI in the global zone, from a file in a gateway zone."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from machine import SET_UP_S, Daemon, Machine, until
from test_gateway import boot, links_there, member, quiet

pytestmark = pytest.mark.namespaces

FMRI = "svc:/network/service/dhcp:ipv4"
OURS = "/etc/dhcpd.d/zonehookd.conf"
KEY = "/etc/dhcpd.d/zonehookd-omapi.conf"
LEASES = "/var/db/dhcpd.leases"
FOREIGN = "# my own\nsubnet 203.0.113.0 netmask 255.255.255.0 { }\nhost nas { hardware ethernet 0:1:2:3:4:5; }"
PLUGINS = """
[plugins]
enabled = [
    "etherstub", "pool", "address", "vnic", "gateway_nic", "boot_again", "nat", "gateway", "zone_address", "dhcpd",
]
"""
CONFIG = f"""
{PLUGINS}
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.lan]
cidr = "10.97.0.0/24"
via = "global"
address_by = "dhcp"
domain = "example.org"
[network.lan.dhcp]
ntp = ["10.97.0.9"]
[network.lan.dhcp.options]
224 = "ff:01"
225 = "of the network"
[network.lan.dhcp.zones.app1]
225 = "its own"
121 = "10.5.0.0/16 10.97.0.7"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
address_by = "dhcp"
[network.db]
cidr = "10.98.0.0/24"
via = "edge"
address_by = "dhcp"
pool = ["10.98.0.2-10.98.0.99"]
[network.db.dhcp]
dynamic = ["10.98.0.200-10.98.0.210"]
[gateway.global]
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "dhcpd"
"""
# A zone of network web, for xargs: one process each, so that a burst is one also where starting processes takes long.
AT_ONCE = """create -b; set zonepath=/zones/@; set brand=sparse; set ip-type=exclusive
add net; set physical=@_0; end; add attr; set name=zh.net0; set type=string; set value=web; end"""
World = tuple[Machine, Daemon]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A network behind the global zone, whose admin has a configuration of his own, and two behind a gateway zone.

    On OmniOS, where dhcpd is what the system has.
    """
    host = Machine("--omnios")
    host.write("/etc/dhcpd.conf", FOREIGN)
    daemon = Daemon(host, CONFIG)
    daemon.start()
    member(host, "edge")
    member(host, "app1", "lan")
    member(host, "web1", "web", "db")
    links_there(host, "edge_web0", "edge_db0", "app1_0", "web1_0", "web1_1")
    boot(host, "edge", "app1", "web1")
    until(lambda: quiet(daemon), f"everybody is well: {daemon.ask('status').out}", SET_UP_S)
    yield host, daemon
    daemon.stop()
    host.close()


def soon(daemon: Daemon, check: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    """`until`, and what the daemon says when it does not happen."""
    try:
        until(check, what, seconds)
    except AssertionError as problem:
        said = [str(problem), daemon.ask("status").out, daemon.ask("plan").out, daemon.tail()]
        raise AssertionError("\n".join(said)) from None


def lease(host: Machine, zone: str, link: str) -> dict[str, Any]:
    """What a client in the zone is given: its address and the options."""
    host.run("zlogin", zone, f"ipadm delete-addr {link}/v4")
    host.do("zlogin", zone, f"ipadm create-addr -t -T dhcp -w 60 {link}/v4")
    given: dict[str, Any] = json.loads(host.do("zonelab", "lease", zone, link))
    return {"address": given["address"], **{each["name"]: each["value"] for each in given["options"].values()}}


def contract(host: Machine, zone: str = "global") -> str:
    """Another one after every restart."""
    return host.do("svcs", "-H", "-o", "ctid", "-z", zone, FMRI).strip()


def state(host: Machine, zone: str = "global") -> str:
    return host.do("svcs", "-H", "-o", "state", "-z", zone, FMRI).strip()


def restarts(host: Machine, zone: str) -> int:
    """How often dhcpd was told to restart there, by whomever."""
    told = [each["argv"] for each in host.journal() if each["argv"][0].endswith("svcadm")]
    return len([argv for argv in told if "restart" in argv and ("-z" in argv) is (zone != "global")])


def text(host: Machine, path: str) -> str:
    """ "" when it is not there."""
    return host.run("cat", path).out


def test_in_the_global_zone_a_lease_comes_through_omapi(world: World) -> None:
    host, _ = world
    given = lease(host, "app1", "app1_0")
    assert given["address"] == "10.97.0.2/24"
    assert given["routers"] == ["10.97.0.1"]
    assert (given["host-name"], given["domain-name"], given["interface-mtu"]) == ("app1", "lan.example.org", 1500)
    assert (given["domain-name-servers"], given["ntp-servers"]) == (["10.97.0.1"], ["10.97.0.9"])
    assert (given["lease-time"], given["server-identifier"]) == (300, ["10.97.0.1"])
    assert "host " not in text(host, OURS)


def test_options_without_a_name_reach_who_asks_for_them(world: World) -> None:
    host, _ = world
    host.write("/zones/app1/root/tmp/show", "#!/bin/sh\n[ $1 != bound ] || env > /tmp/given\n")
    host.do("zlogin", "app1", "chmod 755 /tmp/show")
    host.do("zlogin", "app1", "udhcpc -i app1_0 -f -q -n -O 121 -O 224 -O 225 -s /tmp/show")
    given = dict(line.split("=", 1) for line in host.do("zlogin", "app1", "cat /tmp/given").splitlines() if "=" in line)
    assert (given["opt224"], bytes.fromhex(given["opt225"])) == ("ff01", b"its own")
    assert given["staticroutes"].strip() == "10.5.0.0/16 10.97.0.7"


def test_in_a_gateway_zone_a_lease_comes_from_the_file(world: World) -> None:
    host, _ = world
    assert lease(host, "web1", "web1_0")["routers"] == ["10.99.0.1"]
    second = lease(host, "web1", "web1_1")
    assert second["address"] == "10.98.0.2/24" and "routers" not in second, "option 3 is absent on the wire"


def test_strangers_are_served_where_they_may_be_and_nowhere_else(world: World) -> None:
    host, _ = world
    for stub, served in (("db0", True), ("web0", False), ("lan0", False)):
        host.do("dladm", "create-vnic", "-l", stub, "stranger0")
        host.run("ipadm", "create-addr", "-t", "-T", "dhcp", "-w", "40" if served else "4", "stranger0/v4")
        given = host.run("zonelab", "lease", "global", "stranger0")
        assert (given.status == 0) is served, (stub, given)
        assert not served or json.loads(given.out)["address"] in {f"10.98.0.{last}/24" for last in range(200, 211)}
        host.do("ipadm", "delete-if", "stranger0")
        host.do("dladm", "delete-vnic", "stranger0")


def test_nobody_is_served_on_the_outer_side(world: World) -> None:
    host, _ = world
    asked = host.run("zonelab", "outside", "run", "--", "udhcpc", "-i", "net0", "-f", "-q", "-n", "-t", "3", "-T", "1",
                     "-s", "/bin/true")  # fmt: skip
    assert asked.status == 1 and "no lease" in asked.err, asked


def test_a_look_asks_each_question_once(world: World) -> None:
    _, daemon = world
    daemon.settle()  # else a part of the look that is under way is counted
    before = len(daemon.audit())
    daemon.settle()
    asked = [" ".join(each["argv"]) for each in daemon.audit()[before:]]
    inside_edge = [line for line in asked if "-z edge" in line or line.startswith("zlogin -n edge")]
    questions = ("/etc/dhcpd.conf", f"svcs -H -o state,nstate,ctid,fmri -z edge {FMRI}", "listen_ifnames", "show-addr")
    counts = {question: len([line for line in inside_edge if question in line]) for question in questions}
    assert len(set(counts.values())) == 1 and counts["show-addr"] <= 2, counts  # one look may be under way
    assert not [line for line in asked if "illumos.omapi" in line or " -t -4 " in line], "and troubles no server"


def test_the_admins_file_has_one_block_more_and_his_service_listens_where_it_did(world: World) -> None:
    host, _ = world
    block = f'# BEGIN zonehookd dhcpd\ninclude "{OURS}";\n# END zonehookd dhcpd'
    assert text(host, "/etc/dhcpd.conf") == f"{FOREIGN}\n{block}"
    listens = host.do("svcprop", "-p", "config/listen_ifnames", FMRI)
    assert listens.strip() in ("", '""'), "he has a subnet and named no interface: all that have one, as before"
    inner = host.do("svcprop", "-z", "edge", "-p", "config/listen_ifnames", FMRI).split()
    assert inner == ["edge_db0", "edge_web0"], "never the outer side"


def test_the_key_is_roots_alone_and_nowhere_else(world: World) -> None:
    host, daemon = world
    secret = text(host, KEY).partition('secret "')[2].partition('"')[0]
    assert len(secret) == 44
    assert host.do("stat", "-c", "%a %U", KEY).split()[0] == "600"
    assert secret not in text(host, OURS) + text(host, daemon.log) + text(host, "/var/log/zonehookd/audit.jsonl")
    assert secret not in daemon.ask("--json", "plan").out
    assert host.run("grep", "-rlF", secret, "/var/lib/zonehookd").status == 1


def test_a_new_zone_in_the_global_zones_network_restarts_nothing(world: World) -> None:
    host, daemon = world
    before = contract(host)
    for name in ("app2", "app3", "app4"):
        member(host, name, "lan")
    soon(
        daemon,
        lambda: all(f"-{name}_0-" in text(host, LEASES) for name in ("app2", "app3", "app4")),
        "reserved, not booted",
    )
    boot(host, "app2")
    assert lease(host, "app2", "app2_0")["address"].startswith("10.97.0.")
    for name in ("app2", "app3", "app4"):
        host.delete(name)
    soon(daemon, lambda: reserved(host) == {"app1_0"}, f"their reservations are gone: {reserved(host)}")
    assert contract(host) == before
    bursts = [each for each in daemon.audit() if "zonehookd.illumos.omapi" in each["argv"]]
    assert all(each["stdin"] == "(hidden)" for each in bursts)


def reserved(host: Machine) -> set[str]:
    """Links of the hosts that the global zone's dhcpd has through OMAPI, the newest word on each."""
    last: dict[str, bool] = {}
    name = ""
    for line in text(host, LEASES).splitlines():
        words = line.split()
        if words[:1] == ["host"]:
            name = words[1]
            last[name] = True
        elif words == ["deleted;"]:
            last[name] = False
    return {name.split("-")[1] for name, there in last.items() if there}


def test_a_burst_of_zones_behind_a_gateway_zone_is_few_restarts(world: World) -> None:
    host, daemon = world
    before = restarts(host, "edge")
    names = [f"burst{number}" for number in range(8)]
    host.do("xargs", "-P", "8", "-I@", "zonecfg", "-z", "@", AT_ONCE, stdin="".join(f"{name}\n" for name in names))
    soon(daemon, lambda: all(f"zonehookd-{name}_0 " in inside(host) for name in names), "all are reserved")
    soon(daemon, lambda: quiet(daemon), "everybody is well")
    assert 1 <= restarts(host, "edge") - before <= 6
    host.do("zoneadm", "-z", "burst7", "install")
    boot(host, "burst7")
    assert lease(host, "burst7", "burst7_0")["address"].startswith("10.99.0.")
    for name in names:
        host.delete(name)
    soon(daemon, lambda: "burst" not in inside(host), "and are gone with their zones")


def inside(host: Machine) -> str:
    return host.do("zlogin", "edge", "cat", OURS)


def test_a_dhcpd_that_was_killed_or_switched_off_serves_again(world: World) -> None:
    host, daemon = world
    host.do("sh", "-c", f"pkill -KILL -c $(svcprop -p restarter/contract {FMRI})")
    soon(
        daemon,
        lambda: state(host) == "online" and lease(host, "app1", "app1_0")["address"] == "10.97.0.2/24",
        "it is back",
    )
    host.do("svcadm", "-z", "edge", "disable", "-s", FMRI)
    daemon.settle()
    soon(daemon, lambda: state(host, "edge") == "online", "it is on again")
    assert lease(host, "web1", "web1_0")["address"] == "10.99.0.2/24"


def test_what_was_deleted_or_altered_by_hand_is_put_right(world: World) -> None:
    host, daemon = world
    host.do("rm", OURS)
    host.do("chmod", "644", KEY)
    daemon.settle()
    soon(daemon, lambda: "10.97.0.0" in text(host, OURS), "our file is back")
    assert host.do("stat", "-c", "%a", KEY) == "600\n"
    host.do("zlogin", "edge", f"sh -c 'echo nonsense >> {OURS}'")
    daemon.settle()
    soon(daemon, lambda: "nonsense" not in inside(host), "and the one in the gateway zone")
    host.do("rm", LEASES)
    daemon.settle()
    soon(daemon, lambda: reserved(host) == {"app1_0"}, "the reservations are back after the lease file was lost")
    assert lease(host, "app1", "app1_0")["address"] == "10.97.0.2/24"


def test_a_new_key_is_taken_by_the_server(world: World) -> None:
    host, daemon = world
    host.do("rm", KEY)
    daemon.settle()
    soon(daemon, lambda: quiet(daemon), "a new one was made, and the server has it")
    member(host, "app5", "lan")
    soon(daemon, lambda: "app5_0" in reserved(host), "reservations still reach it")
    host.delete("app5")
    soon(daemon, lambda: "app5_0" not in reserved(host), "and leave it")


def test_a_main_file_that_was_broken_by_hand_is_not_made_live(world: World) -> None:
    host, daemon = world
    good, before = text(host, "/etc/dhcpd.conf"), contract(host)
    host.write("/etc/dhcpd.conf", good.replace("# my own", "option no-such 1;"))
    daemon.configure(CONFIG.replace("10.97.0.9", "10.97.0.8"))
    host.signal(daemon.pid, signal.SIGHUP)
    soon(daemon, lambda: "unknown option dhcp.no-such" in daemon.ask("status").out, "status has its own words")
    assert contract(host) == before and state(host) == "online" and "10.97.0.9" in text(host, OURS)
    host.write("/etc/dhcpd.conf", good)
    daemon.settle()
    soon(daemon, lambda: quiet(daemon) and "10.97.0.8" in text(host, OURS), "mended, and taken")
    assert lease(host, "app1", "app1_0")["ntp-servers"] == ["10.97.0.8"]
    daemon.configure(CONFIG)
    host.signal(daemon.pid, signal.SIGHUP)
    soon(daemon, lambda: quiet(daemon) and "10.97.0.9" in text(host, OURS), "as it was")


@pytest.mark.parametrize("moment", ["caller-before", "caller-after"])
@pytest.mark.parametrize("command", ["*dhcpd -t -4*", "svcadm restart*"])
def test_killed_on_the_way_to_a_restart(world: World, moment: str, command: str) -> None:
    host, daemon = world
    host.fault("add", moment, command)
    other = CONFIG.replace("10.97.0.9", "10.97.0.8")
    daemon.configure(other)
    host.signal(daemon.pid, signal.SIGHUP)
    assert host.wait(daemon.pid) == -signal.SIGKILL, "it was killed there"
    host.fault("clear")
    daemon.start()
    soon(daemon, lambda: quiet(daemon) and "10.97.0.8" in text(host, OURS), "its next life has finished it")
    assert lease(host, "app1", "app1_0")["ntp-servers"] == ["10.97.0.8"]
    daemon.configure(CONFIG)
    host.signal(daemon.pid, signal.SIGHUP)
    soon(daemon, lambda: quiet(daemon) and "10.97.0.9" in text(host, OURS), "as it was")
    soon(daemon, lambda: not host.do("find", "/etc/dhcpd.d", "-name", "*candidate*"), "nothing to be tested is left")


def test_from_omapi_to_the_file_and_back(world: World) -> None:
    host, daemon = world
    daemon.configure(CONFIG + '[plugins.options.dhcpd]\nmethod = "restart"\n')
    host.signal(daemon.pid, signal.SIGHUP)
    soon(
        daemon,
        lambda: "host zonehookd-app1_0 {" in text(host, OURS) and not reserved(host),
        "in the file, and only there",
    )
    soon(daemon, lambda: quiet(daemon) and not text(host, KEY) and "omapi" not in text(host, OURS), "OMAPI is off")
    assert lease(host, "app1", "app1_0")["address"] == "10.97.0.2/24"
    daemon.configure(CONFIG)
    host.signal(daemon.pid, signal.SIGHUP)
    soon(daemon, lambda: reserved(host) == {"app1_0"} and "host " not in text(host, OURS), "through OMAPI again")
    soon(daemon, lambda: quiet(daemon), "everybody is well")
    assert lease(host, "app1", "app1_0")["address"] == "10.97.0.2/24"


def test_the_gateway_zone_reboots_and_serves_again(world: World) -> None:
    host, daemon = world
    host.do("zoneadm", "-z", "edge", "halt")
    host.do("zoneadm", "-z", "edge", "boot")
    soon(daemon, lambda: quiet(daemon) and state(host, "edge") == "online", "all back")
    assert lease(host, "web1", "web1_0")["address"] == "10.99.0.2/24"


def test_created_again_over_its_old_files_and_lent_to_its_admin(world: World) -> None:
    """No record says any more who enabled its dhcpd."""
    host, daemon = world
    host.write("/etc/edge.cfg", host.do("zonecfg", "-z", "edge", "export"))
    daemon.may_lose("web", "db")
    host.do("zoneadm", "-z", "edge", "halt")
    host.do("zonecfg", "-z", "edge", "delete", "-F")
    soon(daemon, lambda: "edge_web0" not in host.links(), "its NICs are gone")
    host.do("zonecfg", "-z", "edge", "-f", "/etc/edge.cfg")
    host.do("zoneadm", "-z", "edge", "attach", "-F")
    links_there(host, "edge_web0", "edge_db0")
    boot(host, "edge")
    soon(daemon, lambda: quiet(daemon) and state(host, "edge") == "online", "it serves again")
    daemon.may_lose("web", "db")
    external = CONFIG.partition("[gateway.edge]")[0] + '[gateway.edge]\nkind = "external"\n'
    for declared, then in ((external, "disabled"), (CONFIG, "online")):
        daemon.configure(declared)
        host.signal(daemon.pid, signal.SIGHUP)
        soon(daemon, lambda then=then: state(host, "edge") == then, f"dhcpd is {then}")  # type: ignore[misc]
    soon(daemon, lambda: quiet(daemon), "everybody is well")
    assert lease(host, "web1", "web1_0")["address"] == "10.99.0.2/24"


def test_nothing_is_left_when_nothing_is_declared(world: World) -> None:
    host, daemon = world
    daemon.may_lose("wan", "lan", "web", "db")
    daemon.configure(PLUGINS)
    host.signal(daemon.pid, signal.SIGHUP)
    soon(daemon, lambda: state(host) == "disabled" and state(host, "edge") == "disabled", "as before us")
    soon(daemon, lambda: text(host, "/etc/dhcpd.conf") == FOREIGN, "the admin's file is as he wrote it")
    soon(daemon, lambda: not host.do("find", "/etc/dhcpd.d", "-type", "f"), "no file of ours is there")
    soon(daemon, lambda: host.run("zlogin", "edge", "cat /etc/dhcpd.conf").status != 0, "nor in the gateway zone")
    soon(daemon, lambda: host.do("zlogin", "edge", "find", "/etc/dhcpd.d", "-type", "f") == "", "no file at all")
    assert reserved(host) == set()
    for name in ("app1", "web1", "edge"):
        host.delete(name)
    soon(daemon, lambda: host.links() == ["net0"], f"nothing is left: {host.links()}")
