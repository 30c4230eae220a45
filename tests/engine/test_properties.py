"""Whatever an admin, the configuration, faults and deaths do, in any order: once quiet, all is as it should be.

Hypothesis makes up the stories; the paper floor plays them. Quiet means: no fault waits, every zone can be read, and
looks were taken until one had nothing to do. The stories are the same in every run; to search for new ones, set
`derandomize` to False and raise `max_examples`; to have a failing one shortened, add `Phase.shrink` and be patient.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from fixtures import Admin
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lab.dispatch import paper_world
from lab.faults import Fault
from lab.world import Dialect
from paper import Died, Engine

from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve
from zonehookd.illumos.linkname import normal_mac

RANGES = {"dmz": "10.1.0.0/24", "back": "10.2.0.0/24"}
SUBNETS = (*RANGES.values(), "10.9.0.0/24")  # the last is nobody's
ZONES = ("web1", "web2", "db1")
CHANGES = ("dladm create-etherstub *", "dladm create-vnic *", "dladm delete-vnic *", "dladm delete-etherstub *",
           "dladm set-linkprop *")  # fmt: skip
FOREIGN = ("dmz00x0", "web1_00", "web1_1", "znic0")  # names like ours, and one that a zone may come to want

pytestmark = pytest.mark.timeout(900)  # on a slow machine

zones = st.sampled_from(ZONES)
subnets = st.sampled_from(SUBNETS)
numbers = st.integers(0, 1)


class Stories(RuleBasedStateMachine):
    @initialize(dialect=st.sampled_from(list(Dialect)), present=st.sets(zones, min_size=1), wired=st.booleans())
    def begin(self, dialect: Dialect, present: set[str], wired: bool) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="zonehookd-stories-"))
        (self.root / "host").mkdir()
        self.admin = Admin(paper_world(str(self.root / "host"), dialect))
        self.networks: dict[str, object] = {name: {"cidr": cidr} for name, cidr in RANGES.items()}
        self.foreign: dict[str, str] = {name: self.row(name) for name in self.admin.links()}
        self.unreadable: dict[Path, str] = {}
        self.start()
        for zone in sorted(present):
            self.creates(zone, SUBNETS[0], second=True)
        if wired:
            self.is_quiet()

    def start(self) -> None:
        """A new process: nothing is left of the old one but the books and the host."""
        self.ours = Engine(self.admin.world, self.root / "state.db", self.networks)

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        try:
            self.is_quiet()
            self.everything_goes()
        finally:
            shutil.rmtree(self.root)

    # -- what the admin does

    @rule(zone=zones, subnet=subnets, second=st.booleans())
    def creates(self, zone: str, subnet: str, second: bool) -> None:
        nets = [self.net(zone, 0, subnet)] + ([self.net(zone, 1, SUBNETS[0])] if second else [])
        if zone not in self.zones() and not self.taken_along(zone):
            self.admin.zone(zone, *nets, state="configured" if second else "installed")

    @rule(zone=zones, network=st.sampled_from(sorted(RANGES)))
    def creates_by_attribute(self, zone: str, network: str) -> None:
        address = f"10.{1 if network == 'dmz' else 2}.0.{105 + ZONES.index(zone)}"
        attr = f'add attr; set name=zh.net0; set type=string; set value="{network} {address}"; end'
        if zone not in self.zones() and not self.taken_along(zone):
            self.admin.zone(zone, f"set physical={zone}_0", extra=attr)

    @rule(zone=zones, number=numbers, subnet=subnets)
    def gives_another_address(self, zone: str, number: int, subnet: str) -> None:
        address = self.net(zone, number, subnet).split("allowed-address=")[1]
        self.admin.sh("zonecfg", "-z", zone, f"select net physical={zone}_{number}; set allowed-address={address}; end")

    @rule(zone=zones, number=numbers)
    def takes_a_link_out_of_the_configuration(self, zone: str, number: int) -> None:
        self.admin.sh("zonecfg", "-z", zone, f"remove net physical={zone}_{number}")

    @rule(zone=zones, number=numbers, subnet=subnets)
    def adds_a_link_to_the_configuration(self, zone: str, number: int, subnet: str) -> None:
        if zone in self.zones() and f"{zone}_{number}" not in self.named():
            self.admin.sh("zonecfg", "-z", zone, f"add net; {self.net(zone, number, subnet)}; end")

    @rule(zone=zones, command=st.sampled_from(["install", "boot", "reboot", "halt", "ready"]))
    def says(self, zone: str, command: str) -> None:
        self.admin.sh("zoneadm", "-z", zone, command)

    @rule(zone=zones, new=st.sampled_from(["moved1", *ZONES]))
    def renames(self, zone: str, new: str) -> None:
        self.admin.sh("zonecfg", "-z", zone, f"set zonename={new}")

    @rule(zone=st.sampled_from([*ZONES, "moved1"]))
    def deletes(self, zone: str) -> None:
        if zone in self.zones():
            self.mend(zone)
            self.admin.delete(zone)

    @rule(zone=zones, number=numbers)
    def breaks_a_link(self, zone: str, number: int) -> None:
        name = f"{zone}_{number}"
        if name not in self.foreign:
            self.admin.sh("dladm", "delete-vnic", name)

    @rule(zone=zones, number=numbers, over=st.sampled_from(["net0", "dmz0"]), gone=st.booleans())
    def puts_a_link_of_its_own_in_place(self, zone: str, number: int, over: str, gone: bool) -> None:
        name = f"{zone}_{number}"
        self.settle()  # so that it is ours before
        self.breaks_a_link(zone, number)
        self.makes_a_link_of_its_own(name, over)
        if gone:
            self.deletes(zone)

    @rule(network=st.sampled_from(sorted(RANGES)), mtu=st.sampled_from(["9000", "1300"]))
    def breaks_a_stub(self, network: str, mtu: str) -> None:
        if f"{network}0" not in self.foreign:
            self.admin.sh("dladm", "set-linkprop", "-p", f"mtu={mtu}", f"{network}0")
        self.admin.sh("dladm", "delete-etherstub", f"{network}0")

    @rule(name=st.sampled_from(FOREIGN), over=st.sampled_from(["net0", "dmz0", ""]))
    def makes_a_link_of_its_own(self, name: str, over: str) -> None:
        how = ("create-vnic", "-l", over) if over else ("create-etherstub",)
        if self.admin.sh("dladm", *how, name).status == 0:
            self.foreign[name] = self.row(name)

    @rule(name=st.sampled_from(FOREIGN))
    def removes_a_link_of_its_own(self, name: str) -> None:
        for command in ("delete-vnic", "delete-etherstub"):
            if name in self.foreign and self.admin.sh("dladm", command, name).status == 0:
                del self.foreign[name]

    # -- what happens to the daemon

    @rule(names=st.sets(st.sampled_from(sorted(RANGES)), min_size=1), mtu=st.sampled_from([1400, 1500]))
    def declares(self, names: set[str], mtu: int) -> None:
        self.networks = {name: {"cidr": RANGES[name], "mtu": mtu} for name in sorted(names)}
        self.ours.redeclare(self.networks)

    @rule(kind=st.sampled_from(["busy", "again", "fail"]), pattern=st.sampled_from(CHANGES), times=st.integers(1, 3))
    def meets_a_fault(self, kind: str, pattern: str, times: int) -> None:
        self.admin.world.faults.add(Fault(kind, pattern, times=times))

    @rule(zone=zones)
    def cannot_read_a_zone(self, zone: str) -> None:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        if path.exists() and path not in self.unreadable:
            self.unreadable[path] = path.read_text()
            path.write_text("<zone")

    @rule()
    def cannot_read_the_index(self) -> None:
        index = self.admin.world.path("/etc/zones/index")
        text = index.read_text()
        index.write_text("half a line")
        before = self.admin.links()
        try:
            self.ours.look()
        except CannotObserve:
            pass
        else:
            raise AssertionError("half an index was believed")
        index.write_text(text)
        assert self.admin.links() == before

    @rule(looks=st.integers(1, 3))
    def looks(self, looks: int) -> None:
        for _ in range(looks):
            self.ours.look()

    @rule(number=st.integers(1, 4), moment=st.sampled_from(["before", "after"]))
    def dies(self, number: int, moment: str) -> None:
        self.ours.commands.die_at = (len(self.ours.commands.changes) + number, moment)
        with contextlib.suppress(Died):
            self.ours.look()
        self.ours.store.close()
        self.start()

    @rule()
    def is_quiet(self) -> None:
        self.settle()
        assert self.ours.steps() == [], "a second look has nothing to do"
        self.nothing_foreign_was_touched()
        site = self.site()
        excused = {note.object for plan in self.ours.plan() for note in plan.notes if note.kind != "nothing"}
        for attached in site.attached.values():
            for each in attached.attachments:
                if each.link not in excused:
                    assert self.admin.vnic(each.link).startswith(f"{each.network.link}:"), f"{each} is not wired"
        ours = {record.name: record for record in self.ours.store.all()}
        for name in self.admin.links():
            assert name in ours or name in self.foreign, f"{name} is in no book"
        for name, record in ours.items():
            if record.kind == "vnic" and name in self.admin.links():
                over, _, rest = self.admin.vnic(name).partition(":")
                same = {"over": over, "mac": normal_mac(rest.rpartition(":")[0])} == record.facts
                # A record of a link that cannot be placed now may be outdated, but must never fit somebody else's.
                assert same != (name in self.foreign), f"{record} is not what is there"

    @invariant()
    def nothing_foreign_was_touched(self) -> None:
        for name, row in getattr(self, "foreign", {}).items():
            assert self.row(name) == row, f"{name} is not ours to touch"

    # -- the end

    def everything_goes(self) -> None:
        for path in list(self.unreadable):
            self.mend(path.stem)
        self.admin.world.faults.clear()
        for zone in self.zones():
            self.admin.delete(zone)
        for name in sorted(self.foreign.keys() - {"net0"}):
            self.removes_a_link_of_its_own(name)
        self.ours.redeclare({})
        self.ours.converge(10)
        assert self.admin.links() == ["net0"], "something is left over"
        assert list(self.ours.store.all()) == []

    def settle(self) -> None:
        for path in list(self.unreadable):
            self.mend(path.stem)
        self.admin.world.faults.clear()
        self.ours.converge(10)

    # -- short ways

    def net(self, zone: str, number: int, subnet: str) -> str:
        host = 5 + 10 * ZONES.index(zone) + number
        return f"set physical={zone}_{number}; set allowed-address={subnet.replace('.0/24', f'.{host}/24')}"

    def mend(self, zone: str) -> None:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        text = self.unreadable.pop(path, None)
        if text is not None and path.exists():
            path.write_text(text)

    def zones(self) -> list[str]:
        index = self.admin.world.path("/etc/zones/index").read_text()
        return [line.split(":")[0] for line in index.splitlines() if line[:1].isalpha() and line[:7] != "global:"]

    def named(self) -> set[str]:
        """Links that some zone names."""
        return set(self.site().holders)

    def taken_along(self, zone: str) -> bool:
        """Another zone has this one's links, because it was this one before it was renamed."""
        return any(link.split("_")[0] == zone for link in self.named())

    def site(self) -> Site:
        return asyncio.run(self.ours.survey.take(self.ours._look(), self.ours.declared, 0.0)).site

    def row(self, name: str) -> str:
        return self.admin.sh("dladm", "show-link", "-p", "-o", "class,over", name).out + self.admin.vnic(name)


TestStories = Stories.TestCase
TestStories.settings = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    max_examples=60,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
