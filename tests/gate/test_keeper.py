"""Brands on disk: enabled, kept through updates and crashes, and put back as they were before the gate."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab.furnish_zones import brand_document

from zonehookd.errors import ConfigError
from zonehookd.gate import keeper as keeping
from zonehookd.gate import offline
from zonehookd.gate.brands import BrandRefused, gated, ungated
from zonehookd.gate.keeper import BrandKeeper

FIRST_NS, LATER_NS = 1_600_000_000_123_456_789, 1_700_000_000_987_654_321


def document(name: str, version: str = "1") -> bytes:
    return brand_document(name, {"install": f"/b/install{version}", "prestatechange": "/b/prestate %z %R"}).encode()


@dataclass(frozen=True)
class Look:
    """All that can be seen of a file."""

    content: bytes
    mode: int
    owner: tuple[int, int]
    mtime_ns: int


class Host:
    def __init__(self, folder: Path) -> None:
        self.state, self.run, self.brands = folder / "state", folder / "run", folder / "brands"
        self.state.mkdir(mode=0o700)
        for name in ("lx", "sparse"):
            self.package(name, document(name))

    def file(self, name: str = "sparse") -> Path:
        return self.brands / name / "config.xml"

    def kept(self, name: str = "sparse") -> Path:
        return self.state / "brand" / name / "config.xml"

    def package(self, name: str, content: bytes, mtime_ns: int = FIRST_NS, mode: int = 0o444) -> None:
        """As the packaging system does: another file under the old name."""
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file(name).with_name("fresh")
        fresh.write_bytes(content)
        fresh.chmod(mode)
        os.utime(fresh, ns=(mtime_ns, mtime_ns))
        fresh.rename(self.file(name))

    def look(self, name: str = "sparse") -> Look:
        found = self.file(name).stat()
        return Look(self.file(name).read_bytes(), found.st_mode, (found.st_uid, found.st_gid), found.st_mtime_ns)

    def keeper(self) -> BrandKeeper:
        return BrandKeeper(self.state, self.run, self.brands)

    def wanted(self, content: bytes) -> bytes:
        return gated(content, str(self.state / "gate"), str(self.run))

    def strays(self) -> list[str]:
        return [str(each) for each in self.brands.rglob("*") if each.is_file() and each.name != "config.xml"]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path.resolve())


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
    half = wanted.replace(f"{host.state}/gate {host.run} prestatechange %z -- ".encode(), b"")
    assert half != wanted
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


def gone(host: Host) -> None:
    host.file().unlink()


def no_xml(host: Host) -> None:
    host.file().chmod(0o644)
    host.file().write_text("<brand\n")


def invalid(host: Host) -> None:
    host.package("sparse", host.file().read_bytes().replace(b"<install>", b"<prestatechange/><install>"), LATER_NS)


Spoil = Callable[[Host], None]


@pytest.mark.parametrize("spoil", [gone, no_xml, invalid])
@pytest.mark.parametrize("by_daemon", [True, False])
def test_a_damaged_file_is_said_and_disabling_brings_back_what_was_kept(
    host: Host, spoil: Spoil, by_daemon: bool
) -> None:
    before = host.look()
    keeper = host.keeper()
    keeper.enable("sparse", [])
    spoil(host)
    (happened,) = keeper.check({})
    assert not happened.good and "pkg fix" in happened.text and "zonehookctl brand disable sparse" in happened.text
    assert keeper.check({}) == [], "said once"
    assert keeper.known("sparse")[:2] == ("missing", happened.text) and "sparse" in keeper.names()
    with pytest.raises(BrandRefused, match=r"pkg fix.*zonehookctl brand disable sparse"):
        keeper.enable("sparse", [])
    assert keeper.enabled() == ["sparse"] and host.file().exists() is (spoil is not gone)
    said = keeper.disable("sparse") if by_daemon else offline.disable(host.state, host.run, "sparse", host.brands)
    assert said.startswith("its config.xml was missing; " if spoil is gone else "its config.xml was damaged (it")
    assert said.endswith("what was kept of it is back, as it was before the gate")
    assert host.look() == before and host.strays() == [] and not host.kept().parent.exists()


def test_a_damaged_file_of_a_brand_without_the_gate(host: Host) -> None:
    no_xml(host)
    keeper = host.keeper()
    assert keeper.check({}) == [] and keeper.known("sparse")[0] == "none"
    for act in (lambda: keeper.enable("sparse", []), lambda: keeper.disable("sparse")):
        with pytest.raises(BrandRefused, match=r"it is no XML.*pkg fix\)\)$"):
            act()
    assert host.file().read_text() == "<brand\n"


@pytest.mark.parametrize("spoil", [gone, no_xml])
def test_what_is_mended_by_hand_is_seen(host: Host, spoil: Spoil) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    aside = host.state / "aside"
    os.link(host.file(), aside)
    host.file().unlink()
    if spoil is not gone:
        host.file().write_text("<brand")
    assert not keeper.check({})[0].good
    aside.rename(host.file())
    assert keeper.check({}) == [] and keeper.known("sparse")[0] == "in place"


def test_a_disabling_that_fails_changes_nothing(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    no_xml(host)
    kept = host.kept().read_bytes()
    host.kept().chmod(0o644)
    host.kept().write_bytes(b"")
    with pytest.raises(BrandRefused, match="what was kept of it too"):
        keeper.disable("sparse")
    for each in (keeper, host.keeper()):
        each.check({})
        assert each.enabled() == ["sparse"] and each.known("sparse")[0] == "missing"
    host.kept().write_bytes(kept)
    keeper.disable("sparse")
    assert host.file().read_bytes() == kept


def test_what_was_kept_is_damaged_and_the_file_is_not(host: Host) -> None:
    before = host.look()
    keeper = host.keeper()
    keeper.enable("sparse", [])
    host.kept().chmod(0o644)
    host.kept().write_bytes(b"<brand")
    assert "not known to be as it was" in keeper.disable("sparse")
    assert host.look().content == before.content


def test_what_we_do_not_read_may_be_good_for_illumos_and_stays(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", [])
    foreign = host.file().read_bytes().replace(b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="koi8-r"?>')
    assert foreign != host.file().read_bytes()
    host.package("sparse", foreign)
    for act in (lambda: keeper.enable("sparse", []), lambda: keeper.disable("sparse")):
        with pytest.raises(BrandRefused, match="it is written in koi8-r"):
            act()
    assert host.file().read_bytes() == foreign and keeper.enabled() == ["sparse"]


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
    said = offline.disable(host.state, host.run, "sparse", host.brands)
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
