"""zoneadm: the states of all zones in one call (zones sheet 3.3), and what changes one: `boot`, `attach -F`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zonehookd.errors import CannotObserve
from zonehookd.illumos.parseable import rows
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.zone import ZoneState

_STATES = {state.value: state for state in ZoneState if state is not ZoneState.ABSENT}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `zoneadm list -cp`. `zoneid` None: not active."""

    name: str
    state: ZoneState
    zoneid: int | None
    zonepath: str
    uuid: str
    brand: str


def zones() -> Query[Mapping[str, Listed]]:
    """Every non-global zone but those whose XML the real one cannot read: they are left out, with exit status 0.

    Fields: zoneid:name:state:zonepath:uuid:brand:ip-type, one more on OmniOS and SmartOS; more are tolerated.
    """
    argv = ("zoneadm", "list", "-cp")

    def parse(reply: Reply) -> Mapping[str, Listed]:
        if reply.status != 0:
            raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')
        found: dict[str, Listed] = {}
        for row in rows(reply.stdout, 6):
            if row[1] != GLOBAL:
                zoneid = int(row[0]) if row[0].isdigit() else None
                found[row[1]] = Listed(row[1], _STATES.get(row[2], ZoneState.UNKNOWN), zoneid, row[3], row[4], row[5])
        return found

    return Query(argv, parse)


def boot(name: str, *, why: str) -> Change:
    """Blocks until the zone is booted, its brand's hooks included; they have no time limit of their own (sheet 5.5)."""
    return Change(("zoneadm", "-z", name, "boot"), why, timeout_s=600.0, lane="boot")


def attach_force(name: str, *, why: str) -> Change:
    """A configured zone is called installed: no hook of `attach` runs (3.9). Its zonepath must be there, and as
    `install` leaves it (3.10).

    One that is installed already is as it should be (3.2).
    """

    def judge(status: int, stderr: str) -> Verdict:
        return Verdict(again=True, done="is already installed" in stderr)

    return Change(("zoneadm", "-z", name, "attach", "-F"), why, judge=judge)
