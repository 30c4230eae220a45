"""Whatever happens to a host, and whatever of it was noticed: the guard refuses when somebody depends, and only then.

Hypothesis makes up the stories; the paper floor plays them; after every step the real guard is asked about both
gateways, and its answer is compared with one worked out from the lab's host alone. The stories are the same in every
run; to search for new ones, set `derandomize` to False and raise `max_examples`.
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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine
from paper_guard import Guarded
from who_depends import RUNNING, Truth, Wire

from zonehookd.engine.survey import Survey
from zonehookd.model.guard import Verdict
from zonehookd.model.record import KEPT, LET_GO, RESTORE
from zonehookd.model.zone import ZoneState

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
RANGES = {"web": ["10.99.0.0/24", "fd00:99::/64"], "deep": ["10.98.0.0/24"], "free": ["10.97.0.0/24"]}
QUIET = {"dhcp": "none", "dns": "none"}
GATEWAYS = {
    "edge": {"outside": "wan", "address": "192.0.2.10", **QUIET},
    "inner": {"outside": "web", "address": "10.99.0.9", **QUIET},
}
ZONES = ("web1", "web2", "db1")
FOR_EVER_S = 3600.0
pytestmark = pytest.mark.timeout(900)  # on a slow machine

zones = st.sampled_from(ZONES)
gateways = st.sampled_from(sorted(GATEWAYS))
anybody = st.sampled_from([*ZONES, *GATEWAYS, "moved1"])
networks = st.sampled_from(sorted(RANGES))
numbers = st.integers(0, 1)
ways = st.sampled_from(["address", "attribute", "global-nic", "link", "second"])


class Stories(RuleBasedStateMachine):
    absence_s = 0.0  # so long a zone that is not in the index any more is not believed to be gone

    @initialize(
        dialect=st.sampled_from(list(Dialect)),
        web1=ways,
        db1=ways,
        inner=st.booleans(),
        peopled=st.booleans(),
        wired=st.booleans(),
        up=st.booleans(),
    )
    def begin(self, dialect: Dialect, web1: str, db1: str, inner: bool, peopled: bool, wired: bool, up: bool) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="zonehookd-guard-"))
        (self.root / "host").mkdir()
        self.admin = Admin(paper_world(str(self.root / "host"), dialect))
        self.deep_via = "inner"
        self.leave = dict.fromkeys(GATEWAYS, False)
        self.hidden: dict[Path, bytes] = {}
        self.start()
        for name in ["edge", *(["inner"] if inner else [])]:
            self.creates_a_gateway(name)
        if wired:
            self.ours.converge(10)  # so that there are etherstubs
        if peopled:
            self.creates("web1", "web", web1)
            self.creates("db1", "deep", db1)
        else:  # nobody depends yet, so one that cannot be read is all that may block
            self.creates("web2", "free", "address")
        if wired:
            self.ours.converge(10)
        for zone in [*GATEWAYS, "web1", "db1", "web2"] if up else []:
            self.says(zone, "install")
            self.says(zone, "boot")

    def start(self) -> None:
        """A new process: nothing is left of the old one but the books and the host."""
        self.ours = Engine(self.admin.world, self.root / "state.db", self.declared(), gateway=GATEWAYS)
        self.ours.survey = Survey(self.ours.config.paths.zones, self.absence_s)
        self.guarded = Guarded(self.ours, halt="deny")

    def declared(self) -> dict[str, object]:
        hidden = {"web": "edge", "deep": self.deep_via}
        tables = {name: {"cidr": cidr, **({"via": hidden[name]} if name in hidden else {})}
                  for name, cidr in RANGES.items()}  # fmt: skip
        return {"wan": WAN, **tables}

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        try:
            if not self.absence_s:
                self.everybody_goes()
        finally:
            self.ours.store.close()
            shutil.rmtree(self.root)

    # -- what the admin does

    @rule(zone=zones, network=networks, how=ways)
    def creates(self, zone: str, network: str, how: str) -> None:
        if self.there(zone) or self.taken_along(zone):
            return
        link, attr = f"{zone}_0", ""
        net = f"set physical={link}"
        if how in ("address", "second"):
            net += f"; set allowed-address={self.address(zone, 0, network)}"
        elif how == "global-nic" and self.admin.world.dialect is Dialect.OMNIOS:
            net += f"; set global-nic={network}0"
        elif how == "attribute":
            attr = f"add attr; set name=zh.net0; set type=string; set value={network}; end"
        else:
            self.admin.sh("dladm", "create-vnic", "-l", f"{network}0", link)
        nets = [net, f"set physical={zone}_1; set allowed-address={self.address(zone, 1, 'free')}"]
        self.admin.zone(zone, *nets[: 2 if how == "second" else 1], extra=attr, state="configured")

    @rule(name=gateways)
    def creates_a_gateway(self, name: str) -> None:
        if not self.there(name):
            self.admin.zone(name)

    @rule(zone=anybody, command=st.sampled_from(["install", "boot", "halt", "reboot"]))
    def says(self, zone: str, command: str) -> None:
        self.admin.sh("zoneadm", "-z", zone, command)

    @rule(zone=zones, number=numbers)
    def takes_a_nic_away(self, zone: str, number: int) -> None:
        self.admin.sh("zonecfg", "-z", zone, f"remove net physical={zone}_{number}")

    @rule(zone=zones, number=numbers, network=networks)
    def adds_a_nic(self, zone: str, number: int, network: str) -> None:
        link, address = f"{zone}_{number}", self.address(zone, number, network)
        if self.there(zone) and link not in self.file(zone) and self.goes_by_addresses(zone):
            self.admin.sh("zonecfg", "-z", zone, f"add net; set physical={link}; set allowed-address={address}; end")

    @rule(zone=zones, number=numbers, network=networks)
    def gives_another_address(self, zone: str, number: int, network: str) -> None:
        address = self.address(zone, number, network)
        if self.goes_by_addresses(zone):
            change = f"select net physical={zone}_{number}; set allowed-address={address}; end"
            self.admin.sh("zonecfg", "-z", zone, change)

    @rule(zone=st.sampled_from([*ZONES, "inner"]), value=st.sampled_from(["no", "yes", "", "No", "perhaps"]))
    def says_whether_it_depends(self, zone: str, value: str) -> None:
        self.admin.sh("zonecfg", "-z", zone, "remove attr name=zh.depends")
        attr = f'add attr; set name=zh.depends; set type=string; set value="{value}"; end'
        self.admin.sh("zonecfg", "-z", zone, attr)

    @rule(zone=zones)
    def renames(self, zone: str) -> None:
        self.admin.sh("zonecfg", "-z", zone, "set zonename=moved1")

    @rule(zone=anybody)
    def deletes_the_configuration(self, zone: str) -> None:
        """Also of an installed zone: nothing is asked before (zones sheet 4.3)."""
        self.mend(zone)
        self.admin.sh("zonecfg", "-z", zone, "delete", "-F")

    @rule(zone=anybody)
    def destroys(self, zone: str) -> None:
        self.mend(zone)
        if self.there(zone):
            self.admin.delete(zone)

    @rule(zone=zones, number=numbers, network=networks)
    def makes_a_link_by_hand(self, zone: str, number: int, network: str) -> None:
        self.admin.sh("dladm", "delete-vnic", f"{zone}_{number}")
        self.admin.sh("dladm", "create-vnic", "-l", f"{network}0", f"{zone}_{number}")

    @rule(zone=zones, number=numbers)
    def removes_a_link(self, zone: str, number: int) -> None:
        self.admin.sh("dladm", "delete-vnic", f"{zone}_{number}")

    @rule(zone=zones, network=networks)
    def lends_a_link_of_its_own(self, zone: str, network: str) -> None:
        if self.admin.sh("dladm", "create-vnic", "-l", f"{network}0", "lent0").status == 0:
            self.admin.sh("dladm", "set-linkprop", "-t", "-p", f"zone={zone}", "lent0")

    @rule(zone=anybody, gone=st.booleans())
    def makes_a_zone_unreadable(self, zone: str, gone: bool) -> None:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        if path.exists() and path not in self.hidden and self.there(zone):
            self.hidden[path] = path.read_bytes()
            path.unlink() if gone else path.write_text("<zone")

    @rule(zone=anybody)
    def mends(self, zone: str) -> None:
        self.mend(zone)

    @rule(name=gateways, seconds=st.sampled_from([600.0, -1.0]))
    def gives_leave(self, name: str, seconds: float) -> None:
        """For a time, or for one that is over."""
        self.guarded.guard.grant(name, seconds, "because", ())
        self.leave[name] = seconds > 0

    @rule(name=gateways)
    def wants_it_back(self, name: str) -> None:
        """Lost or let go; where there is nothing to restore, who asks is told so."""
        if not self.there(name) and any(self.ours.store.one(kind, name) for kind in (KEPT, LET_GO)):
            self.guarded.guard.restore(name, "asked for")

    @rule(via=st.sampled_from(["inner", "edge"]))
    def moves_a_network_to_another_gateway(self, via: str) -> None:
        self.deep_via = via
        self.ours.redeclare(self.declared(), GATEWAYS)

    # -- what the daemon does

    @rule()
    def looks(self) -> None:
        missed = {name: self.held(name) for name in GATEWAYS if self.is_missed(name)}
        let_go = {name for name in GATEWAYS if self.may_go(name)}
        self.guarded.look()
        site = self.ours.survey.site
        assert site is not None
        for name, before in missed.items():
            assert site.zones[name].vanished or self.absence_s, f"{name} was deleted, and that is said"
            assert before <= self.held(name), f"{name} was deleted, and what it has stays"
        for name in GATEWAYS:  # leave ends with the gateway that it was for
            zone = site.zones.get(name)
            gone = zone is None or zone.state is ZoneState.ABSENT
            self.leave[name] = self.leave[name] and not (gone and self.ours.store.one(KEPT, name) is None)
        for name in let_go:
            assert name not in site.zones or not site.zones[name].vanished, f"nobody misses {name}"

    @rule(name=gateways)
    def loses_a_gateway(self, name: str) -> None:
        """The shortest way to delete one that nobody can refuse."""
        self.admin.sh("zoneadm", "-z", name, "halt")
        self.deletes_the_configuration(name)
        self.looks()
        self.looks()

    @rule()
    def sees(self) -> None:
        """A look whose steps are not carried out."""
        self.ours.plan()

    @rule(number=st.integers(1, 4), moment=st.sampled_from(["before", "after"]))
    def dies(self, number: int, moment: str) -> None:
        self.ours.commands.die_at = (len(self.ours.commands.changes) + number, moment)
        with contextlib.suppress(Died):
            self.ours.look()
        self.ours.store.close()
        self.start()

    # -- what holds at every moment

    @invariant()
    @precondition(lambda self: hasattr(self, "ours"))
    def the_guard_says_what_is_so(self) -> None:
        truth = self.truth()
        questions = [*((name, how) for name in GATEWAYS for how in ("uninstall", "halt")), ("edge", "delete")]
        verdicts = asyncio.run(self.asked(questions))
        for verdict in verdicts:
            self.judge(verdict, truth)

    async def asked(self, questions: list[tuple[str, str]]) -> list[Verdict]:
        return [await self.guarded.guard.check(name, operation) for name, operation in questions]

    def judge(self, said: Verdict, truth: Truth) -> None:
        gateway, unread = said.zone, truth.unreadable() - {said.zone}
        named = {(each.network, each.zone, each.through): each.state for each in said.dependents}
        real = {each: truth.state(each[1]) for each in truth.dependents(gateway)}
        if said.operation == "halt":  # who does not run loses nothing, and what is unseen holds nothing up
            real = {each: state for each, state in real.items() if state in RUNNING}
            unread = set()
        leave = self.leave[gateway]
        blocked = bool(real or unread)
        assert {each: state for each, state in named.items() if each[1] not in truth.unreadable()} == real, said
        assert said.allowed is (leave or not blocked), said
        code = "permitted" if leave else "dependents" if named else "cannot-look" if blocked else "no-dependents"
        assert said.code == code, said

    def everybody_goes(self) -> None:
        """Nobody depends any more, so what was missed is let go."""
        for path in list(self.hidden):
            self.mend(path.stem)
        for zone in [*ZONES, "moved1", *GATEWAYS]:
            if self.there(zone) and zone not in GATEWAYS:
                self.admin.delete(zone)
        self.admin.sh("dladm", "delete-vnic", "lent0")
        for name in GATEWAYS:
            self.admin.sh("zoneadm", "-z", name, "halt")
            self.admin.sh("zonecfg", "-z", name, "delete", "-F")
            self.ours.store.forget(RESTORE, name)
        self.guarded.converge()
        site = self.ours.survey.site
        assert site is not None
        assert not any(zone.vanished for zone in site.zones.values()), "nobody is left to miss it"
        assert not any(self.held(name) for name in GATEWAYS), "what it had is cleared away"
        assert not list(self.ours.store.of_kind(KEPT)), "and it is not kept any longer"

    # -- short ways

    def truth(self) -> Truth:
        hidden = {"web": "edge", "deep": self.deep_via, "free": ""}
        wires = {name: Wire(f"{name}0", hidden[name], tuple(RANGES[name])) for name in RANGES}
        missed = [name for name in GATEWAYS if self.ours.store.one(KEPT, name) and not self.leave[name]]
        return Truth(self.admin.world, wires, {"edge": "wan", "inner": "web"}, missed)

    def is_missed(self, gateway: str) -> bool:
        """It was deleted without leave, it is kept, and zones that can be read are on its networks."""
        kept = self.ours.store.one(KEPT, gateway) is not None
        on_its_networks = [zone for _, zone, through in self.truth().dependents(gateway) if not through]
        return kept and not self.there(gateway) and not self.leave[gateway] and bool(on_its_networks)

    def may_go(self, gateway: str) -> bool:
        truth = self.truth()
        nobody = not truth.dependents(gateway) and not truth.unreadable()
        return not self.absence_s and not self.there(gateway) and (self.leave[gateway] or nobody)

    def held(self, gateway: str) -> set[str]:
        """Its links, and our records of them."""
        links = {name for name in self.admin.links() if name.startswith(f"{gateway}_")}
        return links | {
            f"record of {each.name}" for each in self.ours.store.of_kind("vnic") if each.owner.name == gateway
        }

    def there(self, zone: str) -> bool:
        return any(line.startswith(f"{zone}:") for line in self.index().splitlines())

    def index(self) -> str:
        return self.admin.world.path("/etc/zones/index").read_text()

    def file(self, zone: str) -> str:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        return path.read_text() if path.exists() else ""

    def goes_by_addresses(self, zone: str) -> bool:
        """Else an address may contradict what the zone says, and such a NIC is refused."""
        return "zh.net" not in self.file(zone) and "global-nic" not in self.file(zone)

    def taken_along(self, zone: str) -> bool:
        """It was renamed, and has this one's links and addresses."""
        return f'"{zone}_' in self.file("moved1")

    def mend(self, zone: str) -> None:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        text = self.hidden.pop(path, None)
        if text is not None and self.there(zone):
            path.write_bytes(text)

    def address(self, zone: str, number: int, network: str) -> str:
        last = 20 + 10 * ZONES.index(zone) + number
        if network == "web" and number:
            return f"fd00:99::{last}/64"
        return f"{RANGES[network][0].removesuffix('0/24')}{last}/24"


class Doubting(Stories):
    """Whoever is missing is never believed to be gone: every answer falls into the moment before that."""

    absence_s = FOR_EVER_S


_SETTINGS = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    max_examples=30,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestStories = Stories.TestCase
TestStories.settings = _SETTINGS
TestDoubting = Doubting.TestCase
TestDoubting.settings = settings(_SETTINGS, max_examples=15)
