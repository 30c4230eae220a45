"""Zones that are up while the gate comes into their brand, or goes: they go by the hooks of before."""

from __future__ import annotations

from brand_host import LATER_NS, Host, document

from zonehookd.gate import offline
from zonehookd.gate.keeper import BrandKeeper


def test_zones_that_are_up_when_it_goes_ask_until_they_are_halted(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", ["old"])
    keeper.disable("sparse", ["old", "web1", "web2", "web3"])

    def asking(keeper: BrandKeeper) -> object:
        how, _, zones = keeper.known("sparse")
        return how, zones

    assert asking(keeper) == ("none", ["web1", "web2", "web3"]), "old has never asked"
    assert keeper.enabled() == [] and [*host.kept().parent.iterdir()] == [host.kept().with_name("old-hooks")]
    keeper.heard("web1")
    keeper.check({"sparse": {"old", "web1", "web2", "new"}})
    assert asking(keeper) == ("none", ["web1", "web2"]), "it asks, and web3 is down"
    later = host.keeper()  # of another daemon, and of zonehookctl alone
    assert asking(later) == ("none", ["web1", "web2"])
    (row,) = offline.status(host.state, host.run, "sparse", host.brands)
    assert (row.enabled, row.gate, row.old_hooks) == (False, "none", ["web1", "web2"])
    assert later.disable("sparse", ["web1", "web2", "new"]) == "the gate was not in it"
    assert asking(later) == ("none", ["web1", "web2"])
    later.enable("sparse", ["old", "web1", "new"])
    assert asking(later) == ("in place", ["new", "old"]), "web1 has asked all the time"
    later.disable("sparse", ["web1"])
    later.check({"sparse": set()})
    assert asking(later) == ("none", []) and not host.kept().parent.exists()


def test_a_disabling_that_was_cut_off_says_who_asks(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", ["old"])
    (host.kept().parent / "leaving").touch()
    keeper = host.keeper()
    keeper.check({"sparse": {"old", "web1"}})
    assert keeper.enabled() == [] and keeper.known("sparse")[2] == ["web1"]


def test_who_was_up_at_the_last_good_check_asks_when_the_gate_is_made_anew(host: Host) -> None:
    keeper = host.keeper()
    keeper.enable("sparse", ["old"])
    keeper.check({"sparse": {"old", "web1", "web2"}}, {"old": 1, "web1": 2, "web2": 3})
    host.package("sparse", b"<brand", LATER_NS)
    keeper.check({"sparse": {"old", "web1", "web2"}}, {"old": 1, "web1": 2, "web2": 3})
    host.package("sparse", document("sparse", "2"), LATER_NS)
    up = {"old", "web1", "web2", "web3", "odd"}
    (happened,) = keeper.check({"sparse": up}, {"old": 1, "web1": 2, "web2": 4, "web3": 5})
    assert "the gate is in it again" in happened.text
    assert keeper.known("sparse")[2] == ["odd", "old", "web2", "web3"], "web2 was booted since, and odd may have been"
    host.package("sparse", document("sparse", "3"), LATER_NS)
    (happened,) = host.keeper().check({"sparse": up}, {"old": 1, "web1": 2, "web2": 4, "web3": 5})
    assert host.keeper().known("sparse")[2] == sorted(up), "another daemon has seen no good one"
