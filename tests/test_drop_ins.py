"""Drop-ins beside the main file: who may declare what, and how a refusal names its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonehookd.checked import check
from zonehookd.config import load, paths
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError, PluginRefused

MAIN = '[network.dmz]\ncidr = "10.1.0.0/24"\n'


def files(folder: Path, main: str = MAIN, **drop_ins: str) -> Path:
    main_file = folder / "z.toml"
    main_file.write_text(main)
    if drop_ins:
        (folder / "z.d").mkdir()
    for name, text in drop_ins.items():
        (folder / "z.d" / f"{name}.toml").write_text(text)
    return main_file


def test_networks_and_gateways_of_all_files_are_one_declaration(tmp_path: Path) -> None:
    main = files(
        tmp_path,
        b="[gateway.proxy]\nkind = 'router'\n",
        a="[network.back]\ncidr = '10.2.0.0/24'\nvia = 'proxy'\n",
    )
    (tmp_path / "z.d" / "notes.txt").write_text("not ours")
    (tmp_path / "z.d" / ".a.toml").write_text("what an editor left = ")
    declared = declare(load(main))
    assert list(declared.networks) == ["dmz", "back"] and list(declared.gateways["proxy"].networks) == ["back"]


def test_the_same_name_twice_is_refused_with_both_files(tmp_path: Path) -> None:
    main = files(tmp_path, a="[network.dmz]\nmtu = 1400\n", b="[gateway.g]\n", c="[gateway.g]\n")
    with pytest.raises(ConfigError) as refusal:
        load(main)
    folder = tmp_path / "z.d"
    assert f"{folder / 'a.toml'}: network.dmz: is declared in {main} already" in str(refusal.value)
    (folder / "a.toml").unlink()
    with pytest.raises(ConfigError) as refusal:
        load(main)
    assert f"{folder / 'c.toml'}: gateway.g: is declared in {folder / 'b.toml'} already" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[timing]\npoll_s = 1", "timing: a drop-in holds only network, gateway, provisioning (it belongs into "),
        ("[netwrok.a]\ncidr = '10.9.0.0/24'", "netwrok: a drop-in holds only network, gateway, provisioning (did you"),
        ("network = 1", "network: expected tables such as [network.NAME]"),
        ("[network", "not TOML: "),
        ("[network.b]\ncidr = '10.9.0.0/24'\nmtv = 1", "network.b.mtv: unknown key (did you mean 'mtu'?)"),
        ("[network.b]\nmtu = 1400", "network.b.cidr: field required"),
    ],
)
def test_a_fault_names_the_file_it_stands_in(tmp_path: Path, text: str, said: str) -> None:
    main = files(tmp_path, a=text)
    with pytest.raises(ConfigError) as refusal:
        load(main)
    assert str(refusal.value).startswith(f"{tmp_path / 'z.d' / 'a.toml'}: {said}")


def test_faults_of_the_declaration_name_their_files_too(tmp_path: Path) -> None:
    main = files(
        tmp_path,
        "[network.dmz]\ncidr = '10.1.0.5/24'\n[gateway.'web']\nkind = 'router'\n",
        a="[network.back]\ncidr = 'nowhere'\n[gateway.'web.1']\noutside = 'nothing'\n",
        b="[network.far]\ncidr = '10.3.0.0/24'\nvia = 'nobody'\n",
    )
    with pytest.raises(ConfigError) as refusal:
        check(main)
    a, b = tmp_path / "z.d" / "a.toml", tmp_path / "z.d" / "b.toml"
    starts = [f"{main}: network.dmz.cidr: ", f"{a}: network.back.cidr: ", f"{b}: network.far.via: ",
              f"{a}: gateway.web.1.outside: "]  # fmt: skip
    lines = str(refusal.value).splitlines()
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)] == [True] * 4, lines


def test_an_overlap_over_two_files_is_told_to_the_later_one(tmp_path: Path) -> None:
    main = files(tmp_path, a="[network.back]\ncidr = '10.1.0.0/25'\n")
    with pytest.raises(ConfigError) as refusal:
        check(main)
    assert str(refusal.value).startswith(f"{tmp_path / 'z.d' / 'a.toml'}: network.back.cidr: 10.1.0.0/25 overlaps")


def test_what_plugins_refuse_names_the_file(tmp_path: Path) -> None:
    main = files(tmp_path, MAIN + "[plugins.options.vnic]\nno_such = 1\nneither = 2\n")
    with pytest.raises(PluginRefused) as refusal:
        check(main)
    lines = str(refusal.value).splitlines()
    assert len(lines) == 2 and all(line.startswith(f"{main}: plugins.options.vnic.") for line in lines)
    main.write_text(MAIN + "[plugins]\nenabled = ['nothing']\n")
    with pytest.raises(PluginRefused, match=f"^{main}: plugin 'nothing' is not there"):
        check(main)


def test_no_folder_and_a_file_in_its_place_are_no_drop_ins(tmp_path: Path) -> None:
    main = files(tmp_path)
    assert list(load(main).network) == ["dmz"]
    (tmp_path / "z.d").write_text("")
    assert list(load(main).network) == ["dmz"]


def test_who_asks_the_daemon_needs_its_paths_only(tmp_path: Path) -> None:
    main = files(tmp_path, "[paths]\nrun = '/run/here'\n[timing]\npoll_s = 'never'\n", a="[network")
    assert paths(main).run == Path("/run/here")
    main.write_text("[paths]\nrnu = '/run/here'\n")
    with pytest.raises(ConfigError, match=f"^{main}: paths.rnu: unknown key .did you mean 'run'"):
        paths(main)
