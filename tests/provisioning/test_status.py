"""What is said of each part, on the paper floor in both dialects: it exists, it is as declared, it works."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest
from fixtures import Admin, Build
from paper import Engine, PaperCommands

from zonehookd.bus.messages import ComponentRow, ProvisioningRow
from zonehookd.errors import CommandTimedOut
from zonehookd.host.process import Finished
from zonehookd.model.command import Change, Query
from zonehookd.model.subject import Subject
from zonehookd.provisioning import status

SECTION = {"uplink": "net0", "uplink_cidr": "192.0.2.0/24", "upstream": ["192.0.2.53"]}
PLUGINS = ["etherstub", "pool", "address", "vnic", "nat", "gateway_nic", "zone_address", "gateway"]
GOOD = (True, True, True)


@pytest.fixture
def provisioned(admin: Admin, engine: Build) -> Engine:
    admin.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "net0/v4")
    admin.do("route", "add", "default", "192.0.2.1")
    made = engine({"provisioning": {"provision": SECTION}, "plugins": {"enabled": PLUGINS}})
    made.converge()
    return made


def look(engine: Engine, enabled: Collection[str] = PLUGINS) -> ProvisioningRow:
    plans = engine.plan()
    assert engine.survey.site is not None
    return asyncio.run(status.row(engine._look(), engine.survey.site, "provision", "z.toml", plans, enabled))


def part(row: ProvisioningRow, name: str) -> ComponentRow:
    return next(each for each in row.components if each.name == name)


def marks(row: ProvisioningRow, name: str) -> tuple[bool | None, bool | None, bool | None]:
    each = part(row, name)
    return each.exists, each.as_declared, each.works


def test_what_is_built_is_good_and_what_nobody_serves_is_not(provisioned: Engine) -> None:
    row = look(provisioned)
    assert [marks(row, name) for name in ("etherstub", "host-vnic", "address", "forwarding", "nat")] == [GOOD] * 5
    server = "dhcpd" if provisioned.dialect.vnic_zone_field else "dnsmasq"
    assert part(row, "dhcp").text == f"{server} is not there; plugin {server} is not enabled"
    assert marks(row, "dns") == (False, False, False) and not row.ready
    assert (row.resolvers, row.uplink, row.zones) == (["10.190.190.1"], "net0", [])


def test_nothing_is_there_before_the_first_look(admin: Admin, engine: Build) -> None:
    made = engine({"provisioning": {"provision": SECTION}, "plugins": {"enabled": PLUGINS}})
    row = look(made)
    assert [each.exists for each in row.components] == [False] * 7
    assert part(row, "etherstub").text == "estub_provision0 is not there"
    assert part(row, "forwarding").text.startswith("provision_interconnect0, net0 is not there; ")


@pytest.mark.parametrize(
    ("commands", "name", "found", "said"),
    [
        (["dladm set-linkprop -p mtu=9000 estub_provision0"], "etherstub", (True, False, True), "its MTU is 9000"),
        (["ipadm delete-if provision_interconnect0"], "host-vnic", (True, True, False), "no IP interface on provision"),
        (["ipadm delete-if provision_interconnect0"], "address", (False, False, False), "10.190.190.1/24 is not there"),
        (["ipadm set-ifprop -t -p forwarding=off -m ipv4 net0"], "forwarding", (True, False, False), "net0 does not"),
        (["route delete default 192.0.2.1"], "forwarding", (True, True, False), "no IPv4 default route by net0"),
        (["ipf -D"], "nat", (False, False, False), "ipfilter is not enabled"),
        (["ipnat -C"], "nat", (False, False, False), "no rule for the ports of TCP and UDP"),
        (["ipadm delete-addr net0/v4"], "nat", (True, True, False), "net0 has no address to show"),
    ],
)
def test_each_fault_is_told_of_its_part(
    provisioned: Engine, admin: Admin, commands: list[str], name: str, found: tuple[bool, bool, bool], said: str
) -> None:
    for command in commands:
        admin.do(*command.split())
    row = look(provisioned)
    assert said in part(row, name).text and marks(row, name) == found, part(row, name)
    untouched = {"etherstub": "address", "nat": "etherstub"}.get(name, "etherstub")
    assert marks(row, untouched) == GOOD


class Deaf(PaperCommands):
    """Some command never answers."""

    def __init__(self, commands: PaperCommands, word: str) -> None:
        super().__init__(commands.world)
        self._word = word

    async def run(self, query_or_change: Query[object] | Change, *, why: str, subject: Subject | None) -> Finished:
        if self._word in query_or_change.argv:
            raise CommandTimedOut(query_or_change.argv, "did not answer")
        return await super().run(query_or_change, why=why, subject=subject)


@pytest.mark.parametrize(
    ("word", "blind"), [("show-ifprop", {"forwarding", "nat"}), ("show-if", {"host-vnic"}), ("netstat", {"forwarding"})]
)
def test_what_cannot_be_seen_is_neither_there_nor_missing(provisioned: Engine, word: str, blind: set[str]) -> None:
    provisioned.commands = Deaf(provisioned.commands, word)
    row = look(provisioned)
    assert {each.name for each in row.components if each.exists is None} >= blind
    for name in blind:
        assert marks(row, name) == (None, None, None) and word in part(row, name).text
    assert marks(row, "etherstub") == GOOD and not row.ready


def test_zones_on_it_are_named_whoever_made_them(provisioned: Engine, admin: Admin) -> None:
    admin.by_address("web1", "web1_0", "10.190.190.50/24")
    admin.zone("db1", "set physical=db1_0", extra='add attr; set name=zh.net0; set type=string; '
               'set value="provision"; end', state="configured")  # fmt: skip
    provisioned.converge()
    assert look(provisioned).zones == ["db1", "web1"]
    assert provisioned.notes() == []
