"""Link properties, and links in zones [network 2.10, 3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import datalinks, linkprops
from lab.tests.typed import Host
from lab.world import Dialect, LinkClass, Refused, Status


@pytest.fixture(params=list(Dialect), ids=lambda dialect: str(dialect.value))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    host = Host(tmp_path, request.param)
    host.ok("dladm create-etherstub -t stub0", "dladm create-vnic -t -l stub0 web1_0")
    return host


def value(host: Host, prop: str, link: str = "web1_0") -> str:
    return host(f"dladm show-linkprop -c -o value -p {prop} {link}").out.removesuffix("\n")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("mtu=1500", [("mtu", ["1500"])]),
        ("allowed-ips=10.0.0.1,10.0.0.2,mtu=1500", [("allowed-ips", ["10.0.0.1", "10.0.0.2"]), ("mtu", ["1500"])]),
        ("mtu", [("mtu", [])]),
        ("mtu=", [("mtu", [])]),
        ("=1", None),
        ("a=b=c", None),
        ("a=1,,b=2", None),
    ],
)
def test_the_grammar_of_property_lists(text: str, parsed: list[tuple[str, list[str]]] | None) -> None:
    assert linkprops.parse(text) == parsed


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("set-linkprop web1_0", "dladm: link property must be specified"),
        ("set-linkprop -p =1 web1_0", "dladm: invalid link properties specified"),
        ("set-linkprop -p mtu=1500 x0", "dladm: link x0 is not valid: object not found"),
        ("reset-linkprop -p mtu x0", "dladm: link x0 is not valid: object not found"),
        ("show-linkprop x0", "dladm: link x0 is not valid: object not found"),
        ("set-linkprop -p foo=1 web1_0", "dladm: warning: invalid link property 'foo'"),
        ("set-linkprop -p mtu= web1_0", "dladm: warning: no value specified for 'mtu'"),
        (
            "set-linkprop -p priority=top web1_0",
            "dladm: warning: link property 'priority' must be one of: low,medium,high",
        ),
        (
            "set-linkprop -p zone=web1 web1_0",
            "dladm: warning: cannot set link property 'zone' on 'web1_0': change cannot be persistent",
        ),
        (
            "reset-linkprop -p zone web1_0",
            "dladm: warning: cannot reset link property 'zone' on 'web1_0': change cannot be persistent",
        ),
        (
            "set-linkprop -t -p zone=nozone web1_0",
            "dladm: warning: cannot set link property 'zone' on 'web1_0': invalid value",
        ),
        (
            "set-linkprop -t -p maxbw=1M web1_0",
            "dladm: warning: cannot set link property 'maxbw' on 'web1_0': minimum value for maxbw is 1200K",
        ),
        (
            "set-linkprop -t -p allowed-ips=10.0.0.2/24 web1_0",
            "dladm: warning: cannot set link property 'allowed-ips' on 'web1_0': invalid IP address",
        ),
        (
            "set-linkprop -t -p mtu=9001 web1_0",
            "dladm: warning: cannot set link property 'mtu' on 'web1_0': invalid argument",
        ),
        (
            "set-linkprop -t -p mtu=abc web1_0",
            "dladm: warning: cannot set link property 'mtu' on 'web1_0': invalid argument",
        ),
        (
            "set-linkprop -t -p mtu=8000 stub0",
            "dladm: warning: cannot set link property 'mtu' on 'stub0': link busy",
        ),
        (
            "set-linkprop -t -p state=down web1_0",
            "dladm: warning: cannot set link property 'state' on 'web1_0': read-only property",
        ),
        (
            "set-linkprop -t -p stp=0 stub0",
            "dladm: warning: cannot set link property 'stp' on 'stub0': change must be persistent",
        ),
        (
            "set-linkprop -t -p promisc-filtered=off stub0",
            "dladm: warning: cannot set link property 'promisc-filtered' on 'stub0': invalid argument",
        ),
    ],
)  # fmt: skip
def test_refusals(host: Host, line: str, text: str) -> None:
    host.fails(f"dladm {line}", text)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("maxbw=100", "  100"),
        ("maxbw=100M", "  100"),
        ("maxbw=2g", " 2000"),
        ("maxbw=1500K", "    1.500"),
        ("maxbw=1.2M", "    1.200"),
        ("allowed-ips=10.0.0.2", "10.0.0.2/32"),
        ("allowed-ips=10.0.0.0/24,2001:db8::1", "10.0.0.0/24,2001:db8::1/128"),
        ("protection=ip-nospoof,mac-nospoof", "mac-nospoof,ip-nospoof"),
        ("PRIORITY=low", "low"),
        ("mtu=1500", "1500"),
        ("pool=pool_default", "pool_default"),
        ("cpus=0,2-3", "0,2-3"),
    ],
)
def test_values_as_they_are_printed(host: Host, given: str, shown: str) -> None:
    prop = given.split("=")[0].lower()
    before = value(host, prop)
    host.ok(f"dladm set-linkprop -t -p {given} web1_0", f"dladm set-linkprop -t -p {given} web1_0")
    assert value(host, prop) == shown
    host.ok(f"dladm reset-linkprop -t -p {prop} web1_0", f"dladm reset-linkprop -t -p {prop} web1_0")
    assert value(host, prop) == before


def test_pool_and_cpus_exclude_each_other(host: Host) -> None:
    host.ok("dladm set-linkprop -t -p pool=a web1_0")
    host.fails(
        "dladm set-linkprop -t -p cpus=1 web1_0",
        "dladm: warning: cannot set link property 'cpus' on 'web1_0': pool and cpus property are mutually exclusive",
    )


def test_several_properties_are_not_atomic_and_the_last_one_counts(host: Host) -> None:
    done = host("dladm set-linkprop -t -p mtu=20,priority=low web1_0")
    assert done.status == 0
    assert done.err == "dladm: warning: cannot set link property 'mtu' on 'web1_0': invalid argument\n"
    assert value(host, "priority") == "low"
    assert host("dladm set-linkprop -t -p priority=high,mtu=20 web1_0").status == 1
    assert value(host, "priority") == "high"


def test_what_is_stored(host: Host) -> None:
    host.ok(
        "dladm create-vnic -l net0 a0", "dladm set-linkprop -p mtu=1400 a0", "dladm set-linkprop -t -p priority=low a0"
    )
    host.ok("dladm set-linkprop -p mtu=8000 web1_0")  # on a temporary link: applied, not stored, no word
    assert value(host, "mtu") == "8000"
    datalinks.reboot(host.world)
    host.prints("dladm show-link -p -o link", "net0\na0\n")
    assert [value(host, prop, "a0") for prop in ("mtu", "priority")] == ["1400", "high"]
    host.ok("dladm reset-linkprop a0")
    assert value(host, "mtu", "a0") == "1500"
    assert "mtu" not in host.persistent_links()


def test_show_linkprop_for_people(host: Host) -> None:
    assert host("dladm show-linkprop -p protection,mtu web1_0").out == (
        "LINK         PROPERTY        PERM VALUE          DEFAULT        POSSIBLE\n"
        "web1_0       protection      rw   --             --             mac-nospoof,\n"
        "                                                                restricted,\n"
        "                                                                ip-nospoof,\n"
        "                                                                dhcp-nospoof\n"
        "web1_0       mtu             rw   9000           9000           576-9000\n"
    )


def test_show_linkprop_walks_every_link(host: Host) -> None:
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0")
    host.prints("dladm show-linkprop -c -o link,value -p zone", "net0:\nstub0:\nweb1_0:web1\n")
    host.prints("dladm show-linkprop -c -o link,property,perm,value -p state stub0", "stub0:state:r-:up\n")


def test_a_property_that_does_not_fit_a_class(host: Host) -> None:
    done = host("dladm show-linkprop -c -o link,value -p promisc-filtered")
    assert done.status == 1
    assert done.out == "net0:?\nstub0:?\nweb1_0:on\n"
    assert done.err == (
        "dladm: warning: cannot get link property 'promisc-filtered' for net0: invalid argument\n"
        "dladm: warning: cannot get link property 'promisc-filtered' for stub0: invalid argument\n"
    )
    assert host("dladm show-linkprop -o link -p promisc-filtered").out == "LINK\nweb1_0\n"


# zones ----------------------------------------------------------------------------------------------------------------


def test_a_link_moves_into_a_zone_and_back(host: Host) -> None:
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0", "dladm set-linkprop -t -p zone=web1 web1_0")
    assert value(host, "zone") == "web1"
    host.fails("dladm delete-vnic web1_0", "dladm: vnic deletion failed: link busy")
    host.fails("dladm rename-link web1_0 b0", "dladm: rename operation failed: link busy")
    host.fails("dladm delete-etherstub stub0", "dladm: vnic deletion failed: link busy")
    host.ok("dladm reset-linkprop -t -p zone web1_0", "dladm delete-vnic web1_0")


def test_back_with_the_name_of_the_global_zone(host: Host) -> None:
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0", "dladm set-linkprop -t -p zone=global web1_0")
    assert value(host, "zone") == ""


@pytest.mark.parametrize(
    ("status", "exclusive"), [(Status.INITIALIZED, True), (Status.DYING, True), (Status.RUNNING, False)]
)
def test_zones_that_cannot_have_a_link(host: Host, status: Status, exclusive: bool) -> None:
    host.zone("web1", status, exclusive)
    host.fails(
        "dladm set-linkprop -t -p zone=web1 web1_0",
        "dladm: warning: cannot set link property 'zone' on 'web1_0': invalid value",
    )


def test_a_plumbed_link_is_busy_on_either_side(host: Host) -> None:
    host.zone("web1")
    busy = "dladm: warning: cannot {} link property 'zone' on 'web1_0': link busy"
    host.ok("ipadm create-if -t web1_0")
    host.fails("dladm set-linkprop -t -p zone=web1 web1_0", busy.format("set"))
    host.ok("ipadm delete-if web1_0", "dladm set-linkprop -t -p zone=web1 web1_0")
    host.ok("ipadm create-if -t web1_0", zone="web1")
    host.fails("dladm reset-linkprop -t -p zone web1_0", busy.format("reset"))
    host.ok("ipadm delete-if web1_0", zone="web1")
    host.ok("dladm reset-linkprop -t -p zone web1_0")


def test_a_link_on_loan_goes_to_no_second_zone(host: Host) -> None:
    host.zone("web1")
    host.zone("web2")
    host.ok("dladm set-linkprop -t -p zone=web1 web1_0")
    host.fails(
        "dladm set-linkprop -t -p zone=web2 web1_0",
        "dladm: warning: cannot set link property 'zone' on 'web1_0': link busy",
    )


def test_a_halted_zone_gives_its_links_back(host: Host) -> None:
    host.zone("web1")
    mac = host("dladm show-vnic -p -o macaddress web1_0").out
    host.ok(
        "dladm set-linkprop -t -p zone=web1 web1_0",
        "dladm set-linkprop -t -p protection=ip-nospoof,allowed-ips=10.0.0.1,pool=a,priority=low web1_0",
    )
    datalinks.give_back(host.world, "web1")
    assert [value(host, prop) for prop in ("zone", "protection", "allowed-ips", "pool", "priority")] == [
        "", "", "", "", "low",
    ]  # fmt: skip
    host.prints("dladm show-vnic -p -o macaddress web1_0", mac)
    assert host.world.links_of("web1") == []
    host.ok("dladm delete-vnic web1_0")


def test_the_zone_option(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.ok("dladm create-vnic -l net0 a0")
    host.zone("web1")
    host.fails("dladm set-linkprop -z web1 -t -p mtu=1400 a0", "dladm: link a0 is not valid: object not found")
    host.ok("dladm set-linkprop -t -p zone=web1 a0", "dladm set-linkprop -z web1 -t -p mtu=1400 a0")
    host.prints("dladm show-linkprop -z web1 -c -o value -p mtu a0", "1400\n")


def test_a_second_link_named_like_one_on_loan(tmp_path: Path) -> None:
    for dialect in Dialect:
        root = tmp_path / dialect.value
        root.mkdir()
        host = Host(root, dialect)
        host.zone("web1")
        host.ok("dladm create-vnic -l net0 a0", "dladm set-linkprop -t -p zone=web1 a0")
        done = host("dladm create-vnic -l net0 a0")
        assert done.status != 0
        if dialect is Dialect.OMNIOS:
            assert done.err == "dladm: vnic creation over net0 failed: object already exists\n"
        else:
            assert done.err.startswith("zonelab: not emulated: a second link named 'a0'")


def test_assign_for_zoneadmd(host: Host) -> None:
    zone = host.zone("web1", Status.INITIALIZED)
    link = datalinks.lookup(host.world, "web1_0")
    assert link is not None and link.klass is LinkClass.VNIC
    datalinks.assign(host.world, link, zone)
    assert link.zone == "web1"
    with pytest.raises(Refused, match="link busy"):
        datalinks.assign(host.world, link, host.zone("web2"))
    datalinks.assign(host.world, link, None)
    assert host.world.links_of("web1") == []
