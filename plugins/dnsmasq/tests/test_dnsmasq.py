"""dnsmasq on the paper floor: what is asked of its service, and what stays when anything on the way fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fixtures import Admin, Build
from lab.world import Dialect, World
from paper import Engine

from zonehookd.plugin import served

FOREIGN = "# the admin's own\ncache-size=77"  # no newline at its end
FOLDER = "/var/zonehookd/dnsmasq"


class Site:
    """A gateway (a zone, or the global one) with one network and two members."""

    def __init__(self, admin: Admin, build: Build, world: World, where: str) -> None:
        self.admin, self.world, self.where = admin, world, where
        self.omnios = world.dialect is Dialect.OMNIOS
        self.fmri = "svc:/network/dns/dnsmasq:default" if self.omnios else "svc:/network/dnsmasq:default"
        self.main = "/etc/opt/ooce/dnsmasq/dnsmasq.conf" if self.omnios else "/etc/dnsmasq.conf"
        if where != "global":
            admin.zone(where)
        for number in (1, 2):
            admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24")
        self.build = build
        self.ours = self.start()

    def start(self, **network: object) -> Engine:
        tables: dict[str, object] = {"cidr": "10.1.0.0/24", "via": self.where, **network}
        gateways: dict[str, object] = {self.where: {"nat": False, "dhcp": "none" if self.omnios else "dnsmasq"}}
        options = {"dnsmasq": {"pace_s": 0}}
        plugins = {"enabled": ["etherstub", "pool", "address", "vnic", "gateway_nic", "nat", "gateway", "dnsmasq"]}
        self.networks: dict[str, object] = {"dmz": tables}
        self.gateways = gateways
        self.ours = self.build({"gateway": gateways, "plugins": {**plugins, "options": options}}, dmz=tables)
        return self.ours

    def declare(self, **network: object) -> None:
        self.networks = {"dmz": {"cidr": "10.1.0.0/24", "via": self.where, **network}}
        self.ours.redeclare(self.networks, self.gateways)

    def root(self, path: str) -> Path:
        return self.world.path(path if self.where == "global" else f"/zones/{self.where}/root{path}")

    def read(self, name: str) -> str:
        return self.root(f"{FOLDER}/{name}").read_text()

    def write_main(self, text: str) -> None:
        main = self.root(self.main)
        main.parent.mkdir(parents=True, exist_ok=True)
        main.write_text(text)

    def service(self) -> tuple[str, str]:
        zone = () if self.where == "global" else ("-z", self.where)
        state, contract = self.admin.do("svcs", *zone, "-H", "-o", "state,ctid", self.fmri).split()
        return state, contract

    def svcadm(self, *words: str) -> None:
        zone = () if self.where == "global" else ("-z", self.where)
        self.admin.do("svcadm", *zone, *words, self.fmri)

    def up(self) -> None:
        """Everything booted and served."""
        self.settle()
        for zone in ("web1", "web2", *(() if self.where == "global" else (self.where,))):
            self.admin.do("zoneadm", "-z", zone, "boot")
        self.settle()
        assert self.service()[0] == "online"

    def settle(self) -> None:
        """The service manager takes its time: whoever waits looks again."""
        for _ in range(60):
            self.ours.converge(12)
            if not self.waits():
                return
        raise AssertionError(f"still waiting: {self.waits()}")

    def waits(self) -> list[str]:
        return [note.text for note in self.ours.notes("waiting") if note.code in ("asked", "in-transition", "paced")]

    def told(self) -> list[str]:
        """What was asked of the service, in order."""
        verbs = (" ".join(argv) for argv in self.ours.commands.changes)
        return [found[1] for each in verbs if (found := re.search(r"(enable|disable|restart|clear|-HUP)", each))]


@pytest.fixture(params=["global", "edge"])
def site(request: pytest.FixtureRequest, admin: Admin, engine: Build, world: World) -> Site:
    return Site(admin, engine, world, request.param)


def test_enabled_because_we_need_it_and_disabled_when_we_do_not(site: Site) -> None:
    site.write_main(FOREIGN)
    site.root(site.main).chmod(0o640)
    site.up()
    assert "enable" in site.told() and "disable" not in site.told()
    assert site.root(site.main).read_text() == (
        f"{FOREIGN}\n# BEGIN zonehookd dnsmasq\nconf-file={FOLDER}/dnsmasq.conf\n# END zonehookd dnsmasq"
    )
    assert "10.1.0.5 web1.dmz web1\n10.1.0.6 web2.dmz web2\n" in site.read("hosts")
    assert sorted(each.name for each in site.root(FOLDER).iterdir()) == ["dnsmasq.conf", "hosts", "reservations"]
    site.ours.redeclare({}, {})
    site.settle()
    assert site.service()[0] == "disabled"
    assert site.root(site.main).read_text() == FOREIGN and site.root(site.main).stat().st_mode & 0o777 == 0o640
    assert list(site.root(FOLDER).iterdir()) == []
    assert not [record for record in site.ours.store.all() if record.kind == served.KIND]


def test_a_service_that_ran_before_us_runs_after_us(site: Site) -> None:
    site.write_main("")
    if site.where != "global":
        site.settle()
        site.admin.do("zoneadm", "-z", site.where, "boot")
    site.svcadm("enable", "-s")
    site.up()
    site.ours.redeclare({}, {})
    site.settle()
    assert site.service()[0] == "online" and set(site.told()) <= {"restart", "-HUP"}
    assert site.root(site.main).read_text() == ""


def test_a_zone_that_comes_and_goes_is_one_hangup_each(site: Site) -> None:
    site.up()
    before, contract = len(site.told()), site.service()
    site.admin.do("zoneadm", "-z", "web2", "halt")
    site.settle()
    assert "web2" not in site.read("hosts") and site.told()[before:] == ["-HUP"]
    site.admin.do("zoneadm", "-z", "web2", "boot")
    site.settle()
    assert "web2" in site.read("hosts") and site.told()[before:] == ["-HUP", "-HUP"]
    assert site.service() == contract


def test_what_needs_a_restart_is_one_restart(site: Site) -> None:
    site.up()
    before = len(site.told())
    site.declare(names=[{"name": "www", "cname": "web1"}, {"name": "db", "a": "10.1.0.50"}])
    site.settle()
    assert "cname=www.dmz,www,web1" in site.read("dnsmasq.conf") and "db.dmz" in site.read("hosts")
    assert site.told()[before:] == ["restart"]


def test_a_look_at_rest_asks_little_and_changes_nothing(site: Site) -> None:
    site.up()
    site.ours.commands.looks.clear()
    assert site.ours.steps() == []
    asked = [" ".join(argv) for argv in site.ours.commands.looks]
    assert sum(each.startswith("svcs") for each in asked) <= 2, "one for each plugin with a service"
    assert sum(FOLDER in each for each in asked) == (0 if site.where == "global" else 1)


def test_a_candidate_that_fails_its_test_replaces_nothing(site: Site) -> None:
    site.up()
    before, good = len(site.told()), site.read("dnsmasq.conf")
    whole = site.root(site.main).read_text()
    site.write_main(whole + "nonsense=yes\n")
    site.declare(names=[{"name": "www", "cname": "web1"}])
    results = site.ours.look()
    assert "bad option at line" in results[f"gateway:{site.where}"].error
    for _ in range(3):
        assert site.ours.steps() == [], "known to be bad, and not tried again"
    notes = [note for note in site.ours.notes() if note.code == "bad-config"]
    assert len(notes) == 1 and "bad option at line" in notes[0].text
    assert site.read("dnsmasq.conf") == good and site.told()[before:] == []
    site.admin.do("zoneadm", "-z", "web2", "halt")
    site.settle()
    assert "web2" not in site.read("hosts"), "names go on meanwhile"
    site.write_main(whole)
    site.settle()
    assert "cname=www.dmz" in site.read("dnsmasq.conf") and "restart" in site.told()[before:]
    assert not any("candidate" in each.name for each in site.root(FOLDER).iterdir())


@pytest.mark.parametrize("name", ["dnsmasq.conf", "hosts", "reservations"])
@pytest.mark.parametrize("how", ["removed", "edited"])
def test_files_are_repaired_without_a_restart(site: Site, name: str, how: str) -> None:
    site.up()
    before, good = len(site.told()), site.read(name)
    if how == "removed":
        site.root(f"{FOLDER}/{name}").unlink()
    else:
        site.root(f"{FOLDER}/{name}").write_text("graffiti\n")
    steps = [each.step for plan in site.ours.plan() for each in plan.steps]
    assert [getattr(step, "cause", "") for step in steps if getattr(step, "cause", "")] == [
        "missing" if how == "removed" else "altered"
    ]
    site.settle()
    assert site.read(name) == good
    assert site.told()[before:] == ([] if name == "dnsmasq.conf" else ["-HUP"])


def test_the_block_in_the_main_file_is_repaired(site: Site) -> None:
    site.up()
    whole = site.root(site.main).read_text()
    site.write_main("")
    site.settle()
    assert site.root(site.main).read_text() == whole


def test_somebody_else_stops_it_or_starts_it_anew(site: Site) -> None:
    site.up()
    before = len(site.told())
    site.svcadm("restart")
    site.settle()
    assert site.told()[before:] == [], "it read the same files"
    site.svcadm("disable", "-s")
    site.settle()
    assert site.told()[before:] == ["enable"] and site.service()[0] == "online"


def test_files_that_are_not_ours_are_not_overwritten(site: Site) -> None:
    site.root(FOLDER).mkdir(parents=True)
    site.root(f"{FOLDER}/hosts").write_text("10.9.9.9 precious\n")
    site.settle()
    if site.where != "global":
        site.admin.do("zoneadm", "-z", site.where, "boot")
    site.settle()
    notes = [note for note in site.ours.notes() if note.code == "foreign-file"]
    assert len(notes) == 1 and notes[0].object == f"{FOLDER}/hosts"
    assert site.read("hosts") == "10.9.9.9 precious\n" and site.service()[0] == "disabled"


def test_a_main_file_we_cannot_read_costs_the_gateway_nothing_else(site: Site) -> None:
    site.write_main("")
    site.root(site.main).write_bytes("# für alle\n".encode("latin-1"))
    site.settle()
    if site.where != "global":
        site.admin.do("zoneadm", "-z", site.where, "boot")
    site.settle()
    assert [note.code for note in site.ours.notes("waiting") if "UTF-8" in note.text or "utf-8" in note.text] == [
        "unseen"
    ]
    zone = ["zlogin", site.where] if site.where != "global" else []
    assert "10.1.0.1/24" in site.admin.do(*zone, "ipadm", "show-addr"), "it has its inner address all the same"
    assert site.service()[0] == "disabled"


def test_names_do_not_shut_the_gateway(site: Site) -> None:
    site.up()
    site.admin.do("zoneadm", "-z", "web2", "halt")
    plans = [plan for plan in site.ours.plan() if plan.subject.kind == "gateway"]
    assert [(bool(plan.steps), plan.trouble) for plan in plans] == [(True, "")]


def test_with_the_books_lost_its_files_are_known_as_ours(site: Site) -> None:
    site.write_main(FOREIGN)
    site.up()
    for record in list(site.ours.store.all()):
        if record.kind == served.KIND:
            site.ours.store.forget(record.kind, record.name)
    before = len(site.told())
    site.settle()
    assert site.told()[before:] == ["restart"] and site.ours.notes() == []
    site.ours.redeclare({}, {})
    site.settle()
    assert site.root(site.main).read_text() == FOREIGN and list(site.root(FOLDER).iterdir()) == []


def test_a_zone_without_the_service(site: Site) -> None:
    site.ours.reconciler.plugins[-1].options = type(site.ours.reconciler.plugins[-1].options)(
        fmri="svc:/network/nowhere:default"
    )
    site.settle()
    if site.where != "global":
        site.admin.do("zoneadm", "-z", site.where, "boot")
    site.settle()
    notes = [note for note in site.ours.notes() if note.code == "no-service"]
    assert len(notes) == 1 and "svc:/network/nowhere:default" in notes[0].text


def test_a_gateway_zone_that_is_deleted_is_forgotten(site: Site) -> None:
    if site.where == "global":
        return
    site.up()
    site.admin.delete(site.where)
    site.ours.redeclare({}, {})
    site.settle()
    assert not [record for record in site.ours.store.all() if record.kind == served.KIND]


def test_dnsmasq_on_omnios_may_not_serve_dhcp(site: Site) -> None:
    site.gateways = {site.where: {"nat": False, "dhcp": "dnsmasq"}}
    site.declare()
    site.up()
    codes = [note.code for note in site.ours.notes()]
    assert ("dhcp-privileges" in codes) is site.omnios
    assert ("dhcp-range" in site.read("dnsmasq.conf")) is not site.omnios
