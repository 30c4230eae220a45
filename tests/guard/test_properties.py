"""Whatever happens to a host, and whatever of it was noticed: the guard refuses when somebody depends, and only then.

Hypothesis makes up the stories; the paper floor plays them; after every step the real guard is asked about both
gateways, and its answer is compared with one worked out from the lab's host alone. The stories are the same in every
run; to search for new ones, set `derandomize` to False and raise `max_examples`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

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
from zonehookd.model.guard import OPERATIONS
from zonehookd.model.record import KEPT

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
RANGES = {"web": ["10.99.0.0/24", "fd00:99::/64"], "deep": ["10.98.0.0/24"], "free": ["10.97.0.0/24"]}
QUIET = {"dhcp": "none", "dns": "none"}
GATEWAYS = {
    "edge": {"outside": "wan", "address": "192.0.2.10", **QUIET},
    "inner": {"outside": "web", "address": "10.99.0.9", **QUIET},
}
ZONES = ("web1", "web2", "db1")
FOR_EVER_S = 3600.0

zones = st.sampled_from(ZONES)
gateways = st.sampled_from(sorted(GATEWAYS))
anybody = st.sampled_from([*ZONES, *GATEWAYS, "moved1"])
networks = st.sampled_from(sorted(RANGES))
numbers = st.integers(0, 1)


class Stories(RuleBasedStateMachine):
    @initialize(dialect=st.sampled_from(list(Dialect)), wired=st.booleans(), absence_s=st.sampled_from([0, FOR_EVER_S]))
    def begin(self, dialect: Dialect, wired: bool, absence_s: float) -> None:
        """`absence_s`: so long a zone that is not in the index any more is not believed to be gone."""
        self.root = Path(tempfile.mkdtemp(prefix="zonehookd-guard-"))
        (self.root / "host").mkdir()
        self.admin = Admin(paper_world(str(self.root / "host"), dialect))
        self.absence_s = absence_s
        self.deep_via = "inner"
        self.leave = dict.fromkeys(GATEWAYS, False)
        self.hidden: dict[Path, bytes] = {}
        self.start()
        self.creates("web1", "web", "address")
        self.creates_a_gateway("edge")
        if wired:
            self.ours.converge(10)

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

    @rule(zone=zones, network=networks, how=st.sampled_from(["address", "attribute", "global-nic", "link", "second"]))
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
        if self.there(zone) and link not in self.file(zone):
            self.admin.sh("zonecfg", "-z", zone, f"add net; set physical={link}; set allowed-address={address}; end")

    @rule(zone=zones, number=numbers, network=networks)
    def gives_another_address(self, zone: str, number: int, network: str) -> None:
        address = self.address(zone, number, network)
        self.admin.sh("zonecfg", "-z", zone, f"select net physical={zone}_{number}; set allowed-address={address}; end")

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

    @rule(via=st.sampled_from(["inner", "edge"]))
    def moves_a_network_to_another_gateway(self, via: str) -> None:
        self.deep_via = via
        self.ours.redeclare(self.declared(), GATEWAYS)

    # -- what the daemon does

    @rule()
    def looks(self) -> None:
        held = {name: self.held(name) for name in GATEWAYS if not self.there(name) and self.stays(name)}
        self.guarded.look()
        for name, before in held.items():
            site = self.ours.survey.site
            assert site is not None and (site.zones[name].vanished or self.absence_s), f"{name} is missed"
            assert before <= self.held(name), f"{name} was deleted, and what it has is kept"

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
        for name in GATEWAYS:
            self.judges(name)
        assert self.guarded.check("web1").code == "not-guarded"

    def judges(self, gateway: str) -> None:
        truth = self.truth()
        real, unread = truth.dependents(gateway), truth.unreadable() - {gateway}
        leave = self.leave[gateway]
        for operation in OPERATIONS:
            verdict = self.guarded.check(gateway, operation)
            named = {(each.network, each.zone, each.through): each.state for each in verdict.dependents}
            known = {each: state for each, state in named.items() if each[1] not in unread}
            expected = {each: truth.state(each[1]) for each in real}
            if operation == "halt":
                expected = {each: state for each, state in expected.items() if state in RUNNING}
            assert known == expected, f"{operation} of {gateway}: {verdict}"
            blocked = bool(expected) or (operation != "halt" and bool(unread))
            assert verdict.allowed is (leave or not blocked), f"{operation} of {gateway}: {verdict}"
            code = "permitted" if leave else "dependents" if named else "cannot-look" if blocked else "no-dependents"
            assert verdict.code == code, f"{operation} of {gateway}: {verdict}"

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
        return Truth(self.admin.world, wires, {"edge": "wan", "inner": "web"})

    def stays(self, gateway: str) -> bool:
        """Its configuration was deleted behind our back, and zones that can be read are attached to its networks."""
        kept = self.ours.store.one(KEPT, gateway) is not None
        return kept and not self.leave[gateway] and bool(self.truth().attached(gateway))

    def held(self, gateway: str) -> set[str]:
        """Links that are there, and our records of them, by name."""
        links = set(self.admin.links())
        return {name for name in links if name.startswith(f"{gateway}_")}

    def there(self, zone: str) -> bool:
        return any(line.startswith(f"{zone}:") for line in self.index().splitlines())

    def index(self) -> str:
        return self.admin.world.path("/etc/zones/index").read_text()

    def file(self, zone: str) -> str:
        path = self.admin.world.path(f"/etc/zones/{zone}.xml")
        return path.read_text() if path.exists() else ""

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
