"""What dnsmasq is told of names and DHCP, and whether the real dnsmasq takes it."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from plugins.dhcpd.tests.views import gateway, macs, member
from plugins.dnsmasq.dhcp import Dhcp, dhcp, value
from plugins.dnsmasq.names import Names, names, reverse_zones
from plugins.dnsmasq.plugin import Dnsmasq
from zonehookd.model import dhcp_option
from zonehookd.plugin import GatewayView, Note, ZoneState, served


def called(view: GatewayView) -> Names:
    assert view.gateway is not None
    return names(view, view.gateway.networks.values())


def told(view: GatewayView) -> Dhcp:
    assert view.gateway is not None
    return dhcp(view, view.gateway.networks.values(), macs(view))


def hosts(found: Names) -> Mapping[str, str]:
    return {str(address): " ".join(every) for address, every in found.hosts}


def codes(notes: tuple[Note, ...]) -> list[str]:
    return [note.code for note in notes]


def wanted(view: GatewayView, *down: str) -> tuple[served.Wanted | None, list[Note]]:
    """The whole of it, with every inner side up but `down`."""
    assert view.gateway is not None
    every = view.gateway.networks
    up = {each for name in every if name not in down for each in every[name].gateways}
    notes: list[Note] = []
    plugin = Dnsmasq(Dnsmasq.Options())
    return plugin._wanted(view, True, True, up, macs(view), notes), notes


def takes(tmp_path: Path, text: str) -> None:
    binary = shutil.which("dnsmasq", path="/usr/sbin:/sbin:/usr/bin")
    assert binary is not None, "dnsmasq-base is missing: tests/setup.sh"
    config = tmp_path / "dnsmasq.conf"
    config.write_text(text)
    done = subprocess.run([binary, "--test", "-C", str(config)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "dnsmasq: syntax check OK.\n"), text


# -- names


def test_a_running_zone_has_short_and_full_names() -> None:
    view = gateway({"dmz": {"cidr": ["10.1.0.0/24", "fd00:1::/64"], "domain": "zones.example"}, "lan": "10.2.0.0/24"})
    member(view, "Web_1", "dmz", "10.1.0.5/24")
    member(view, "Web_1", "dmz", "fd00:1::5/64", link="web1_1")
    member(view, "Web_1", "lan", "10.2.0.5/24", link="web1_2", primary=False)
    member(view, "halted", "dmz", "10.1.0.6/24", state=ZoneState.INSTALLED)
    found = called(view)
    full = "web-1.dmz.zones.example web-1.zones.example web-1.dmz web-1"
    assert hosts(found) == {
        "10.1.0.1": "gw.dmz.zones.example gw.zones.example gw.dmz gw",
        "10.2.0.1": "gw.lan gw",
        "fd00:1::1": "gw.dmz.zones.example gw.zones.example gw.dmz gw",
        "10.1.0.5": full,
        "10.2.0.5": "web-1.lan web-1",
        "fd00:1::5": full,
    }
    assert found.local[:3] == ("dmz", "zones.example", "0.1.10.in-addr.arpa")
    assert found.notes == ()


def test_two_zones_of_one_host_name() -> None:
    view = gateway({"dmz": "10.1.0.0/24"})
    member(view, "web-1", "dmz", "10.1.0.5/24")
    member(view, "web_1", "dmz", "10.1.0.6/24")
    found = called(view)
    assert hosts(found)["10.1.0.5"] == "web-1.dmz web-1" and "10.1.0.6" not in hosts(found)
    assert codes(found.notes) == ["duplicate-name"]
    assert "zone web_1" in found.notes[0].text and "those of zone web-1" in found.notes[0].text


def test_static_names() -> None:
    records = [
        {"name": "db", "a": "10.1.0.50"},
        {"name": "db", "a": "10.1.0.51"},
        {"name": "db", "aaaa": "fd00:1::50"},
        {"name": "www", "cname": "web1"},
        {"name": "www.example.org", "cname": "web1.dmz"},
        {"name": "web1", "txt": "v=spf1, all of it # really"},
        {"name": "long", "txt": "ü" * 200},
    ]
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "domain": "zones.example", "names": records}})
    member(view, "web1", "dmz", "10.1.0.5/24")
    found = called(view)
    assert hosts(found)["10.1.0.51"] == "db.dmz.zones.example db.zones.example db.dmz db"
    assert found.aliases == (
        (("www.dmz.zones.example", "www.zones.example", "www.dmz", "www"), "web1"),
        (("www.example.org",), "web1.dmz"),
    )
    assert ("web1", ("v=spf1, all of it # really",)) in found.texts
    assert [len(text.encode()) for text in dict(found.texts)["long"]] == [254, 146]
    assert found.notes == ()


def test_a_declared_name_is_not_a_zones() -> None:
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "names": [{"name": "web1", "a": "10.1.0.50"}]}})
    member(view, "web1", "dmz", "10.1.0.5/24")
    found = called(view)
    assert hosts(found)["10.1.0.50"] == "web1.dmz web1" and "10.1.0.5" not in hosts(found)
    assert codes(found.notes) == ["duplicate-name"] and "static address web1" in found.notes[0].text


def test_aliases_that_dnsmasq_would_not_start_with() -> None:
    records = [
        {"name": "a", "cname": "b"},
        {"name": "b", "cname": "a.dmz"},
        {"name": "a", "cname": "c"},
        {"name": "self", "cname": "self"},
    ]
    found = called(gateway({"dmz": {"cidr": "10.1.0.0/24", "names": records}}))
    assert [every[0] for every, _ in found.aliases] == ["a.dmz"]
    assert codes(found.notes) == ["alias-loop", "duplicate-name", "alias-loop"]


@pytest.mark.parametrize(
    ("cidr", "zones"),
    [
        ("10.0.0.0/8", ["10.in-addr.arpa"]),
        ("10.1.0.0/24", ["0.1.10.in-addr.arpa"]),
        ("10.1.0.0/23", ["0.1.10.in-addr.arpa", "1.1.10.in-addr.arpa"]),
        ("10.1.0.4/30", [f"{n}.0.1.10.in-addr.arpa" for n in (4, 5, 6, 7)]),
        ("fd00:1::/48", ["0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa"]),
        ("fd00:1::/50", [f"{n}.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa" for n in "0123"]),
    ],
)
def test_reverse_zones(cidr: str, zones: list[str]) -> None:
    assert list(reverse_zones(ipaddress.ip_network(cidr))) == zones


# -- DHCP


def test_reservations_without_tags_and_secondary_nics_by_their_mac() -> None:
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": {"lease_s": 120}}, "lan": "10.2.0.0/24"})
    member(view, "web1", "dmz", "10.1.0.5/24", state=ZoneState.CONFIGURED)
    member(view, "web1", "lan", "10.2.0.5/24", link="web1_1", primary=False)
    found = told(view)
    assert found.lines == ("02:08:20:00:00:01,10.1.0.5,120", "02:08:20:00:00:02,10.2.0.5,300")
    assert found.no_router == ("02:08:20:00:00:02",)
    assert found.networks[0].options == ("3,10.1.0.1", "6,10.1.0.1", '15,"dmz"', "26,1500")


def test_what_clients_are_told() -> None:
    how = {
        "resolvers": ["9.9.9.9", "2620:fe::fe"],
        "search": ["a.test", "b.test"],
        "ntp": ["10.1.0.9"],
        "next_server": "10.1.0.8",
        "boot_file": "pxe.0",
        "options": {"26": "1400", "tftp-server-name": "boot, #1", "252": "hello"},
    }
    found = told(gateway({"dmz": {"cidr": "10.1.0.0/24", "domain": "zones.example", "dhcp": how}}))
    assert found.networks[0].options == (
        "3,10.1.0.1", "6,9.9.9.9", '15,"dmz.zones.example"', "26,05:78", "42,10.1.0.9", '66,"boot, #1"',
        "119,a.test,b.test", "252,68:65:6c:6c:6f",
    )  # fmt: skip
    assert found.networks[0].boot == '"pxe.0",,10.1.0.8'


def test_one_zone_is_told_something_of_its_own(tmp_path: Path) -> None:
    own = {"web1": {"42": "10.1.0.77", "224": "a"}}
    view = gateway({"dmz": {"cidr": "10.1.0.0/24", "dhcp": {"ntp": ["10.1.0.9"], "zones": own}}})
    member(view, "web1", "dmz", "10.1.0.5/24")
    member(view, "web2", "dmz", "10.1.0.6/24")
    found = told(view)
    assert found.own == (("zh-nic-web1_0", "02:08:20:00:00:01", ("42,10.1.0.77", "224,97")),)
    assert "tag:!zh-nic-web1_0,42,10.1.0.9" in found.networks[0].lines, "and not what its network is told"
    whole, _ = wanted(view)
    assert whole is not None
    takes(tmp_path, whole.config)


def test_a_resolver_is_never_made_up() -> None:
    assert "6" in told(gateway({"dmz": "10.1.0.0/24"}, dns="none")).networks[0].options, "sent by nobody"
    asked = told(gateway({"dmz": "10.1.0.0/24"}, dns="none", upstream=["9.9.9.9"]))
    assert "6,9.9.9.9" in asked.networks[0].options


def test_strangers_get_what_nobody_has() -> None:
    network = {"cidr": "10.1.0.0/24", "pool": ["10.1.0.5-10.1.0.9"], "dhcp": {"dynamic": ["10.1.0.100-10.1.0.150"]}}
    view = gateway({"dmz": network})
    member(view, "web1", "dmz", "10.1.0.120/24")
    found = told(view)
    ranges = [(str(first), str(last)) for first, last in found.networks[0].ranges]
    assert ranges == [("10.1.0.100", "10.1.0.119"), ("10.1.0.121", "10.1.0.150")]
    assert codes(found.notes) == ["in-dynamic-range"]
    assert found.lines == ()


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("42", "10.1.0.9,10.1.0.8", "10.1.0.9,10.1.0.8"),
        ("interface-mtu", "1400", "05:78"),
        ("19", "true", "1"),
        ("domain-search", "a.test,b.example", "a.test,b.example"),
        ("17", "/export", '"/export"'),
        ("121", "10.98.0.0/24 10.99.0.1", "18:0a:62:00:0a:63:00:01"),
        ("224", "a", "97"),
    ],
)
def test_values_as_dnsmasq_must_be_told_them(key: str, text: str, said: str) -> None:
    assert value(dhcp_option.option(key, text)) == said


# -- the whole


def test_dnsmasq_takes_it(tmp_path: Path) -> None:
    known = {str(code): text for code, text in (
        (2, "-5"), (4, "10.9.8.7"), (13, "7"), (14, "x y"), (19, "true"), (21, "10.9.0.0 10.9.8.6"), (43, "01:02:ff"),
        (66, "boot, 1"), (67, "pxe"), (100, "TZ #1"), (117, "1,2"), (119, "a.test"), (121, "0.0.0.0/0 10.9.9.9"),
        (150, "10.9.8.7"), (209, "f"), (224, "10.1.2.3"), (225, "hello, you"), (226, "01:02"))}  # fmt: skip
    records = [
        {"name": "www", "cname": "web1"},
        {"name": "note", "txt": "a, b # c"},
        {"name": "long", "txt": "ü" * 300},
        {"name": "db", "a": "10.1.0.50"},
    ]
    how = {"options": known, "dynamic": ["10.1.0.100-10.1.0.150"], "boot_file": "a, b", "ntp": ["10.1.0.9"]}
    dmz = {"cidr": ["10.1.0.0/24", "fd00:1::/64"], "domain": "zones.example", "names": records, "dhcp": how,
           "pool": ["10.1.0.5-10.1.0.9"]}  # fmt: skip
    view = gateway({"dmz": dmz, "lan_2": {"cidr": "10.2.0.0/22", "dhcp": {"next_server": "10.2.0.9"}}},
                   upstream=["9.9.9.9", "2620:fe::fe"])  # fmt: skip
    member(view, "web1", "dmz", "10.1.0.5/24")
    member(view, "web1", "lan_2", "10.2.0.5/22", link="web1_1", primary=False)
    found, notes = wanted(view)
    assert found is not None and notes == []
    takes(tmp_path, found.config)
    assert all(f"{word}=" not in found.config for word in ("hostsdir", "dhcp-hostsdir", "dhcp-optsdir"))
    assert "set:" not in "".join(found.data.values()), "a tag in a file that is read again ended dnsmasq 2.90"


def test_only_on_inner_addresses_that_are_up() -> None:
    view = gateway({"dmz": "10.1.0.0/24", "lan": "10.2.0.0/24"})
    found, notes = wanted(view, "lan")
    assert found is not None
    listens = [line for line in found.config.splitlines() if line.startswith(("listen-address", "interface", "bind"))]
    assert listens == ["listen-address=10.1.0.1", "bind-interfaces"]
    assert "10.2.0" not in found.config and [(note.code, note.object) for note in notes] == [("inner-side-down", "lan")]
    assert wanted(view, "dmz", "lan")[0] is None


@pytest.mark.parametrize("folder", ["/var/a b", "relative", "/var/a,b", "/var/a#b", '/var/"'])
def test_a_folder_that_would_break_the_file(folder: str) -> None:
    with pytest.raises(ValueError, match="absolute path without"):
        Dnsmasq.Options(folder=Path(folder))
