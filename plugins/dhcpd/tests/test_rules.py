"""What dhcpd is told, and whether the real dhcpd takes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from plugins.dhcpd.rules import Control, Rules, render, rules
from plugins.dhcpd.tests.views import gateway, macs, member, up
from zonehookd.errors import ConfigError
from zonehookd.illumos import dhcpd
from zonehookd.plugin import GatewayView, ZoneState

MAIN = Path("/etc/dhcpd.conf")
NOBODY = dhcpd.Declared()


def made(view: GatewayView, *down: str, foreign: dhcpd.Declared = NOBODY) -> Rules:
    return rules(view, up(view, *down), macs(view), foreign, MAIN)


def takes(tmp_path: Path, text: str, foreign: str = "") -> None:
    """The real dhcpd takes it, included in `foreign`."""
    binary = shutil.which("dhcpd", path="/usr/sbin:/sbin:/usr/bin")
    assert binary is not None, "isc-dhcp-server is missing: tests/setup.sh"
    config = tmp_path / "zonehookd.conf"
    config.write_text(text)
    main = tmp_path / "dhcpd.conf"
    main.write_text(f'{foreign}include "{config}";\n')
    done = subprocess.run([binary, "-t", "-4", "-cf", str(main)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr


def codes(found: Rules) -> list[str]:
    return [note.code for note in found.notes]


def test_a_network_with_its_zones(tmp_path: Path) -> None:
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "domain": "example.org"}})
    member(view, "web1", "dmz", "10.1.0.11/24")
    text = render(made(view), None, hosts=True)
    takes(tmp_path, text)
    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "subnet 10.1.0.0 netmask 255.255.255.0 {",
        "# network dmz",
        "authoritative;",
        "default-lease-time 300;",
        "max-lease-time 300;",
        "option domain-name-servers 10.1.0.1;",
        'option domain-name "dmz.example.org";',
        "option interface-mtu 1500;",
        "deny unknown-clients;",
        "}",
        "host zonehookd-web1_0 {",
        "hardware ethernet 02:08:20:00:00:01;",
        "fixed-address 10.1.0.11;",
        'option host-name "web1";',
        "option routers 10.1.0.1;",
        "}",
    ]


def test_one_zone_is_told_something_of_its_own(tmp_path: Path) -> None:
    own = {"web1": {"42": "10.1.0.77", "224": "a"}}
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": {"ntp": ["10.1.0.9"], "zones": own}}})
    member(view, "web1", "dmz", "10.1.0.11/24")
    member(view, "web2", "dmz", "10.1.0.12/24")
    found = made(view)
    takes(tmp_path, render(found, None, hosts=True))
    assert [found.statements(each) for each in found.hosts] == [
        ("option ntp-servers = 0a:01:00:4d", "option unknown-224 = 61", 'option host-name "web1"',
         "option routers 10.1.0.1"),
        ('option host-name "web2"', "option routers 10.1.0.1"),
    ]  # fmt: skip
    assert not found.notes


def test_only_the_primary_nic_hears_of_a_router(tmp_path: Path) -> None:
    view = gateway({"dmz": "10.1.0.0/24"})
    member(view, "web1", "dmz", "10.1.0.11/24", primary=False)
    found = made(view)
    text = render(found, None, hosts=True)
    takes(tmp_path, text)
    assert "routers" not in text
    (host,) = found.live().values()
    assert host.statements == 'option host-name "web1"; '


def test_every_option_reaches_the_server_in_its_form(tmp_path: Path) -> None:
    options = {
        "log-servers": "10.1.0.7, 10.1.0.8",
        "121": "10.98.0.0/24 10.1.0.9, 0.0.0.0/0 10.1.0.1",
        "domain-search": "a.test,b.test",
        "time-offset": "-3600",
        "224": "ff:00:1",
        "225": "10.0.0.1",
        "226": "some text",
        "26": "1400",
    }
    dhcp = {
        "options": options, "search": ["ignored.test"], "resolvers": ["10.1.0.5"], "ntp": ["10.1.0.6"],
        "next_server": "10.1.0.4", "boot_file": "pxe/boot.0", "lease_s": 600,
    }  # fmt: skip
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": dhcp}})
    found = made(view)
    assert not found.notes
    text = render(found, None, hosts=True)
    takes(tmp_path, text)
    for line in (
        "option log-servers = 0a:01:00:07:0a:01:00:08;",
        "option unknown-121 = 18:0a:62:00:0a:01:00:09:00:0a:01:00:01;",
        "option domain-search = 01:61:04:74:65:73:74:00:01:62:04:74:65:73:74:00;",
        "option time-offset = ff:ff:f1:f0;",
        "option unknown-224 = ff:00:01;",
        "option unknown-225 = 0a:00:00:01;",
        "option unknown-226 = 73:6f:6d:65:20:74:65:78:74;",
        "option interface-mtu = 05:78;",
        "option domain-name-servers 10.1.0.5;",
        "option ntp-servers 10.1.0.6;",
        "next-server 10.1.0.4;",
        'filename "pxe/boot.0";',
        "default-lease-time 600;",
    ):
        assert line in text
    assert "interface-mtu 1500" not in text and "ignored.test" not in text


@pytest.mark.parametrize(
    ("key", "value"),
    [("interface-mtu", "70000"), ("routers", "10.1.0.9"), ("no-such", "1"), ("255", "1"), ("ntp-servers", "time.test"),
     ("240", "7"), ("ip-forwarding", "perhaps"), ("121", "10.0.0.1"), ("domain-search", "a..b"), ("12", "me")],
)  # fmt: skip
def test_an_option_that_does_not_fit_is_refused_by_name(key: str, value: str) -> None:
    for where in ({"options": {key: value}}, {"zones": {"web1": {key: value}}}):
        with pytest.raises(ConfigError, match=r"^network\.dmz\.dhcp\.(options|zones\.web1): ") as refusal:
            gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": where}})
        assert key in str(refusal.value)


def test_strangers_get_what_nobody_has(tmp_path: Path) -> None:
    dhcp = {"dynamic": ["10.1.0.0-10.1.0.20", "10.1.0.250-10.1.0.255"]}
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": dhcp, "pool": ["10.1.0.100-10.1.0.200"]}})
    member(view, "web1", "dmz", "10.1.0.11/24")
    member(view, "web2", "dmz", "10.1.0.100/24")
    found = made(view)
    text = render(found, None, hosts=True)
    takes(tmp_path, text)
    ranges = [line.strip() for line in text.splitlines() if "range" in line]
    assert ranges == ["range 10.1.0.2 10.1.0.10;", "range 10.1.0.12 10.1.0.20;", "range 10.1.0.250 10.1.0.254;"]
    assert "deny unknown-clients" not in text and "allow unknown-clients" in text
    assert [each.link for each in found.hosts] == ["web2_0"]
    (note,) = found.notes
    assert (note.code, note.object) == ("in-dynamic-range", "web1_0")


def test_conflicts_name_their_owner_and_leave_out_the_later_one() -> None:
    view = gateway({"dmz": "10.1.0.0/24", "lan": {"cidr": "10.2.0.0/24"}})
    member(view, "aaa", "dmz", "10.1.0.11/24", state=ZoneState.CONFIGURED)
    member(view, "web1", "dmz", "10.1.0.11/24")
    member(view, "Web-1", "lan", "10.2.0.5/24", link="other_0")
    member(view, "web.1", "lan", "10.2.0.6/24", link="third_0")
    found = made(view)
    assert {(note.code, note.object) for note in found.notes} == {
        ("duplicate-address", "aaa_0"), ("duplicate-name", "third_0"),
    }  # fmt: skip
    assert any("web1_0 of zone web1" in note.text for note in found.notes)
    assert {each.link: each.name for each in found.hosts} == {"web1_0": "web1", "other_0": "web-1", "third_0": ""}
    same = dict.fromkeys(macs(view), "02:08:20:00:00:01")
    found = rules(view, up(view), same, NOBODY, MAIN)
    assert [each.zone for each in found.hosts] == ["Web-1"]
    assert [note.code for note in found.notes] == ["duplicate-mac"] * 3


def test_what_the_main_file_has_comes_first(tmp_path: Path) -> None:
    main = (
        "subnet 10.2.0.0 netmask 255.255.0.0 { option routers 10.2.0.1; }\n"
        'group { option root-path "a } b { # c";\n'
        "  host printer { hardware ethernet 2:8:20:0:0:1; fixed-address 10.9.0.1; } }\n"
        "host fax { hardware ethernet 00:11:22:33:44:55; fixed-address 10.1.0.12, fax.test; }\n"
    )
    foreign = dhcpd.declared(main)
    view = gateway({"dmz": "10.1.0.0/24", "lan": "10.2.0.0/24"})
    member(view, "web1", "dmz", "10.1.0.11/24")
    member(view, "web2", "dmz", "10.1.0.12/24")
    member(view, "web3", "dmz", "10.1.0.13/24")
    found = made(view, foreign=foreign)
    assert {(note.code, note.object) for note in found.notes} == {
        ("subnet-taken", "lan"), ("duplicate-mac", "web1_0"), ("duplicate-address", "web2_0"),
    }  # fmt: skip
    assert any("host printer in /etc/dhcpd.conf" in note.text for note in found.notes)
    assert [each.zone for each in found.hosts] == ["web3"]
    assert found.links == ("dmz_gw0",)
    takes(tmp_path, render(found, None, hosts=True), main.replace(", fax.test", ""))


def test_a_router_for_everybody_keeps_secondary_nics_out() -> None:
    view = gateway({"dmz": "10.1.0.0/24"})
    member(view, "web1", "dmz", "10.1.0.11/24")
    member(view, "web2", "dmz", "10.1.0.12/24", primary=False)
    found = made(view, foreign=dhcpd.declared("option routers 192.0.2.1;\n"))
    assert codes(found) == ["router-for-all"]
    assert [each.zone for each in found.hosts] == ["web1"]


def test_a_network_whose_gateway_address_is_down_waits_alone() -> None:
    view = gateway({"dmz": "10.1.0.0/24", "lan": "10.2.0.0/24"})
    found = made(view, "lan")
    (note,) = found.notes
    assert (note.kind, note.code, note.object) == ("waiting", "inner-side-down", "lan")
    assert [each.name for each in found.subnets] == ["dmz"]


def test_resolvers() -> None:
    def told(view: GatewayView) -> list[str]:
        lines = render(made(view), None, hosts=True).splitlines()
        return [line.strip() for line in lines if "name-servers" in line]

    networks = {"dmz": "10.1.0.0/24"}
    assert told(gateway(networks)) == ["option domain-name-servers 10.1.0.1;"]
    upstream = ["192.0.2.53", "2001:db8::53"]
    assert told(gateway(networks, dns="none", upstream=upstream)) == ["option domain-name-servers 192.0.2.53;"]
    assert told(gateway(networks, dns="none")) == []


def test_networks_without_ipv4_or_without_dhcp_are_none_of_ours() -> None:
    view = gateway({"six": "fd00:1::/64", "still": {"cidr": "10.3.0.0/24", "dhcp": False}})
    found = made(view)
    assert found == Rules()


def test_with_omapi_the_file_has_no_host_and_no_key(tmp_path: Path) -> None:
    view = gateway({"dmz": "10.1.0.0/24"})
    member(view, "web1", "dmz", "10.1.0.11/24")
    found = made(view)
    key = tmp_path / "key.conf"
    control = Control(7911, key, "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=")
    key.write_text(f'key {control.name} {{ algorithm hmac-md5; secret "{control.key}"; }};\n')
    text = render(found, control, hosts=False)
    takes(tmp_path, text)
    assert "host " not in text and control.key not in text and control.digest in text
    (host,) = found.live().values()
    assert host.statements == 'option host-name "web1"; option routers 10.1.0.1; '
    assert (host.mac, host.address) == ("02:08:20:00:00:01", "10.1.0.11")


def test_networks_on_one_link_share_it(tmp_path: Path) -> None:
    view = gateway({"dmz": "10.1.0.0/24", "lan": "10.2.0.0/24"})
    found = rules(view, dict.fromkeys(up(view), "int0"), {}, NOBODY, MAIN)
    text = render(found, None, hosts=True)
    takes(tmp_path, text)
    assert text.count("shared-network zonehookd-int0 {") == 1 and found.links == ("int0",)


def test_the_same_declaration_makes_the_same_file() -> None:
    one = gateway({"dmz": "10.1.0.0/24", "lan": "10.2.0.0/24"})
    two = gateway({"lan": "10.2.0.0/24", "dmz": "10.1.0.0/24"})
    for zone, network, address in (("web1", "dmz", "10.1.0.5/24"), ("web2", "lan", "10.2.0.5/24")):
        member(one, zone, network, address)
    for zone, network, address in (("web2", "lan", "10.2.0.5/24"), ("web1", "dmz", "10.1.0.5/24")):
        member(two, zone, network, address)
    assert render(made(one), None, hosts=True) == render(made(two), None, hosts=True)
