"""Zones that are up while the gate comes into their brand, or goes: they go by the hooks of before."""

from __future__ import annotations

from brand_host import Host

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
