"""What zoneadm prints and /etc/zones holds (zones sheet 2.7, 3.3, 4.8)."""

from __future__ import annotations

import pytest

from zonehookd.errors import CannotObserve
from zonehookd.illumos import zoneadm, zonefiles
from zonehookd.model.command import Reply
from zonehookd.model.zone import ZoneState

GATE = """0:global:running:/::ipkg:shared
3:web1:running:/zones/web1:5f0c3a9e-7d0b-4a0c-9a39-1f6f5c9a6e21:sparse:excl
-:odd:installed:/zones/with\\:colon:0c6d2f0e-3c55-cbf0-8d7c-a1d14bb3a9d6:sparse:excl
-:new1:configured:/zones/new1::sparse:excl
"""


def test_both_forms_of_the_list() -> None:
    for text in (GATE, GATE.replace(":excl\n", ":excl:2\n").replace(":shared\n", ":shared:0\n")):
        found = zoneadm.zones().parse(Reply(0, text, ""))
        assert list(found) == ["web1", "odd", "new1"], "the global zone is not ours to wire"
        assert (found["web1"].state, found["web1"].zoneid) == (ZoneState.RUNNING, 3)
        assert found["odd"].zonepath == "/zones/with:colon" and found["odd"].zoneid is None


def test_a_state_we_do_not_know_is_unknown_and_no_list_is_no_answer() -> None:
    odd = zoneadm.zones().parse(Reply(0, "-:a:frozen:/a::b:excl\n", ""))
    assert odd["a"].state is ZoneState.UNKNOWN and odd["a"].state.in_kernel
    with pytest.raises(CannotObserve):
        zoneadm.zones().parse(Reply(1, "", "zoneadm: …"))


def test_the_index() -> None:
    found = zonefiles.parse_index(
        '# a comment\n\nglobal:installed:/\nweb1:installed:/zones/web1:5f0c\nodd:configured:"/zones/with:colon":\n'
        "smart:installed:/zones/s:uuid:joyent:ex:7\nbare:configured:/zones/bare\n"
    )
    assert found["web1"] == zonefiles.Indexed("web1", "installed", "/zones/web1", "5f0c")
    assert found["odd"].zonepath == "/zones/with:colon"
    assert found["smart"].uuid == "uuid" and found["bare"].uuid == "" and "global" not in found
    with pytest.raises(ValueError, match="not a line of the zone index"):
        zonefiles.parse_index("half")


@pytest.mark.parametrize("text", ["", "# all gone\n", "web1:installed:/zones/web1:\n"])
def test_an_index_without_the_global_zone_is_no_index(text: str) -> None:
    with pytest.raises(ValueError, match="the global zone is not in it"):
        zonefiles.parse_index(text)


def test_nets_of_one_link_are_one_nic() -> None:
    config = zonefiles.parse_zone(
        b'<?xml version="1.0"?><!DOCTYPE zone PUBLIC "-//x" "file:///usr/share/lib/xml/dtd/zonecfg.dtd.1">'
        b'<zone name="w" zonepath="/z" brand="sparse" ip-type="exclusive">'
        b'<network allowed-address="10.0.0.5/24" physical="w_0" defrouter="10.0.0.1"/>'
        b'<network physical="w_1" global-nic="auto" mac-addr="2:8:20:1:2:3" vlan-id="7">'
        b'<net-attr name="ips" value="10.9.0.2/24,dhcp"/></network>'
        b'<network allowed-address="fd00::5/64" physical="w_0"/>'
        b'<attr name="zh.net0" type="string" value="dmz"/></zone>'
    )
    first, second = config.nics
    assert [str(a) for a in first.addresses] == ["10.0.0.5/24", "fd00::5/64"] and first.enforced and first.index == 0
    assert (second.global_nic, second.mac, second.vlan, second.enforced) == ("auto", "02:08:20:01:02:03", 7, False)
    assert [str(a) for a in second.addresses] == ["10.9.0.2/24"]
    assert config.attrs == {"zh.net0": "dmz"} and config.exclusive


def test_an_address_that_is_none_spoils_its_nic_only() -> None:
    config = zonefiles.parse_zone(
        b'<zone ip-type="exclusive"><network allowed-address="www" physical="a0"/><network physical="b0"/></zone>'
    )
    assert config.nics[0].malformed == ("www",) and not config.nics[1].malformed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"<zone", "not well-formed"),
        (b"<zones/>", "expected <zone>"),
        (b"<!DOCTYPE z [<!ENTITY a 'b'>]><zone/>", "entit"),
    ],
)
def test_a_file_that_is_no_zone(text: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        zonefiles.parse_zone(text)
