"""Brands whose file was damaged or deleted: said, and mended by disabling."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from brand_host import LATER_NS, Host

from zonehookd.gate import offline
from zonehookd.gate.brands import BrandRefused


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
