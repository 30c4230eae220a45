"""Interfaces, addresses and forwarding, in the global zone and in zones [network 4]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import datalinks, ip, ip_boot
from lab.dispatch import Completed
from lab.faults import Fault
from lab.tests.typed import Host
from lab.world import KernelZone, Refused, Route, Status


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """gw0 is persistent, tmp0 is not; both in the global zone."""
    host = Host(tmp_path)
    host.ok(
        "dladm create-etherstub stub0",
        "dladm set-linkprop -p mtu=1500 stub0",
        "dladm create-vnic -l stub0 -m 2:8:20:ab:cd:1 gw0",
        "dladm create-vnic -t -l stub0 tmp0",
    )
    return host


@pytest.fixture
def web1(host: Host) -> KernelZone:
    """An exclusive-IP zone that holds web1_0."""
    zone = host.zone("web1")
    host.world.path("/zones/web1/root").mkdir(parents=True)
    host.ok("dladm create-vnic -l stub0 web1_0", "dladm set-linkprop -t -p zone=web1 web1_0")
    return zone


def fails(host: Host, line: str, text: str, zone: str = "global") -> None:
    """The quirk: the message's newline is on stdout."""
    assert host(line, zone) == Completed(1, "\n", f"ipadm: {text}")


def objects(host: Host, zone: str = "global") -> list[str]:
    return host("ipadm show-addr -p -o addrobj,type,state,addr", zone).out.splitlines()


LO = ["lo0/v4:static:ok:127.0.0.1/8", "lo0/v6:static:ok:\\:\\:1/128"]


# interfaces ---------------------------------------------------------------------------------------------------------


def test_interfaces(host: Host) -> None:
    host.ok("ipadm create-if gw0", "ipadm create-addr -T static -a 10.0.0.1/24 gw0/v4")
    host.prints(
        "ipadm show-if",
        "IFNAME     CLASS     STATE    CURRENT      PERSISTENT\n"
        "lo0        VIRTUAL   ok       -m-v------46 ---\n"
        "gw0        IP        ok       bm--------46 -46\n",
    )
    host.prints("ipadm show-if -p -o ifname,state", "lo0:ok\ngw0:ok\n")
    host.ok("ipadm delete-if gw0")
    assert objects(host) == LO


def test_what_interfaces_refuse(host: Host, web1: KernelZone) -> None:
    host.ok("ipadm create-if gw0")
    fails(host, "ipadm create-if gw0", "Could not create gw0 : Interface already exists")
    fails(host, "ipadm create-if x0", "Could not create x0 : Could not open DLPI link")
    fails(host, "ipadm create-if stub0", "Could not create stub0 : Could not open DLPI link")
    fails(host, "ipadm create-if web1_0", "Could not create web1_0 : Interface already in use")
    fails(host, "ipadm create-if tmp0", "Could not create tmp0 : Persistent operation on temporary object")
    fails(host, "ipadm delete-if x0", "Could not delete x0: Interface does not exist")
    fails(host, "ipadm show-if x0", "Could not get interface(s): Interface does not exist")
    host.ok("ipadm create-if -t tmp0")


# addresses ----------------------------------------------------------------------------------------------------------


def test_show_addr(host: Host) -> None:
    host.ok("ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4")
    host.prints(
        "ipadm show-addr",
        "ADDROBJ           TYPE     STATE        ADDR\n"
        "lo0/v4            static   ok           127.0.0.1/8\n"
        "gw0/v4            static   ok           10.0.0.2/24\n"
        "lo0/v6            static   ok           ::1/128\n",
    )
    assert objects(host) == [LO[0], "gw0/v4:static:ok:10.0.0.2/24", LO[1]]
    host.prints("ipadm show-addr -p -o addr gw0/v4", "10.0.0.2/24\n")
    host.prints("ipadm show-addr -p -o addrobj gw0/", "gw0/v4\n")
    assert host("ipadm") == host("ipadm show-addr")


def test_what_show_addr_refuses(host: Host) -> None:
    fails(host, "ipadm show-addr -p", "-p requires -o")
    fails(host, "ipadm show-addr gw0", "Invalid address object name provided")
    fails(host, "ipadm show-addr gw0/v4", "Address object not found")
    fails(host, "ipadm show-addr gw0/", "Could not get address: Interface does not exist")


def test_create_addr_plumbs_by_itself_and_takes_several(host: Host) -> None:
    host.ok(
        "ipadm create-addr -T static -a local=10.0.0.2/24 gw0/v4",
        "ipadm create-addr -T static -a 10.0.1.2/24 gw0/b",
    )
    assert objects(host)[1:3] == ["gw0/v4:static:ok:10.0.0.2/24", "gw0/b:static:ok:10.0.1.2/24"]


@pytest.mark.parametrize(("address", "full"), [("10.0.0.2", "10.0.0.2/8"), ("172.16.0.2", "172.16.0.2/16"),
                                               ("192.168.1.2", "192.168.1.2/24")])  # fmt: skip
def test_without_a_length_the_class_decides(host: Host, address: str, full: str) -> None:
    host.ok(f"ipadm create-addr -T static -a {address} gw0/v4")
    host.prints("ipadm show-addr -p -o addr gw0/v4", f"{full}\n")


def test_what_create_addr_refuses(host: Host) -> None:
    host.ok("ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4")
    for arguments, text in (
        ("-T static -a 10.0.0.3/24 gw0/v4", "Could not create address: Address object already exists"),
        ("-T static -a 10.0.0.2/24 gw0/b", "Could not create address: Address already in use"),
        ("-T static -a 10.0.0.9/24 x0/v4", "Could not create address: Could not open DLPI link"),
        ("-T static -a 10.0.0.9/24 tmp0/v4", "Could not create address: Persistent operation on temporary object"),
        ("-T static -a 10.0.0.999 gw0/b", "Error in setting local address: Invalid address"),
        ("-T magic gw0/b", "Invalid address type magic"),
    ):
        fails(host, f"ipadm create-addr {arguments}", text)
    host.prints("ipadm show-if -p -o ifname", "lo0\ngw0\n")  # what was plumbed on the way is gone


@pytest.mark.parametrize("name", ["gw0/web_1", "gw0/1v", "gw0/", "gw0", "/v4", "gw0/" + "a" * 32])
def test_bad_names_of_address_objects(host: Host, name: str) -> None:
    done = host(f"ipadm create-addr -T static -a 10.0.0.2/24 {name}")
    assert (done.status, done.out) == (1, "\n")
    assert done.err.startswith(f"ipadm: invalid address object name: {name}\nusage: ")
    assert not done.err.endswith("\n")


def test_temporary_and_persistent_do_not_mix(host: Host) -> None:
    host.ok("ipadm create-if -t gw0")
    fails(
        host,
        "ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4",
        "Could not create address: Persistent operation on temporary object",
    )
    fails(
        host,
        "ipadm set-ifprop -p forwarding=on -m ipv4 gw0",
        "set-ifprop: forwarding: Persistent operation on temporary object",
    )
    host.ok("ipadm create-addr -t -T static -a 10.0.0.2/24 gw0/v4")


def test_deleting_addresses(host: Host) -> None:
    host.ok("ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4", "ipadm delete-addr gw0/v4")
    fails(host, "ipadm delete-addr gw0/v4", "could not delete address: Object not found")
    host.prints("ipadm show-if -p -o ifname,state", "lo0:ok\ngw0:down\n")


def test_down_and_up(host: Host) -> None:
    host.ok("ipadm create-addr -d -T static -a 10.0.0.2/24 gw0/v4")
    assert objects(host)[1] == "gw0/v4:static:down:10.0.0.2/24"
    host.ok("ipadm up-addr gw0/v4")
    assert objects(host)[1] == "gw0/v4:static:ok:10.0.0.2/24"
    host.ok("ipadm down-addr -t gw0/v4")
    assert objects(host)[1] == "gw0/v4:static:down:10.0.0.2/24"


def test_ipv6_needs_its_link_local_first(host: Host) -> None:
    done = host("ipadm create-addr -T static -a 2001:db8::2/64 gw0/v6")
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: ")
    host.ok("ipadm create-addr -T addrconf gw0/ll", "ipadm create-addr -T static -a 2001:db8::2/64 gw0/v6")
    assert objects(host)[2:] == [
        "gw0/ll:addrconf:ok:fe80\\:\\:8\\:20ff\\:feab\\:cd01%gw0/10",
        "gw0/v6:static:ok:2001\\:db8\\:\\:2/64",
    ]


def test_a_killed_create_addr_leaves_its_name_taken(host: Host) -> None:
    host.world.faults.add(Fault("kill", "ipadm create-addr *"))
    assert host("ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4").status == 137
    assert objects(host) == LO
    fails(
        host,
        "ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4",
        "Could not create address: Address object already exists",
    )
    host.ok("ipadm delete-addr gw0/v4", "ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4")


def test_a_floor_that_refuses_changes_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refused("Operation failed")

    monkeypatch.setattr(host.world.floor, "add_address", refuse)
    fails(host, "ipadm create-addr -T static -a 10.0.0.2/24 gw0/v4", "Could not create address: Operation failed")
    host.prints("ipadm show-if -p -o ifname", "lo0\n")


# properties ---------------------------------------------------------------------------------------------------------


def test_forwarding(host: Host) -> None:
    host.ok("ipadm create-if gw0")
    host.prints(
        "ipadm show-ifprop -p forwarding -m ipv4 gw0",
        "IFNAME      PROPERTY        PROTO PERM CURRENT    PERSISTENT DEFAULT    POSSIBLE\n"
        "gw0         forwarding      ipv4  rw   off        --         off        on,off\n",
    )
    host.prints(
        "ipadm show-prop -p forwarding ipv4",
        "PROTO PROPERTY              PERM CURRENT      PERSISTENT   DEFAULT      POSSIBLE\n"
        "ipv4  forwarding            rw   off          --           off          on,off\n",
    )
    host.ok("ipadm set-prop -t -p forwarding=on ipv4", "ipadm set-prop -t -p forwarding=on ipv4")
    host.prints("ipadm show-prop -c -o current,persistent -p forwarding ipv4", "on:\n")
    host.prints("ipadm show-ifprop -c -o ifname,current -p forwarding -m ipv4", "lo0:on\ngw0:on\n")
    host.ok("ipadm create-if -t tmp0")  # inherits it
    host.prints("ipadm show-ifprop -c -o current -p forwarding -m ipv4 tmp0", "on\n")
    host.ok("ipadm set-ifprop -p forwarding=off -m ipv4 gw0")
    host.prints("ipadm show-ifprop -c -o current,persistent -p forwarding -m ipv4 gw0", "off:off\n")


def test_what_properties_refuse(host: Host) -> None:
    for arguments, text in (
        ("set-prop -p forwarding=on ipx", "invalid protocol 'ipx' specified"),
        ("set-prop -p foo=1 ipv4", "set-prop: foo: Unknown property"),
        ("set-prop -p forwarding=on -p ttl=3 ipv4", "-p must be specified once only"),
        ("set-ifprop -p forwarding=on -m ipv4 x0", "no such object 'x0': Interface does not exist"),
        ("show-prop -p forwarding", "protocol must be specified when property name is used"),
        ("show-ifprop -p forwarding x0", "no such object 'x0': Interface does not exist"),
    ):
        fails(host, f"ipadm {arguments}", text)


# zones ----------------------------------------------------------------------------------------------------------------


def test_each_zone_has_its_own_stack(host: Host, web1: KernelZone) -> None:
    host.ok("ipadm create-addr -t -T static -a 10.0.0.5/24 web1_0/v4", zone="web1")
    assert objects(host, "web1") == [LO[0], "web1_0/v4:static:ok:10.0.0.5/24", LO[1]]
    assert objects(host) == LO
    fails(host, "ipadm create-if gw0", "Could not create gw0 : Could not open DLPI link", zone="web1")
    host.ok("dladm create-vnic -t -l stub0 web1_1", "dladm set-linkprop -t -p zone=web1 web1_1")
    fails(
        host,
        "ipadm create-if web1_1",
        "Could not create web1_1 : Persistent operation on temporary object",
        zone="web1",
    )


def test_before_ipmgmtd_is_there(host: Host, web1: KernelZone) -> None:
    web1.status = Status.READY
    fails(host, "ipadm create-if web1_0", "Could not create web1_0 : Could not communicate with ipmgmtd", zone="web1")


def test_allowed_address(host: Host, web1: KernelZone) -> None:
    ip_boot.configure_from_gz(host.world, web1, "web1_0", ["10.0.0.5/24"], ["10.0.0.1"])
    assert objects(host, "web1") == [LO[0], "web1_0/_a:from-gz:ok:10.0.0.5/24", LO[1]]
    assert host.world.stacks["web1"].routes == [Route("default", "10.0.0.1", "web1_0", 4)]
    denied = "Operation not permitted on from-gz interface"
    for line, text in (
        ("create-addr -t -T static -a 10.0.0.6/24 web1_0/v4", f"Could not create address: {denied}"),
        ("delete-addr web1_0/_a", f"could not delete address: {denied}"),
        ("delete-if web1_0", f"Could not delete web1_0: {denied}"),
    ):
        fails(host, f"ipadm {line}", text, zone="web1")


def test_the_stack_dies_with_its_zone_and_persistent_things_come_back(host: Host, web1: KernelZone) -> None:
    host.ok(
        "ipadm create-if web1_0",
        "ipadm create-addr -T static -a 10.0.0.5/24 web1_0/v4",
        "ipadm create-addr -t -T static -a 10.0.0.6/24 web1_0/b",
        "ipadm set-prop -p forwarding=on ipv4",
        zone="web1",
    )
    assert host("route -p add default 10.0.0.1", "web1").status == 0
    ip.drop_stack(host.world, "web1")
    datalinks.give_back(host.world, "web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0")
    ip_boot.restore(host.world, web1)
    assert objects(host, "web1") == [LO[0], "web1_0/v4:static:ok:10.0.0.5/24", LO[1]]
    host.prints("ipadm show-prop -c -o current,persistent -p forwarding ipv4", "on:on\n", zone="web1")
    assert host.world.stacks["web1"].routes == [Route("default", "10.0.0.1", "web1_0", 4)]
    assert objects(host) == LO


def test_a_reboot_of_the_host(host: Host) -> None:
    host.ok(
        "ipadm create-addr -T static -a 10.0.0.1/24 gw0/v4",
        "ipadm create-addr -t -T static -a 10.0.1.1/24 tmp0/v4",
        "ipadm set-ifprop -p forwarding=on -m ipv4 gw0",
    )
    ip.shut_down(host.world)
    datalinks.reboot(host.world)
    ip_boot.restore(host.world, None)
    assert objects(host) == [LO[0], "gw0/v4:static:ok:10.0.0.1/24", LO[1]]
    host.prints("ipadm show-ifprop -c -o current,persistent -p forwarding -m ipv4 gw0", "on:on\n")


# the process ----------------------------------------------------------------------------------------------------------


def test_the_process(host: Host) -> None:
    unknown = host("ipadm frobnicate")
    assert (unknown.status, unknown.out) == (1, "")
    assert unknown.err.startswith("ipadm: unknown subcommand 'frobnicate'\nusage:  ipadm ")
    assert host("ipadm help").status == 0
    bad = host("ipadm create-if -x gw0")
    assert (bad.status, bad.out) == (1, "\n")
    assert bad.err.startswith("ipadm: unrecognized option '-x'\nusage: ")
    assert host("ipadm create-if").err.startswith("ipadm: Invalid arguments\nusage: ")
    for line in ("ipadm create-addr -T dhcp gw0/v4", "ipadm disable-if -t gw0"):
        assert host(line).err.startswith("zonelab: not emulated: ipadm ")


def test_a_fault_reaches_the_message(host: Host) -> None:
    host.world.faults.add(Fault("again", "ipadm create-if gw0"))
    fails(host, "ipadm create-if gw0", "Could not create gw0 : Could not communicate with ipmgmtd")
    host.world.faults.add(Fault("fail", "ipadm create-if gw0", status="Insufficient memory"))
    fails(host, "ipadm create-if gw0", "Could not create gw0 : Insufficient memory")
    host.ok("ipadm create-if gw0")
