"""zap's records as a declaration, as its create-zone and global-router write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zonehookd.checked import check
from zonehookd.cli.main import main
from zonehookd.errors import ConfigError
from zonehookd.importing.document import Uplink
from zonehookd.importing.zap import from_zap

UPLINK = Uplink("igb0", "192.168.1.0/24")
ZSDIR = "/var/zap/zones"
NETWORK = "interface: zrstub0\nshared-interface: snic0\ngateway: 10.2.0.1\nzone: proxy\npublic-ip:  192.168.1.50\n"
PROXY = "brand: TRIBwhole\nzone: proxy\nip-type: exclusive\naddress: 192.168.1.50\nmemory: 2G\ncpus: 4\n"
WEB1 = "brand: TRIBsparse\nzone: web1\nip-type: exclusive\naddress: 10.2.0.5\nparent_zone: proxy\n"
UNDO = f"""#!/bin/sh
/bin/rm -f {ZSDIR}/zconfig.proxy
/usr/sbin/dladm delete-vnic znic0
/usr/sbin/dladm delete-vnic znic3
/usr/sbin/ipadm delete-if snic0
/usr/sbin/dladm delete-vnic snic0
/usr/sbin/dladm delete-etherstub zrstub0
rm {ZSDIR}/rconfig.10.2.0
"""
FILES = {"rconfig.10.2.0": NETWORK, "zconfig.proxy": PROXY, "zconfig.web1": WEB1, "destroy.proxy": UNDO}


def ctl(folder: Path, files: dict[str, str], *words: str) -> Result:
    records = folder / "zones"
    records.mkdir()
    for name, text in files.items():
        (records / name).write_text(text)
    return CliRunner().invoke(main, ["import", "zap", str(records), *words])


def test_a_proxy_and_what_lies_behind_it(tmp_path: Path) -> None:
    into = tmp_path / "out.toml"
    words = ("--uplink", "igb0", "--uplink-cidr", "192.168.1.0/24", "--partial", "--into", str(into))
    assert ctl(tmp_path, FILES, *words).exit_code == 0
    declared = check(into).declared
    hidden = declared.networks["zrstub0"]
    assert (str(hidden.cidrs[0]), hidden.link, str(hidden.gateway(4))) == ("10.2.0.0/24", "zrstub0", "10.2.0.1")
    assert (hidden.via, hidden.gateway_link, hidden.pool) == ("proxy", "znic3", ())
    proxy = declared.gateways["proxy"]
    assert (proxy.kind, proxy.link, proxy.nat) == ("proxy", "znic0", True) and proxy.outside is not None
    assert proxy.outside.link == "igb0" and [str(each) for each in proxy.addresses] == ["192.168.1.50/24"]
    assert (proxy.dhcp, proxy.dns) == ("none", "none"), "zap serves neither in a zone of its user"
    text = into.read_text()
    assert "#   web1: 10.2.0.5 on zrstub0, by its allowed-address in zonecfg\n" in text
    assert "#   zone proxy: brand TRIBwhole, memory 2G, cpus 4, ip-type exclusive: in the zone's own" in text


def test_every_undo_command_and_hook_is_listed(tmp_path: Path) -> None:
    done = ctl(tmp_path, {**FILES, "predestroy.web1": "#!/bin/sh\nexit 0\n"}, "--partial")
    for line in UNDO.splitlines()[1:]:
        assert f"#   destroy.proxy: {line}: zap destroy-zone still runs it" in done.stdout
        assert f"zonehookctl: stays: destroy.proxy: {line}: " in done.stderr
    assert "#   predestroy.web1: zap destroy-zone still runs it" in done.stdout
    assert "delete-etherstub zrstub0: zap destroy-zone still runs it (take the network out of this file" in done.stdout


def test_the_anchor_of_shared_ip_zones_is_not_expressed(tmp_path: Path) -> None:
    done = ctl(tmp_path, FILES, "--uplink", "igb0", "--uplink-cidr", "192.168.1.0/24")
    assert done.exit_code == 1
    assert "zonehookctl: not expressed: 10.2.0.0/24: shared-interface: snic0: we make no anchors" in done.stderr
    assert "shared-interface: snic0" in done.stdout and 'etherstub = "zrstub0"' in done.stdout


@pytest.mark.parametrize(
    ("uplink", "said"),
    [
        (None, "public-ip: 192.168.1.50: its link and network are in no record; give --uplink, --uplink-cidr"),
        (Uplink("igb0", "198.51.100.0/24"), "public-ip: 192.168.1.50: is not in 198.51.100.0/24"),
    ],
)
def test_a_public_address_needs_its_network(uplink: Uplink | None, said: str) -> None:
    document = from_zap(FILES, ZSDIR, uplink=uplink)
    assert f"gateway proxy: {said}" in document.lost and document.text()
    assert "outside" not in document.gateways["proxy"].values


def test_a_second_public_address_is_not_expressed() -> None:
    files = {
        **FILES,
        "rconfig.10.2.0": NETWORK.replace("192.168.1.50", "192.168.1.50 192.168.1.51"),
        "destroy.proxy": UNDO.replace("delete-vnic znic0", "delete-vnic znic0\n/usr/sbin/dladm delete-vnic znic1"),
    }
    document = from_zap(files, ZSDIR, uplink=UPLINK)
    assert document.gateways["proxy"].values["address"] == "192.168.1.50"
    assert document.networks["zrstub0"].values["gateway_link"] == "znic3"
    assert "gateway proxy: public-ip: 192.168.1.51: on a second outer NIC znic1, and we have one" in document.lost


def test_the_prefix_is_the_number_of_octets() -> None:
    files = {
        "rconfig.10": "interface: zrstub0\ngateway: 10.0.0.1\nzone: a\n",
        "rconfig.172.20": "interface: zrstub1\ngateway: 172.20.0.1\nzone: a\n",
    }
    document = from_zap(files, ZSDIR)
    assert {each.values["cidr"]: each.values["etherstub"] for each in document.networks.values()} == {
        "10.0.0.0/8": "zrstub0",
        "172.20.0.0/16": "zrstub1",
    }
    assert list(document.gateways) == ["a"] and document.text()
    assert "gateway a: public-ip is not recorded, so its way out is not known" in document.lost


def test_the_global_zone_as_router() -> None:
    undo = UNDO.replace("znic0", "znic8") + (
        "/usr/bin/rm -f /etc/rc3.d/S99global-router-igb0\n"
        "/usr/sbin/ipadm set-ifprop -t -p forwarding=off -m ipv4 igb0\n"
        "/usr/bin/rm /etc/ipf/ipnat.conf\n"
    )
    files = {
        "rconfig.10.2.0": "interface: zrstub0\ngateway: 10.2.0.1\nzone: global\n",
        "destroy.global": undo,
        "destroy.web1": "/usr/bin/rm -f /etc/dnsmasq.d/web1.conf\n/usr/sbin/svcadm restart network/dnsmasq\n",
    }
    document = from_zap(files, ZSDIR, uplink=UPLINK)
    values = document.gateways["global"].values
    assert values == {"kind": "global", "dhcp": "dnsmasq", "dns": "dnsmasq", "outside": "uplink"}
    assert document.networks["zrstub0"].values["gateway_link"] == "znic3" and document.text()
    assert any("it would remove our rules from the file too" in line for line in document.stays)
    assert any("our server keeps a reservation of its own" in line for line in document.stays)
    assert not document.lost
    blind = from_zap(files, ZSDIR)
    assert "destroy.global: way out igb0: its network is not known; give --uplink igb0 --uplink-cidr CIDR" in blind.lost
    with pytest.raises(ConfigError, match="the way out of the global zone is igb0, not net0"):
        from_zap(files, ZSDIR, uplink=Uplink("net0", "192.168.1.0/24"))


def test_a_router_of_zap_keeps_its_names_and_its_dhcp() -> None:
    files = {
        **FILES,
        "destroy.web1": "/usr/bin/rm -f /export/zones/proxy/root/etc/dnsmasq.d/web1.conf\n",
    }
    values = from_zap(files, ZSDIR, uplink=UPLINK).gateways["proxy"].values
    assert (values["kind"], values["dhcp"], values["dns"]) == ("router", "dnsmasq", "dnsmasq")


def test_a_gateway_behind_a_gateway() -> None:
    files = {
        **FILES,
        "rconfig.10.3.0": "interface: zrstub1\ngateway: 10.3.0.1\nzone: inner\npublic-ip: 10.2.0.9\n",
        "zconfig.inner": "brand: TRIBwhole\nzone: inner\nip-type: exclusive\naddress: 10.2.0.9\nparent_zone: proxy\n",
    }
    document = from_zap(files, ZSDIR, uplink=UPLINK)
    assert document.gateways["inner"].values["outside"] == "zrstub0" and document.text()
    assert not [line for line in document.zones if line.startswith("inner")]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"zconfig.db": WEB1.replace("exclusive", "shared")}, "zone web1: address: 10.2.0.5: ip-type shared"),
        ({"zconfig.web1": WEB1.replace("10.2.0.5", "172.16.0.5")}, "172.16.0.5: is in no network declared here"),
        ({"zconfig.web1": WEB1 + "flavour: mint\n"}, "zconfig.web1: flavour: mint: a field we do not know"),
        ({"zconfig.web1": WEB1.replace("parent_zone: proxy", "parent_zone: gone")}, "parent_zone: gone: there is no"),
        ({"rconfig.10.2.0": NETWORK + "mtu 9000\n"}, "rconfig.10.2.0: mtu 9000: a field we do not know"),
        ({"notes": "by hand"}, "notes: is no record of zap that we know"),
    ],
)
def test_what_is_not_expressed_is_said(files: dict[str, str], said: str) -> None:
    files = {name.replace("zconfig.db", "zconfig.web1"): text for name, text in files.items()}
    document = from_zap({**FILES, **files}, ZSDIR, uplink=UPLINK)
    assert [line for line in document.lost if said in line], document.lost
    assert said in document.text()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there are no records of zap"),
        ({"rconfig.10.2.0.0.0": NETWORK}, "are not the first one, two or three octets"),
        ({"rconfig.10.300": NETWORK}, "are not the first one, two or three octets"),
        ({"rconfig.10.3.0": NETWORK}, "the gateway 10.2.0.1 of network 10.3.0.0/24 is not in it"),
        ({"rconfig.10.2.0": "shared-interface: snic0\ngateway: 10.2.0.1\nzone: a\n"}, "interface is missing"),
        ({"rconfig.10.2.0": NETWORK, "rconfig.10.3.0": NETWORK.replace("10.2.0.1", "10.3.0.1")}, "zrstub0 is already"),
    ],
)
def test_what_cannot_be_declared_is_refused(files: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_zap(files, ZSDIR).text()
    assert said in str(refusal.value) and str(refusal.value).startswith(ZSDIR)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["import", "zap", str(tmp_path / "nothing")])
    assert done.exit_code == 1 and "cannot read it" in done.stderr
