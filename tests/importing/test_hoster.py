"""Hoster's networks as a declaration: what its own guide shows, and everything that does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zonehookd.checked import check
from zonehookd.cli.main import main
from zonehookd.config import load
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.importing.document import Uplink
from zonehookd.importing.hoster import from_hoster

INTERNAL: dict[str, Any] = {
    "network_name": "internal",
    "network_gateway": "10.0.105.254",
    "network_subnet": "10.0.105.0/24",
    "network_range_start": "10.0.105.10",
    "network_range_end": "10.0.105.200",
    "bridge_interface": "None",
    "apply_bridge_address": True,
    "comment": "Internal Network",
}
EXTERNAL: dict[str, Any] = {
    "network_name": "external",
    "network_gateway": "192.168.118.254",
    "network_subnet": "192.168.118.0/24",
    "network_range_start": "192.168.118.220",
    "network_range_end": "192.168.118.230",
    "bridge_interface": "em0",
    "apply_bridge_address": False,
    "comment": "External Network",
}


def ctl(*words: object) -> Result:
    return CliRunner().invoke(main, ["import", "hoster", *(str(word) for word in words)])


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    file = folder / "network_config.json"
    file.write_text(json.dumps(entries))
    return file


def test_the_example_of_its_guide_is_expressed_whole(tmp_path: Path) -> None:
    into = tmp_path / "zonehookd.toml"
    done = ctl(written(tmp_path, INTERNAL, EXTERNAL), "--uplink", "em0", "--into", into)
    assert (done.exit_code, done.output) == (0, "")
    declared = check(into).declared
    internal, external = declared.networks["internal"], declared.networks["external"]
    assert (str(internal.cidrs[0]), internal.internal, internal.via) == ("10.0.105.0/24", True, "global")
    assert str(internal.gateway(4)) == "10.0.105.254"
    assert [str(each) for each in internal.pool] == ["10.0.105.10-10.0.105.200"]
    assert (external.link, external.internal, external.via, external.dhcp) == ("em0", False, "", None)
    assert str(external.gateway(4)) == "192.168.118.254"
    assert [str(each) for each in external.pool] == ["192.168.118.220-192.168.118.230"]
    assert declared.gateways["global"].outside == external
    assert "# Internal Network\n" in into.read_text() and "# External Network\n" in into.read_text()


def test_printed_it_is_the_same_file(tmp_path: Path) -> None:
    file = written(tmp_path, INTERNAL)
    done = ctl(file)
    assert done.exit_code == 0
    ctl(file, "--into", tmp_path / "out.toml")
    assert (tmp_path / "out.toml").read_text() == done.output
    assert "No way out was given" in done.output


def test_a_way_out_that_no_network_is_becomes_one(tmp_path: Path) -> None:
    file = written(tmp_path, {**INTERNAL, "network_name": "uplink"})
    refused = ctl(file, "--uplink", "igb0")
    assert refused.exit_code == 1 and "give --uplink-cidr" in refused.output
    done = ctl(file, "--uplink", "igb0", "--uplink-cidr", "192.0.2.0/24")
    (tmp_path / "out.toml").write_text(done.output)
    outside = check(tmp_path / "out.toml").declared.gateways["global"].outside
    assert outside is not None and (outside.name, outside.link) == ("uplink-2", "igb0")
    assert ctl(file, "--uplink-cidr", "192.0.2.0/24").exit_code == 64


def test_the_host_without_an_address_is_no_gateway() -> None:
    document = from_hoster(json.dumps([{**INTERNAL, "apply_bridge_address": False}]), "x")
    document.text()
    assert "via" not in document.networks["internal"].values and not document.gateways and not document.lost


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"apply_bridge_address": True}, "apply_bridge_address = true: on an external network somebody else has"),
        ({"vlan": 7}, "vlan = 7: a field we do not know"),
        ({"network_range_start": ""}, "network_range_end = '192.168.118.230': half a range"),
        ({"network_name": "my net"}, "network_name = 'my net': no name a network may have here; it is 'my_net'"),
    ],
)
def test_what_is_not_expressed_is_said_and_decides_the_exit(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file, into = written(tmp_path, {**EXTERNAL, **change}), tmp_path / "out.toml"
    done = ctl(file, "--into", into)
    assert done.exit_code == 1 and f"zonehookctl: not expressed: {file}[0].{said}" in done.output
    assert "with --partial it would be" in done.output and not into.exists()
    assert ctl(file).exit_code == 1
    assert ctl(file, "--into", into, "--partial").exit_code == 0
    assert f"#   {file}[0].{said}" in into.read_text()
    check(into)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "expected an array of networks"),
        ("[1]", "expected an array of networks"),
        (json.dumps([{**INTERNAL, "network_subnet": "here"}]), "network_subnet: expected a CIDR, found 'here'"),
        (json.dumps([{**INTERNAL, "network_gateway": ""}]), "network_gateway: missing"),
        (json.dumps([{**INTERNAL, "apply_bridge_address": "yes"}]), "expected a bool, found 'yes'"),
        (json.dumps([INTERNAL, INTERNAL]), "there are two networks 'internal'"),
        (json.dumps([{**EXTERNAL, "bridge_interface": "wlan"}]), "'wlan' cannot be the name of a link on illumos"),
        (json.dumps([{**INTERNAL, "network_gateway": "10.9.0.1"}]), "network.internal.gateway: 10.9.0.1 is outside"),
        (json.dumps([{**INTERNAL, "network_range_end": "10.0.105.1"}]), "begins after its end"),
    ],
)
def test_what_cannot_be_declared_is_refused_whole(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        from_hoster(text, "net.json").text()
    assert said in str(refusal.value) and str(refusal.value).startswith("net.json")


def test_a_link_may_have_another_name_here(tmp_path: Path) -> None:
    file = written(tmp_path, EXTERNAL)
    done = ctl(file, "--link", "em0=igb0")
    assert 'uplink = "igb0"' in done.output and "# bridge_interface was em0." in done.output
    assert ctl(file, "--link", "em0").exit_code == 64


def test_a_subnet_written_as_a_host_is_the_same_network() -> None:
    document = from_hoster(json.dumps([{**INTERNAL, "network_subnet": "10.0.105.1/24"}]), "net.json")
    assert document.networks["internal"].values["cidr"] == "10.0.105.0/24"
    assert document.stays == [
        "net.json[0].network_subnet = '10.0.105.1/24': is written as 10.0.105.0/24, which is the same network"
    ]


def test_machines_become_commands_and_their_addresses_are_kept_for_them(tmp_path: Path) -> None:
    nics = [
        {"network_bridge": "vm-internal", "network_mac": "58:9c:fc:1:2:3", "ip_address": "10.0.105.12", "comment": ""},
        {"network_bridge": "external", "network_mac": "nonsense", "ip_address": "10.0.0.1", "network_speed": "9"},
        {"network_bridge": "gone"},
    ]
    (tmp_path / "vms" / "web1").mkdir(parents=True)
    (tmp_path / "vms" / "web1" / "vm_config.json").write_text(json.dumps({"networks": nics, "cpu_cores": 2}))
    done = ctl(written(tmp_path, INTERNAL, EXTERNAL), "--zones", tmp_path / "vms", "--uplink", "em0", "--partial")
    assert done.exit_code == 0
    for line in (
        "#   web1: zonecfg -z web1 'add net; set physical=web1_0; end; add attr; set name=zh.net0; set type=string; "
        'set value="internal 10.0.105.12 mac=58:9c:fc:01:02:03"; end\'',
        "#   machine web1: cpu_cores: of the machine, not of its network",
        "#   machine web1.networks[1].ip_address = '10.0.0.1': is not in network external, 192.168.118.0/24",
        "#   machine web1.networks[1].network_mac = 'nonsense': no MAC address that a link may have",
        "#   machine web1.networks[1].network_speed = '9': a field we do not know",
        "#   machine web1.networks[2].network_bridge = 'gone': there is no such network in",
    ):
        assert line in done.stdout, line
    (tmp_path / "out.toml").write_text(done.stdout)
    assert [str(each) for each in check(tmp_path / "out.toml").declared.networks["internal"].excluded] == [
        "10.0.105.12-10.0.105.12"
    ]


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    into = tmp_path / "mine.toml"
    into.write_text("mine")
    done = ctl(written(tmp_path, INTERNAL), "--into", into)
    assert done.exit_code == 1 and "is there already, and is not overwritten" in done.output
    assert into.read_text() == "mine" and sorted(each.name for each in tmp_path.iterdir()) == [
        "mine.toml",
        "network_config.json",
    ]
    assert "cannot write it" in ctl(written(tmp_path, INTERNAL), "--into", tmp_path / "no" / "such.toml").output


def test_a_comment_cannot_end_the_comment() -> None:
    hostile = {**INTERNAL, "comment": 'one\n[network.evil]\rcidr = "10.0.0.0/8"\x00\x1b[31m'}
    document = from_hoster(json.dumps([hostile]), "net.json")
    text = document.text()
    assert "# [network.evil]" in text and "\x00" not in text and "\x1b" not in text


def test_it_asks_no_daemon_and_reads_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[")
    argv = ["--config", str(tmp_path / "broken.toml"), "import", "hoster", str(written(tmp_path, INTERNAL))]
    assert CliRunner().invoke(main, argv).exit_code == 0


def test_the_result_may_be_a_drop_in(tmp_path: Path) -> None:
    (tmp_path / "z.toml").write_text('[network.dmz]\ncidr = "10.1.0.0/24"\n')
    (tmp_path / "z.d").mkdir()
    assert ctl(written(tmp_path, INTERNAL), "--into", tmp_path / "z.d" / "hoster.toml").exit_code == 0
    assert set(declare(load(tmp_path / "z.toml")).networks) == {"dmz", "internal"}


def test_an_uplink_is_declared_even_when_nothing_lies_behind_it() -> None:
    document = from_hoster("[]", "net.json", uplink=Uplink("igb0", "192.0.2.0/24"))
    assert list(document.networks) == ["uplink"] and document.text()
