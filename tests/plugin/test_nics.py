"""The MAC that a reservation is made for is the one the zone will ask with, whoever made its VNIC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fixtures import Admin, Build
from lab.world import Dialect
from paper import Engine
from paper_gateway import WEB, member

from zonehookd.engine.look import PluginReader
from zonehookd.illumos import linkname
from zonehookd.illumos.linkname import normal_mac
from zonehookd.plugin import expected_macs


def macs(ours: Engine) -> Mapping[str, str]:
    async def ask() -> Mapping[str, str]:
        site = ours.survey.site
        assert site is not None
        return await expected_macs(site.on_network["web"], PluginReader(ours._look(), "dnsmasq"))

    ours.plan()
    return asyncio.run(ask())


def test_it_is_known_before_the_vnic_is_and_stays_the_same(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    member(admin, "web2", "web mac=2:8:20:1:2:3")
    ours = engine({"gateway": {"edge": {}}}, web=WEB)
    before = macs(ours)
    assert before == {"web1_0": linkname.derived_mac("paper", "web1_0"), "web2_0": "02:08:20:01:02:03"}
    ours.converge()
    assert macs(ours) == before


def test_of_a_vnic_that_somebody_else_made_it_is_that_which_it_has(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-etherstub", "web0")
    admin.do("dladm", "create-vnic", "-l", "web0", "-m", "2:8:20:aa:bb:cc", "web1_0")
    member(admin, "web1", "web")
    ours = engine({"gateway": {"edge": {}}}, web={**WEB, "etherstub": "web0"})
    ours.converge()
    assert macs(ours)["web1_0"] == "02:08:20:aa:bb:cc"
    admin.do("dladm", "delete-vnic", "web1_0")
    ours.converge()
    assert macs(ours)["web1_0"] == linkname.derived_mac("paper", "web1_0"), "made anew, and by us"


def test_of_a_link_that_the_brand_makes_at_boot_it_is_not_guessed(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        done = admin.sh("zonecfg", "-z", "web1", "create -b; add net; set global-nic=web0; end")
        assert done.status != 0, "vanilla knows no global-nic"
        return
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.99.0.5/24; set global-nic=web0")
    ours = engine({"gateway": {"edge": {}}}, web={**WEB, "etherstub": "web0"})
    ours.converge()
    assert macs(ours) == {}
    admin.do("zoneadm", "-z", "web1", "boot")
    ours.converge()
    (mac,) = macs(ours).values()
    assert mac == normal_mac(admin.do("dladm", "show-vnic", "-p", "-o", "macaddress", "web1_0").strip())
