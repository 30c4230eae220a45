"""What dladm prints: headers, fields, filters, and what it says of links that are not there [network 2.4, 2.6-2.8]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.tests.typed import Host
from lab.world import Dialect


def furnished(root: Path, dialect: Dialect) -> Host:
    host = Host(root, dialect)
    host.ok(
        "dladm create-etherstub -t stub0",
        "dladm create-vnic -t -l stub0 -m 2:8:20:ab:cd:1 web1_0",
        "dladm create-vnic -l net0 -m 2:8:20:ab:cd:2 -v 7 -p maxbw=200M web2_0",
    )
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0")
    return host


@pytest.fixture
def vanilla(tmp_path: Path) -> Host:
    return furnished(tmp_path, Dialect.VANILLA)


@pytest.fixture
def omnios(tmp_path: Path) -> Host:
    return furnished(tmp_path, Dialect.OMNIOS)


@pytest.fixture(params=list(Dialect), ids=lambda dialect: str(dialect.value))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return furnished(tmp_path, request.param)


def test_show_vnic_vanilla(vanilla: Host) -> None:
    vanilla.prints(
        "dladm show-vnic",
        "LINK         OVER         SPEED    MACADDRESS        MACADDRTYPE         VID\n"
        "web1_0       stub0        0        2:8:20:ab:cd:1    fixed               0\n"
        "web2_0       net0         200      2:8:20:ab:cd:2    fixed               7\n",
    )
    vanilla.fails("dladm show-vnic -p -o link,zone", "dladm: unknown output field: `zone'")
    vanilla.fails("dladm show-vnic -p -o zone", "dladm: no valid output fields")


def test_show_vnic_omnios(omnios: Host) -> None:
    omnios.prints(
        "dladm show-vnic",
        "LINK         OVER       SPEED    MACADDRESS        MACADDRTYPE VID  ZONE\n"
        "web1_0       stub0      0        2:8:20:ab:cd:1    fixed       0    web1\n"
        "web2_0       net0       200      2:8:20:ab:cd:2    fixed       7    --\n",
    )
    omnios.prints("dladm show-vnic -p -o link,zone", "web1_0:web1\nweb2_0:--\n")
    omnios.prints("dladm show-vnic -z web1 -p -o link", "web1_0\n")
    omnios.prints("dladm show-vnic -z global -p -o link", "")


def test_show_vnic_for_programs(host: Host) -> None:
    host.prints(
        "dladm show-vnic -p -o link,over,macaddress,vid",
        "web1_0:stub0:2\\:8\\:20\\:ab\\:cd\\:1:0\nweb2_0:net0:2\\:8\\:20\\:ab\\:cd\\:2:7\n",
    )
    host.prints("dladm show-vnic -p -o macaddress web1_0", "2:8:20:ab:cd:1\n")
    host.prints("dladm show-vnic -l stub0 -p -o link", "web1_0\n")
    host.prints("dladm show-vnic -P -p -o link", "web2_0\n")
    host.fails("dladm show-vnic -p", "dladm: output fields must be specified in parsable mode")
    host.fails("dladm show-vnic -l stub9", "dladm: invalid link name 'stub9': object not found")
    host.fails("dladm show-vnic web9_0", "dladm: invalid vnic name 'web9_0': object not found")


def test_show_vnic_of_another_class(vanilla: Host) -> None:
    vanilla.prints("dladm show-vnic stub0", "")
    vanilla.fails("dladm show-vnic net0", "dladm: failed to show vnic 'net0': object not found")


def test_show_vnic_of_another_class_omnios(omnios: Host) -> None:
    omnios.fails("dladm show-vnic stub0", "dladm: datalink stub0 is not a vnic: found class etherstub")
    omnios.fails("dladm show-vnic net0", "dladm: datalink net0 is not a vnic: found class phys")


def test_show_etherstub(host: Host) -> None:
    host.prints("dladm show-etherstub", "LINK\nstub0\n")
    host.prints("dladm show-etherstub -p", "stub0\n")
    host.prints("dladm show-etherstub -P -p", "")
    host.fails("dladm show-etherstub -l net0", "dladm: option not supported for this command")
    done = host("dladm show-etherstub -p -o link,over")
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: uninitialised memory")


def test_show_etherstub_misses_vanilla(vanilla: Host) -> None:
    vanilla.fails("dladm show-etherstub stub9", "dladm: invalid vnic name 'stub9': object not found")
    vanilla.prints("dladm show-etherstub web1_0", "")
    vanilla.fails("dladm show-etherstub net0", "dladm: failed to show vnic 'net0': object not found")


def test_show_etherstub_misses_omnios(omnios: Host) -> None:
    omnios.fails("dladm show-etherstub stub9", "dladm: invalid etherstub name 'stub9': object not found")
    omnios.fails("dladm show-etherstub web1_0", "dladm: datalink web1_0 is not an etherstub: found class vnic")


def test_show_link(host: Host) -> None:
    host.prints(
        "dladm show-link",
        "LINK        CLASS     MTU    STATE    BRIDGE     OVER\n"
        "net0        phys      1500   up       --         --\n"
        "stub0       etherstub 9000   up       --         --\n"
        "web1_0      vnic      9000   up       --         stub0\n"
        "web2_0      vnic      1500   up       --         net0\n",
    )
    host.prints(
        "dladm show-link -p -o link,class,mtu,state,over",
        "net0:phys:1500:up:\nstub0:etherstub:9000:up:\nweb1_0:vnic:9000:up:stub0\nweb2_0:vnic:1500:up:net0\n",
    )
    host.prints("dladm show-link -P -p -o link,class,over", "net0:phys:\nweb2_0:vnic:net0\n")


def test_show_link_refusals(host: Host) -> None:
    host.fails("dladm show-link x0", "dladm: link x0 is not valid: object not found")
    host.fails("dladm show-link -P stub0", "dladm: link stub0 is a temporary link: invalid argument")
    host.fails("dladm show-link -p", "dladm: -p requires -o")
    host.fails("dladm show-link -p -o all", 'dladm: "-o all" is invalid with -p')
    host.fails("dladm show-link -i 1", "dladm: the option -i can be used only with -s")
    host.fails("dladm show-link -s -P", "dladm: the option -P cannot be used with -s")
    host.fails("dladm show-link -p -p -o link", "dladm: the option -p cannot be specified more than once")


def test_statistics(host: Host) -> None:
    assert host("dladm show-link -s").out.splitlines()[:2] == [
        "LINK           IPACKETS  RBYTES  IERRORS   OPACKETS    OBYTES      OERRORS",
        "net0           0         0       0         0           0           0",
    ]
    host.prints("dladm show-link -s -p -o link,rbytes,obytes web1_0", "web1_0:0:0\n")


def test_people_are_warned_of_unknown_fields(host: Host) -> None:
    done = host("dladm show-link -o link,x stub0")
    assert (done.status, done.out) == (0, "LINK\nstub0\n")
    assert done.err == "dladm: warning: ignoring unknown output field: `x'\n"


def test_show_phys(host: Host) -> None:
    host.prints(
        "dladm show-phys",
        "LINK         MEDIA                STATE      SPEED    DUPLEX   DEVICE\n"
        "net0         Ethernet             up         1000     full     e1000g0\n",
    )
    host.prints("dladm show-phys -p -o link", "net0\n")
    host.fails("dladm show-phys -p", "dladm: -p requires -o")


def test_show_linkmap(host: Host) -> None:
    assert host("dladm show-linkmap").out == (
        "NAME          LINKID  CLASS       MEDIA                 FLAGS\n"
        "net0               1  phys        Ethernet                  3\n"
        "stub0              2  etherstub   Ethernet                  1\n"
        "web1_0             3  vnic        Ethernet                  1\n"
        "web2_0             4  vnic        Ethernet                  3\n"
    )
    host.fails("dladm show-linkmap -x", "dladm: invalid arguments")


def test_seen_from_inside_a_zone(host: Host) -> None:
    host.prints("dladm show-link -p -o link,class,over", "web1_0:vnic:?\n", zone="web1")
    host.prints("dladm show-vnic -p -o link,over,macaddress", "web1_0:?:2\\:8\\:20\\:ab\\:cd\\:1\n", zone="web1")
    host.fails(
        "dladm set-linkprop -t -p mtu=1500 web1_0",
        "dladm: warning: cannot set link property 'mtu' on 'web1_0': object not found",
        zone="web1",
    )


def test_long_options(host: Host) -> None:
    host.prints("dladm show-vnic --parsable --output=link,vid", "web1_0:0\nweb2_0:7\n")
    host.prints("dladm show-vnic web2_0 --parseable -o link", "web2_0\n")


def test_rows_come_in_the_order_of_link_ids(host: Host) -> None:
    host.ok("dladm rename-link web2_0 aa0", "dladm create-etherstub a0")
    host.prints("dladm show-link -p -o link", "net0\nstub0\nweb1_0\naa0\na0\n")
