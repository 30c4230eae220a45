"""A zone's file that is well-formed and not valid: zoneadm leaves the zone out, and the host's DTD says why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fixtures import Admin, Build
from paper import Engine, PaperFiles

from zonehookd.host.files import Stamp
from zonehookd.illumos import zonedtd
from zonehookd.model.zone import Zone, ZoneState


class Counted(PaperFiles):
    """How often each file was looked at or read."""

    def __init__(self, admin: Admin) -> None:
        super().__init__(admin.world)
        self.times: Counter[str] = Counter()

    def stamp(self, path: Path) -> Stamp | None:
        self.times[f"stamp {path.name}"] += 1
        return super().stamp(path)

    def read(self, path: Path, max_bytes: int) -> bytes:
        self.times[f"read {path.name}"] += 1
        return super().read(path, max_bytes)


def zone(ours: Engine, name: str) -> Zone:
    ours.look()
    assert ours.survey.site is not None
    return ours.survey.site.zones[name]


@pytest.fixture
def ours(admin: Admin, engine: Build) -> Engine:
    for number in (1, 2):
        admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    return ours


def edited(admin: Admin, before: str = "<network ", after: str = '<network colour="red" ') -> None:
    file = admin.world.path("/etc/zones/web1.xml")
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_it_is_read_as_little_as_one_that_is_not_well_formed_until_it_is_mended(admin: Admin, ours: Engine) -> None:
    edited(admin)
    found = zone(ours, "web1")
    path = admin.world.path("/etc/zones/web1.xml")
    fault = "line 7: <network> has an attribute 'colour', which is not declared"
    assert found.trouble == f"cannot read {path}: not valid by zonecfg.dtd.1: {fault}"
    assert found.damaged and found.state is ZoneState.UNKNOWN
    assert not zone(ours, "web2").trouble and "web1_0" in admin.links()
    edited(admin, ' colour="red"', "")
    assert zone(ours, "web1").config is not None and not zone(ours, "web1").trouble


def test_where_all_is_well_nobody_asks_the_dtd(admin: Admin, ours: Engine) -> None:
    ours.files = files = Counted(admin)
    admin.by_address("web3", "web3_0", "10.1.0.7/24")
    assert zone(ours, "web3").config is not None
    assert not any("dtd" in key for key in files.times) and files.times["read web1.xml"] == 0
    edited(admin)
    for _ in range(3):
        assert zone(ours, "web1").damaged
    assert files.times[f"read {zonedtd.DTD.name}"] == 1 and files.times["read web2.xml"] == 0


def test_a_zone_that_zoneadm_lists_is_not_judged(admin: Admin, engine: Build) -> None:
    """A DTD of another kind than we know would else cut off every zone."""
    admin.world.path(str(zonedtd.DTD)).write_text("<!ELEMENT zone EMPTY>")
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    assert not zone(engine(dmz="10.1.0.0/24"), "web1").trouble


@pytest.mark.parametrize("dtd", [None, "", "<!ELEMENT zone"])
def test_a_dtd_that_is_not_there_or_not_understood_has_nothing_against_it(
    admin: Admin, ours: Engine, dtd: str | None
) -> None:
    edited(admin, 'ip-type="exclusive"', 'ip-type="exclusive">mine</zone><!--')
    edited(admin, "</zone>\n", "-->")
    file = admin.world.path(str(zonedtd.DTD))
    known = file.read_text()
    file.unlink() if dtd is None else file.write_text(dtd)
    assert zone(ours, "web1").config is not None
    file.write_text(known)
    assert "text in <zone>: 'mine'" in zone(ours, "web1").trouble, "it is read again when it has changed"
