"""Brands on disk: enabled, kept through updates and crashes, and put back as they were before the gate."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from brand_host import LATER_NS, Host, document

from zonehookd.errors import ConfigError
from zonehookd.gate import keeper as keeping
from zonehookd.gate import offline
from zonehookd.gate.brands import BrandRefused, gated, ungated
from zonehookd.gate.keeper import BrandKeeper


def test_enabled_and_disabled_is_as_before(host: Host) -> None:
    before, other = host.look(), host.look("lx")
    keeper = host.keeper()
    assert keeper.enabled() == [] and keeper.known("sparse") == ("none", "", [])
    keeper.enable("sparse", [])
    assert host.file().read_bytes() == host.wanted(before.content)
    assert (host.look().mode, host.look().owner) == (before.mode, before.owner)
    assert keeper.enabled() == ["sparse"] and keeper.known("sparse")[0] == "in place"
    assert keeper.check({}) == [] and host.look("lx") == other
    keeper.enable("sparse", [])
    assert keeper.disable("sparse") == "its config.xml is as it was before the gate"
    assert host.look() == before
    assert keeper.enabled() == [] and not host.kept().parent.exists() and host.strays() == []
    assert keeper.disable("sparse") == "the gate was not in it"


def test_an_update_of_the_package_is_found_and_gets_the_gate(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    host.package("sparse", document("sparse", "2"), LATER_NS)
    update = host.look()
    (happened,) = keeper.check({"sparse": {"web1"}})
    assert happened.good and "replaced, as an update of its package does" in happened.text
    assert host.file().read_bytes() == host.wanted(update.content)
    how, text, old_hooks = keeper.known("sparse")
    assert how == "remade" and "made anew at 20" in text and old_hooks == ["web1"]
    assert keeper.check({"sparse": {"web1"}}) == []
    keeper.disable("sparse")
    assert host.look() == update, "the new file, not the one that was there when the gate came"


def test_what_pkg_fix_puts_back_gets_the_gate_again(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    host.package("sparse", document("sparse"))
    before = host.look()
    (happened,) = host.keeper().check(None)  # another daemon, later
    assert "put back as it was before the gate" in happened.text
    assert host.file().read_bytes() == host.wanted(before.content)
    host.keeper().disable("sparse")
    assert host.look() == before


def test_an_update_that_cannot_have_the_gate_stays_without(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    host.package("sparse", document("sparse").replace(b"/b/prestate %z %R", b"/b/prestate; /b/more"))
    update = host.look()
    (happened,) = keeper.check({})
    assert not happened.good and "more than plain words" in happened.text and str(host.file()) in happened.text
    assert keeper.check({}) == [], "said once"
    assert host.look() == update
    assert keeper.known("sparse")[0] == "missing" and keeper.enabled() == ["sparse"]
    host.package("sparse", document("sparse", "3"))
    assert keeper.check({})[0].good and keeper.known("sparse")[0] == "remade"


def test_a_change_by_somebody_else_stays(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    host.file().chmod(0o644)
    edited = host.file().read_bytes().replace(b"/b/install1", b"/b/mine")
    host.file().write_bytes(edited)
    assert keeper.check({}) == []
    assert keeper.known("sparse")[0] == "edited" and host.file().read_bytes() == edited
    assert "not known to be as it was before the gate" in keeper.disable("sparse")
    assert host.file().read_bytes() == ungated(edited)


def test_a_gate_that_is_half_taken_out_is_put_in_again(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    wanted = host.file().read_bytes()
    half = re.sub(rb"<prestatechange>.*?exec .* (?=/b/prestate)", b"<prestatechange>", wanted)
    assert b"<prestatechange>/b/prestate %z %R<" in half and b"<poststatechange>$1" in half
    host.package("sparse", half)
    (happened,) = keeper.check({})
    assert "edited by somebody else" in happened.text and host.file().read_bytes() == wanted


def test_a_brand_that_is_removed_and_comes_again(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    shutil.rmtree(host.file().parent)
    assert keeper.check({}) == []
    assert keeper.known("sparse")[:2] == ("missing", "the brand is not installed")
    host.package("sparse", document("sparse", "2"))
    assert keeper.check({})[0].good and host.file().read_bytes() == host.wanted(document("sparse", "2"))
    shutil.rmtree(host.file().parent)
    keeper.disable("sparse")
    assert keeper.enabled() == [] and keeper.names() == ["lx"]


def test_lost_books_are_read_from_the_edit(host: Host) -> None:
    before = host.look()
    host.keeper().enable("sparse", [])
    shutil.rmtree(host.state / "brand")
    keeper = host.keeper()
    (happened,) = keeper.check({})
    assert happened.good and "known from the edit itself" in happened.text
    assert keeper.enabled() == ["sparse"] and host.kept().read_bytes() == before.content
    keeper.disable("sparse")
    assert host.look().content == before.content and host.look().mode == before.mode


def test_disabled_without_books_too(host: Host) -> None:
    before = host.look()
    host.keeper().enable("sparse", [])
    shutil.rmtree(host.state / "brand")
    host.keeper().disable("sparse")
    assert host.look().content == before.content


def test_the_gate_of_another_state_folder_is_left_alone(host: Host) -> None:
    host.package("sparse", gated(document("sparse"), "/other/gate", "/other/run"))
    before = host.look()
    keeper = host.keeper()
    assert keeper.check({}) == []
    assert keeper.known("sparse")[:2] == ("none", "another zonehookd's gate is in it")
    assert host.look() == before


@pytest.mark.parametrize("runs", [True, False])
def test_what_an_uninstall_takes_out_of_another_zonehookd_is_in_again(host: Host, runs: bool) -> None:
    """smf/install.sh disables all brands that have a gate, whosever it is."""

    def other() -> BrandKeeper:
        folder = host.state.with_name("other")
        return BrandKeeper(folder, folder / "run", host.brands)

    before, there = host.look(), other()
    there.enable("sparse", [])
    with_it = host.look()
    host.keeper().disable("sparse")
    assert host.look().content == before.content
    (happened,) = (there if runs else other()).check({})
    assert happened.good and host.look().content == with_it.content


def test_another_state_folder_takes_its_brands_with_it(host: Host) -> None:
    """[paths] state was changed: the gate still asks us, by a program and a record of before."""
    before = host.look()
    BrandKeeper(host.state.with_name("former"), host.run, host.brands).enable("sparse", [])
    keeper = host.keeper()
    (happened,) = keeper.check({"sparse": {"web1"}})
    assert happened.good and "was not kept any more" in happened.text
    assert host.file().read_bytes() == host.wanted(before.content) and host.kept().read_bytes() == before.content
    assert keeper.known("sparse") == ("in place", "", ["web1"]) and keeper.check({"sparse": {"web1"}}) == []
    host.keeper().disable("sparse")
    assert host.look().content == before.content


def former(host: Host) -> bytes:
    """As versions of before wrote it: without the program none of the hooks runs."""
    gate = f"{host.state}/gate {host.run}"
    xml = host.file().read_bytes().replace(b"/b/prestate", f"{gate} prestatechange %z -- /b/prestate".encode())
    for hook, follows in (("poststatechange", b"  <privilege"), ("preuninstall", b"  <prestatechange")):
        xml = xml.replace(follows, f"  <{hook}>{gate} {hook} %z -added</{hook}>\n".encode() + follows, 1)
    return xml


@pytest.mark.parametrize("books", [True, False])
def test_what_a_former_version_wrote_is_made_anew(host: Host, books: bool) -> None:
    before, gate = host.look(), former(host)
    host.keeper().enable("sparse", [])
    host.package("sparse", gate)
    if not books:
        shutil.rmtree(host.state / "brand")
    keeper = host.keeper()
    (happened,) = keeper.check({"sparse": {"web1"}})
    assert happened.good and ("made by another version of zonehookd" in happened.text) is books
    assert host.file().read_bytes() == host.wanted(before.content)
    assert keeper.known("sparse")[2] == ["web1"], "it goes by what was there when it was booted"


def test_what_a_former_version_wrote_is_taken_out_to_the_byte(host: Host) -> None:
    before, gate = host.look(), former(host)
    host.keeper().enable("sparse", [])
    host.package("sparse", gate)
    assert offline.disable(host.state, host.run, "sparse", host.brands) == "its config.xml is as it was before the gate"
    assert host.look() == before


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("verb", ["enable", "disable", "update"])
def test_killed_between_any_two_steps(host: Host, verb: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next daemon ends what was begun; the file is the package's or ours, never anything else."""
    host.package("sparse", document("sparse"))
    package = document("sparse")
    if verb != "enable":
        host.keeper().enable("sparse", [])
    if verb == "update":
        package = document("sparse", "2")
        host.package("sparse", package, LATER_NS)
    left = [at]

    def counted(do: object) -> object:
        def step(*words: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return do(*words, **options)  # type: ignore[operator]

        return step

    with monkeypatch.context() as patch:
        for name in ("put_like", "write_atomically"):
            patch.setattr(keeping, name, counted(getattr(keeping, name)))
        for name in ("unlink", "touch", "mkdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        try:
            keeper = host.keeper()
            if verb == "enable":
                keeper.enable("sparse", ["web1"])
            elif verb == "disable":
                keeper.disable("sparse")
            else:
                keeper.check({"sparse": {"web1"}})
        except Killed:
            pass
    assert host.file().read_bytes() in (package, host.wanted(package))
    keeper = host.keeper()
    keeper.check({})
    enabled = keeper.enabled() == ["sparse"]
    assert host.file().read_bytes() == (host.wanted(package) if enabled else package)
    assert enabled or verb != "update"
    keeper.enable("sparse", [])
    keeper.disable("sparse")
    assert host.file().read_bytes() == package and host.strays() == [] and not host.kept().exists()


def test_what_a_killed_writer_left_is_cleared(host: Host) -> None:
    host.keeper().enable("sparse", [])
    (host.file().parent / ".config.xml.abc_d0e1").write_text("half")
    editors = [host.file(name).with_name(".config.xml.swp") for name in ("sparse", "lx")]
    editors.append(host.file("lx").with_name(".config.xml.12345678"))  # a brand that is none of ours
    for each in editors:
        each.write_text("what an editor of somebody else needs")
    host.keeper().check({})
    assert sorted(host.strays()) == sorted(map(str, editors))


@pytest.mark.parametrize("name", ["", "nobody", "..", "sparse/../lx", "."])
def test_a_brand_that_is_none(host: Host, name: str) -> None:
    for act in (lambda: host.keeper().enable(name, []), lambda: host.keeper().disable(name)):
        with pytest.raises(BrandRefused, match="there is no brand"):
            act()


def test_what_cannot_have_the_gate_is_left_as_it_is(host: Host) -> None:
    host.package("sparse", document("sparse").replace(b"/b/prestate %z %R", b"/b/prestate $(id)"))
    before = host.look()
    with pytest.raises(BrandRefused, match="plain words"):
        host.keeper().enable("sparse", [])
    assert host.look() == before and not host.kept().exists()
    host.package("sparse", document("lx"))
    with pytest.raises(BrandRefused, match="it says that it is brand 'lx'"):
        host.keeper().enable("sparse", [])
    host.file().unlink()
    host.file().symlink_to(host.file("lx"))
    with pytest.raises(BrandRefused, match="plain file"):
        host.keeper().enable("sparse", [])
    assert host.look("lx").content == document("lx")


def test_zones_that_were_up_go_by_the_hooks_of_before(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", ["web1", "web2", "web3"])
    assert keeper.known("sparse")[2] == ["web1", "web2", "web3"]
    keeper.heard("web2")  # by the gate
    keeper = host.keeper()
    keeper.check({"sparse": {"web1", "web2", "web9"}})  # web3 was halted
    assert keeper.known("sparse")[2] == ["web1"]
    keeper.check(None)
    assert keeper.known("sparse")[2] == ["web1"], "nothing is known of who runs"
    keeper.heard("web1")
    assert host.keeper().known("sparse")[2] == []


def test_disabled_while_no_daemon_runs(host: Host) -> None:
    before = host.look()
    host.keeper().enable("sparse", [])
    umask = os.umask(0o022)
    said = offline.disable(host.state, host.run, "sparse", host.brands)
    assert os.umask(umask) == 0o022, "who called has the umask it had"
    assert said == "its config.xml is as it was before the gate"
    assert host.look() == before
    offline.disable(host.state, host.run, "sparse", host.brands)
    with pytest.raises(BrandRefused):
        offline.disable(host.state, host.run, "nobody", host.brands)


def test_not_beside_a_daemon_that_does_not_answer(host: Host, tmp_path: Path) -> None:

    host.keeper().enable("sparse", [])
    holder = (
        "import sys, pathlib\nfrom zonehookd.host.sole import sole\n"
        "sole(pathlib.Path(sys.argv[1]))\nprint(1, flush=True)\nsys.stdin.read()\n"
    )
    argv = [sys.executable, "-c", holder, str(host.state / "lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "1\n"
        with pytest.raises(ConfigError, match="is running already"):
            offline.disable(host.state, host.run, "sparse", host.brands)
        assert process.stdin is not None
        process.stdin.close()
    assert host.file().read_bytes() == host.wanted(document("sparse"))
