"""Resources, their rules, `info` and `export` [zones 4.3, 4.5-4.7]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.tests.zone_host import Host
from lab.world import Dialect

SHEET = (
    "set autoboot=true; set max-lwps=4000; add fs; set dir=/data; set special=/tank/data; set type=lofs; "
    "add options [ro,nodevices]; end; add net; set allowed-address=10.0.0.5/24; set physical=web1net0; "
    'set defrouter=10.0.0.1; end; add attr; set name=comment; set type=string; set value="two words"; end'
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_info_of_everything_on_gate(host: Host) -> None:
    host.configure("web1", SHEET)
    assert host.good("zonecfg", "-z", "web1", "info") == (
        "zonename: web1\nzonepath: /zones/web1\nbrand: sparse\nautoboot: true\nbootargs: \npool: \nlimitpriv: \n"
        "scheduling-class: \nip-type: exclusive\nhostid: \nfs-allowed: \n[max-lwps: 4000]\n"
        "fs:\n\tdir: /data\n\tspecial: /tank/data\n\traw not specified\n\ttype: lofs\n\toptions: [ro,nodevices]\n"
        "net:\n\taddress not specified\n\tallowed-address: 10.0.0.5/24\n\tphysical: web1net0\n\tdefrouter: 10.0.0.1\n"
        'attr:\n\tname: comment\n\ttype: string\n\tvalue: "two words"\n'
        "rctl:\n\tname: zone.max-lwps\n\tvalue: (priv=privileged,limit=4000,action=deny)\n"
    )


def test_export_on_gate(host: Host) -> None:
    host.configure("web1", SHEET)
    expected = (
        "create -b\nset zonepath=/zones/web1\nset brand=sparse\nset autoboot=true\nset ip-type=exclusive\n"
        'add fs\nset dir="/data"\nset special="/tank/data"\nset type="lofs"\nadd options ro\nadd options nodevices\n'
        'end\nadd net\nset allowed-address="10.0.0.5/24"\nset physical="web1net0"\nset defrouter="10.0.0.1"\nend\n'
        'add rctl\nset name="zone.max-lwps"\nadd value (priv=privileged,limit=4000,action=deny)\nend\n'
        'add attr\nset name="comment"\nset type="string"\nset value="two words"\nend\n'
    )
    assert host.good("zonecfg", "-z", "web1", "export") == expected
    host.run("zonecfg", "-z", "copy", "-f", "-", stdin=expected)
    assert host.good("zonecfg", "-z", "copy", "export") == expected


def test_a_net_on_omnios(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.configure(
        "web1",
        "add net; set allowed-address=10.0.0.5/24; set defrouter=10.0.0.1; set global-nic=igb0; "
        'set mac-addr=2:8:20:11:22:33; set physical=web1_0; add property (name=gateway,value="10.0.0.1"); end',
    )
    assert host.good("zonecfg", "-z", "web1", "info net") == (
        "net:\n\taddress not specified\n\tallowed-address: 10.0.0.5/24\n\tdefrouter: 10.0.0.1\n\tglobal-nic: igb0\n"
        "\tmac-addr: 2:8:20:11:22:33\n\tphysical: web1_0\n\tvlan-id not specified\n"
        '\tproperty: (name=gateway,value="10.0.0.1")\n'
    )
    exported = host.good("zonecfg", "-z", "web1", "export")
    assert (
        'add net\nset allowed-address="10.0.0.5/24"\nset physical="web1_0"\nset mac-addr="2:8:20:11:22:33"\n'
        'set global-nic="igb0"\nset defrouter="10.0.0.1"\nadd property (name=gateway,value="10.0.0.1")\nend\n'
    ) in exported


def test_gate_knows_no_global_nic(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "add net; set global-nic=igb0; cancel")
    assert done.status == 1
    assert done.err.startswith("usage:\n")


def test_info_of_one_topic(host: Host) -> None:
    host.configure("web1", SHEET)
    assert host.good("zonecfg", "-z", "web1", "info autoboot") == "autoboot: true\n"
    assert host.good("zonecfg", "-z", "web1", "info device") == ""
    assert host.good("zonecfg", "-z", "web1", "info attr name=hook") == "No such attr resource.\n"
    assert host.good("zonecfg", "-z", "web1", "info max-lwps") == "[max-lwps: 4000]\n"
    assert host.zonecfg("web1", "info zonename zonepath").status == 1


def test_a_memory_cap_is_shown_scaled(host: Host) -> None:
    host.configure("web1", "add capped-memory; set physical=2560M; end")
    assert host.good("zonecfg", "-z", "web1", "info capped-memory") == "capped-memory:\n\tphysical: 2.5G\n"
    assert '<mcap physcap="2684354560"/>' in host.file("/etc/zones/web1.xml").read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "set name=my_key; set type=string; set value=x",
            "Invalid attr name my_key: can only contain alpha-numeric characters, plus '-' and '.'.",
        ),
        (
            "set name=-a; set type=string; set value=x",
            "Invalid attr name -a: must start with an alpha-numeric character.",
        ),
        ("set name=a; set type=text; set value=x", "invalid attr type 'text'"),
        ("set name=a; set type=boolean; set value=True", "invalid attr value for type=boolean"),
        (f"set name=a; set type=string; set value={'x' * 256}", "invalid attr value for type=string"),
        ('set name=a; set type=string; set value=""', "value not specified"),
        ("set name=comment; set type=string; set value=x", "An attr resource with the name 'comment' already exists."),
    ],
)
def test_attrs_that_are_refused_at_end(host: Host, settings: str, message: str) -> None:
    host.configure("web1", "add attr; set name=comment; set type=string; set value=x; end")
    done = host.zonecfg("web1", f"add attr; {settings}; end; cancel")
    assert done == Completed(1, "", message + "\n")


def test_255_bytes_are_not_too_long(host: Host) -> None:
    host.configure("web1", f"add attr; set name=a; set type=string; set value={'x' * 255}; end")
    assert "x" * 255 in host.good("zonecfg", "-z", "web1", "info attr")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("physical=net0:1", "net0:1: physical interface name required; logical interface name not allowed"),
        ("physical=web-1", "web-1: invalid physical interface name"),
        ("physical=web", "web: invalid physical interface name"),
        ("physical=web01", "web01: invalid physical interface name"),
        ("physical=1web1", "1web1: invalid physical interface name"),
        (f"physical={'x' * 31}1", f"{'x' * 31}1: invalid physical interface name"),
        ("allowed-address=fe80::1", "fe80::1: IPv6 addresses require /prefix-length suffix."),
    ],
)
def test_net_values_that_are_refused(host: Host, setting: str, message: str) -> None:
    host.configure("web1")
    assert host.zonecfg("web1", f"add net; set {setting}; cancel") == Completed(1, "", message + "\n")


def test_a_second_address_is_a_second_net_but_the_same_one_is_a_duplicate(host: Host) -> None:
    net = "add net; set physical=v0; set allowed-address=10.0.0.{}/24; end; "
    host.configure("web1", net.format(5) + net.format(6))
    done = host.zonecfg("web1", net.format(5) + "cancel")
    expected = "A net resource with the physical 'v0', and allowed-address '10.0.0.5/24' already exists.\n"
    assert done == Completed(1, "", expected)


def test_select(host: Host) -> None:
    net = "add net; set physical=v0; set allowed-address=10.0.0.{}/24; end; "
    host.configure("web1", net.format(5) + net.format(6))
    assert host.zonecfg("web1", "select net physical=v1").err == "select net: No such resource with that id\n"
    assert host.zonecfg("web1", "select net physical=v0").err == "select net: Insufficient specification\n"
    assert host.zonecfg("web1", "select net").err.startswith("usage:\n")
    host.good("zonecfg", "-z", "web1", "select net allowed-address=10.0.0.6/24; set physical=v1; end")
    shown = host.good("zonecfg", "-z", "web1", "info net physical=v1")
    assert shown == (
        "net:\n\taddress not specified\n\tallowed-address: 10.0.0.6/24\n\tphysical: v1\n\tdefrouter not specified\n"
    )


def test_remove(host: Host) -> None:
    net = "add net; set physical=v0; set allowed-address=10.0.0.{}/24; end; "
    host.configure("web1", net.format(5) + net.format(6))
    assert host.zonecfg("web1", "remove device").err == "remove device: No such entry\n"
    assert host.zonecfg("web1", "remove net physical=v1").err == "remove net: No such resource with that id\n"
    assert host.zonecfg("web1", "remove net").err == (
        "There are multiple instances of this resource.  Either qualify the resource to\n"
        "remove a single instance or use the -F option to remove all instances.\n"
    )
    host.good("zonecfg", "-z", "web1", "remove net allowed-address=10.0.0.5/24")
    assert "10.0.0.5" not in host.good("zonecfg", "-z", "web1", "info net")
    host.good("zonecfg", "-z", "web1", "add net; set physical=v1; end; remove -F net")
    assert host.good("zonecfg", "-z", "web1", "info net") == ""


def test_values_inside_a_resource(host: Host) -> None:
    host.configure("web1", SHEET)
    host.good("zonecfg", "-z", "web1", 'select fs dir=/data; remove options ro; add options "size=1g"; end')
    shown = host.good("zonecfg", "-z", "web1", "info fs")
    assert shown.endswith('\toptions: [nodevices,"size=1g"]\n')


def test_clear(host: Host) -> None:
    host.configure("web1", SHEET)
    assert host.zonecfg("web1", "clear zonepath") == Completed(1, "", "web1: Clearing this property is not allowed\n")
    host.good("zonecfg", "-z", "web1", "clear max-lwps; select net physical=web1net0; clear defrouter; end")
    assert host.good("zonecfg", "-z", "web1", "info rctl") == ""
    assert "defrouter not specified" in host.good("zonecfg", "-z", "web1", "info net")


def test_missing_properties_are_named_at_end(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "add net; end; cancel; add fs; set dir=/x; end; cancel")
    assert done == Completed(1, "", "physical not specified\nspecial not specified\ntype not specified\n")


@pytest.mark.parametrize("resource", ["dedicated-cpu", "capped-cpu", "admin", "security-flags"])
def test_what_the_lab_does_not_know_it_refuses(host: Host, resource: str) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", f"add {resource}")
    assert done.status != 0
    assert done.err.startswith(f"zonelab: not emulated: zonecfg resource {resource}")
