"""Creating, deleting and renaming links: the tables of [network 1.1, 2.4, 2.5, 2.9]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import datalinks
from lab.tests.typed import Host
from lab.world import Dialect

LONG = "n2345678901234567890123456789012"  # 32 characters


@pytest.fixture(params=list(Dialect), ids=lambda dialect: str(dialect.value))
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    return Host(tmp_path, request.param)


@pytest.fixture
def vanilla(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def omnios(tmp_path: Path) -> Host:
    return Host(tmp_path, Dialect.OMNIOS)


# names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stub0", "web1_0", "a.b3", "zh_web_0", "x10", "_a1", "n" * 30 + "1"])
def test_good_names(name: str) -> None:
    assert datalinks.valid_name(name)


@pytest.mark.parametrize("name", ["stub", "web-1", "0net1", "net01", "net00", "a:1", "a/1", "a@1", "1", "ä1", LONG, ""])
def test_bad_names(name: str) -> None:
    assert not datalinks.valid_name(name)


# etherstubs ---------------------------------------------------------------------------------------------------------


def test_an_etherstub_is_created_in_silence_and_only_once(host: Host) -> None:
    host.ok("dladm create-etherstub -t stub0")
    host.fails("dladm create-etherstub -t stub0", "dladm: etherstub creation failed: object already exists")
    host.fails("dladm create-etherstub net0", "dladm: etherstub creation failed: object already exists")


def test_names_are_refused_before_anything_happens(host: Host) -> None:
    host.fails("dladm create-etherstub stub", "dladm: invalid link name 'stub'")
    host.fails(f"dladm create-etherstub {LONG}", f"dladm: link name too long '{LONG}'")


def test_deleting_etherstubs(host: Host) -> None:
    host.ok("dladm create-etherstub stub0", "dladm create-vnic -l stub0 web1_0")
    host.fails("dladm delete-etherstub stub9", "dladm: invalid link name 'stub9'")
    host.fails("dladm delete-etherstub web1_0", "dladm: 'web1_0' is not an etherstub")
    host.fails("dladm delete-etherstub stub0", "dladm: vnic deletion failed: link busy")
    host.fails("dladm delete-etherstub net0", "dladm: vnic deletion failed: invalid argument")
    host.ok("dladm delete-vnic web1_0", "dladm delete-etherstub stub0")
    host.fails("dladm delete-etherstub stub0", "dladm: invalid link name 'stub0'")


def test_a_missing_root_reads_as_an_unknown_option(host: Host) -> None:
    done = host("dladm create-etherstub stub0 -R")
    assert done.status == 1
    assert done.err.startswith("dladm: unrecognized option '-R'\nusage: ")


# VNICs --------------------------------------------------------------------------------------------------------------


def test_creating_a_vnic(host: Host) -> None:
    host.ok("dladm create-etherstub -t stub0", "dladm create-vnic -t -l stub0 -m 02:08:20:AB:cd:01 web1_0")
    host.prints("dladm show-vnic -p -o macaddress web1_0", "2:8:20:ab:cd:1\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("-t -l stub0 web1_0", "vnic creation over stub0 failed: object already exists"),
        ("-t -l stub9 web1_1", "invalid link name 'stub9'"),
        ("-t -l stub0 bad-name", "invalid link name 'bad-name'"),
        (f"-t -l stub0 {LONG}", f"link name too long '{LONG}'"),
        (f"-t -l {LONG} web1_1", "link name too long"),
        ("-t -l stub0 -m 2:8:20:ab:cd:1 web1_1", "vnic creation over stub0 failed: MAC address is already in use"),
        (
            "-t -l net0 -m 2:8:20:0:0:1 web1_1",
            "vnic creation over net0 failed: MAC address reserved for use by underlying data-link",
        ),
        ("-t -l stub0 -m 1:8:20:ab:cd:1 web1_1", "vnic creation over stub0 failed: invalid MAC address value"),
        ("-t -l stub0 -m 0:0:0:0:0:0 web1_1", "vnic creation over stub0 failed: invalid MAC address value"),
        ("-t -l stub0 -m 2:8:20:ab:cd web1_1", "invalid MAC address"),
        ("-t -l stub0 -m fixed web1_1", "'fixed' is not a valid MAC address"),
        ("-t -l stub0 -m random -m auto web1_1", "cannot specify -m option twice"),
        ("-t -l stub0 -m factory -n x web1_1", "invalid slot number"),
        ("-t -l stub0 -v 0 web1_1", "invalid VLAN identifier '0'"),
        ("-t -l stub0 -v 4095 web1_1", "invalid VLAN identifier '4095'"),
        ("-t -l stub0 -v 5 -v 6 web1_1", "the option -v cannot be specified more than once"),
        ("-t -l stub0 -f web1_1", "-f option can only be used with -v"),
        ("-t -l stub0 -p =1 web1_1", "invalid vnic property"),
        ("-t -l web1_0 web1_1", "vnic creation over web1_0 failed: invalid argument"),
        (
            "-l stub0 web1_1",
            "vnic creation over stub0 failed: can't create persistent object on top of temporary object",
        ),
    ],
)
def test_what_create_vnic_refuses(host: Host, arguments: str, text: str) -> None:
    host.ok("dladm create-etherstub -t stub0", "dladm create-vnic -t -l stub0 -m 2:8:20:ab:cd:1 web1_0")
    host.fails(f"dladm create-vnic {arguments}", f"dladm: {text}")
    host.prints("dladm show-vnic -p -o link", "web1_0\n")


def test_without_a_lower_link_or_a_name_the_whole_usage_is_shown(host: Host) -> None:
    for line in ("dladm create-vnic -t web1_0", "dladm create-vnic -l net0", "dladm create-vnic -l net0 a0 b0"):
        done = host(line)
        assert done.status == 1
        assert done.err.startswith("usage:  dladm <subcommand> <args> ...\n")


def test_a_long_property_list(host: Host) -> None:
    text = "allowed-ips=" + ",".join(["10.0.0.1"] * 40)
    host.fails(f"dladm create-vnic -l net0 -p {text} web1_0", f"dladm: property list too long '{text}'")


def test_one_mac_is_fine_on_two_stubs_and_in_two_vlans(host: Host) -> None:
    host.ok("dladm create-etherstub stub0", "dladm create-etherstub stub1")
    for over, name in (("stub0", "a0"), ("stub1", "a1"), ("stub0 -v 7", "a2")):
        host.ok(f"dladm create-vnic -l {over} -m 2:8:20:1:2:3 {name}")


def test_random_macs_have_the_usual_prefix_or_the_given_one(host: Host) -> None:
    host.ok("dladm create-vnic -t -l net0 a0", "dladm create-vnic -t -l net0 -m random -r 2:aa a1")
    first, second = host("dladm show-vnic -p -o macaddress").out.splitlines()
    assert first.startswith("2:8:20:")
    assert second.startswith("2:aa:")
    host.prints("dladm show-vnic -p -o macaddrtype,vid a0", "random:0\n")


def test_a_vnic_takes_the_lower_links_present_mtu(host: Host) -> None:
    host.ok("dladm create-etherstub stub0", "dladm create-vnic -l stub0 a0")
    host.ok("dladm delete-vnic a0", "dladm set-linkprop -p mtu=1500 stub0", "dladm create-vnic -l stub0 a0")
    host.prints("dladm show-link -p -o mtu a0", "1500\n")


def test_deleting_vnics(host: Host) -> None:
    host.ok("dladm create-etherstub stub0", "dladm create-vnic -l stub0 web1_0")
    host.fails("dladm delete-vnic web9_0", "dladm: invalid link name 'web9_0'")
    host.fails("dladm delete-vnic stub0", "dladm: 'stub0' is not a vnic")
    host.fails("dladm delete-vnic net0", "dladm: vnic deletion failed: invalid argument")
    host.ok("ipadm create-if web1_0")
    host.fails("dladm delete-vnic web1_0", "dladm: vnic deletion failed: link busy")
    host.ok("ipadm delete-if web1_0")
    host.world.links["web1_0"].holders.add("snoop")
    host.fails("dladm delete-vnic web1_0", "dladm: vnic deletion failed: link busy")
    host.world.links["web1_0"].holders.clear()
    host.ok("dladm delete-vnic web1_0")


def test_delete_minus_t_leaves_the_name_of_a_persistent_vnic(host: Host) -> None:
    host.ok("dladm create-vnic -l net0 -m 2:8:20:1:2:3 web1_0", "dladm delete-vnic -t web1_0")
    host.prints("dladm show-vnic -p -o link", "")
    host.prints("dladm show-vnic -P -p -o link", "web1_0\n")
    host.fails("dladm create-vnic -l net0 web1_0", "dladm: vnic creation over net0 failed: object already exists")
    host.fails("dladm show-link web1_0", "dladm: link web1_0 is temporarily removed: invalid argument")
    host.ok("dladm up-vnic web1_0")
    host.prints("dladm show-vnic -p -o link,macaddress", "web1_0:2\\:8\\:20\\:1\\:2\\:3\n")
    host.ok("dladm delete-vnic -t web1_0", "dladm delete-vnic web1_0")
    host.prints("dladm show-vnic -P -p -o link", "")


def test_delete_works_on_temporary_vnics_without_t(host: Host) -> None:
    host.ok("dladm create-vnic -t -l net0 web1_0", "dladm delete-vnic web1_0", "dladm create-vnic -t -l net0 web1_0")


def test_only_the_privileged_change_links(host: Host) -> None:
    from lab.call import Call
    from lab.dispatch import run

    for line, text in (
        ("create-etherstub stub0", "etherstub creation failed"),
        ("create-vnic -l net0 a0", "vnic creation over net0 failed"),
        ("rename-link net0 net1", "rename operation failed"),
    ):
        call = Call(host.world, ["dladm", *line.split()], privileged=False)
        assert run(call) == 1
        call.stderr.seek(0)
        assert call.stderr.read().decode() == f"dladm: {text}: permission denied\n"


# properties at creation time ----------------------------------------------------------------------------------------


def test_temporary_creation_takes_resource_properties_and_drops_all_others(vanilla: Host) -> None:
    vanilla.zone("web1")
    vanilla.ok("dladm create-vnic -t -l net0 -p maxbw=100M,allowed-ips=10.0.0.1,10.0.0.2,mtu=7,nonsense=1,zone=web1 a0")
    vanilla.prints(
        "dladm show-linkprop -c -o property,value -p maxbw,allowed-ips,mtu,zone a0",
        "maxbw:  100\nallowed-ips:10.0.0.1/32,10.0.0.2/32\nmtu:1500\nzone:\n",
    )


def test_persistent_creation_stores_what_it_does_not_apply(vanilla: Host) -> None:
    vanilla.ok("dladm create-vnic -l net0 -p priority=low,mtu=1400 a0")
    vanilla.prints("dladm show-linkprop -c -o value -p priority,mtu a0", "low\n1500\n")
    vanilla.prints("dladm show-linkprop -c -P -o value -p priority,mtu a0", "low\n1400\n")
    datalinks.reboot(vanilla.world)
    vanilla.prints("dladm show-linkprop -c -o value -p priority,mtu a0", "low\n1400\n")


@pytest.mark.parametrize(
    ("prop", "name", "status"),
    [("zone=web1", "zone", "change cannot be persistent"), ("foo=1", "foo", "object not found")],
)
def test_persistent_creation_with_an_impossible_property_is_rolled_back(
    host: Host, prop: str, name: str, status: str
) -> None:
    host.fails(
        f"dladm create-vnic -l net0 -p {prop} a0",
        f"dladm: warning: failed to set property {name}: {status}\ndladm: vnic creation over net0 failed: {status}",
    )
    host.prints("dladm show-link -p -o link", "net0\n")
    assert "a0" not in host.persistent_links()


def test_on_omnios_a_zone_at_creation_makes_the_vnic_transient(omnios: Host) -> None:
    omnios.zone("web1")
    omnios.ok("dladm create-vnic -t -l net0 -p zone=web1 a0")
    omnios.prints("dladm show-vnic -p -o link,zone", "a0:web1\n")
    datalinks.give_back(omnios.world, "web1")
    omnios.prints("dladm show-vnic -p -o link,zone", "")


# rename ---------------------------------------------------------------------------------------------------------------


def test_renaming(host: Host) -> None:
    host.ok("dladm create-etherstub stub0", "dladm create-vnic -l stub0 -m 2:8:20:1:2:3 a0")
    host.ok("dladm rename-link a0 b0", "dladm rename-link stub0 hub0")
    host.prints("dladm show-link -p -o link,over", "net0:\nhub0:\nb0:hub0\n")
    assert "b0\t" in host.persistent_links()
    assert "linkover=string,hub0;" in host.persistent_links()
    assert "stub0" not in host.persistent_links()
    host.fails(
        "dladm create-vnic -l hub0 -m 2:8:20:1:2:3 c0",
        "dladm: vnic creation over hub0 failed: MAC address is already in use",
    )
    host.fails("dladm delete-etherstub hub0", "dladm: vnic deletion failed: link busy")
    host.ok("dladm delete-vnic b0", "dladm delete-etherstub hub0")


def test_what_rename_refuses(host: Host) -> None:
    host.ok("dladm create-vnic -l net0 a0", "dladm create-vnic -l net0 b0", "ipadm create-if b0")
    for arguments, status in (
        ("a0 b0", "object already exists"),
        ("a0 bad-name", "invalid argument"),
        ("c0 d0", "object not found"),
        ("b0 d0", "link busy"),
    ):
        host.fails(f"dladm rename-link {arguments}", f"dladm: rename operation failed: {status}")


# the process ----------------------------------------------------------------------------------------------------------


def test_unknown_options(vanilla: Host, tmp_path: Path) -> None:
    for line in ("delete-vnic -z web1 a0", "show-vnic -z web1", "show-linkprop -z web1", "rename-link -z web1 a0 b0"):
        done = vanilla(f"dladm {line}")
        assert done.status == 1
        assert done.err.startswith("dladm: unrecognized option '-z'\nusage: ")
        assert line.split()[0] in done.err.splitlines()[1]
    assert vanilla("dladm create-vnic a0 -l").err.startswith("dladm: option '-l' requires a value\nusage: ")


def test_subcommands(host: Host) -> None:
    assert host("dladm frobnicate").err.startswith(
        "dladm: unknown subcommand 'frobnicate'\nusage:  dladm <subcommand> <args> ...\n"
    )
    help_text = host("dladm help")
    assert (help_text.status, help_text.out) == (0, "")
    assert help_text.err.startswith("usage:  dladm <subcommand> <args> ...\n")
    assert host("dladm") == host("dladm show-link")


@pytest.mark.parametrize(
    "line", ["create-aggr -l net0 aggr1", "create-overlay x0", "show-bridge", "create-vlan -v 1 a"]
)
def test_what_the_lab_does_not_know_it_refuses_loudly(host: Host, line: str) -> None:
    done = host(f"dladm {line}")
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: dladm ")


def test_another_root_only_gets_a_note(host: Host) -> None:
    profile = host.world.path("/a/var/svc/profile")
    host.fails("dladm create-etherstub -R /a stub0", "dladm: operation not supported on /a")
    profile.mkdir(parents=True)
    host.ok("dladm create-etherstub -R /a stub0")
    assert (profile / "upgrade").read_text() == "dladm create-etherstub stub0 # added by dladm(8)\n"
    host.world.path("/a/etc/dladm").mkdir(parents=True)
    host.world.path("/a/etc/dladm/datalink.conf").touch()
    host.ok("dladm create-vnic -l net0 -R /a a0")
    assert (profile / "upgrade_datalink").read_text() == "dladm create-vnic -l net0 a0 # added by dladm(8)\n"
    host.prints("dladm show-link -p -o link", "net0\n")
