"""svcs(1): the states of services [services 3.1, 3.2]."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.call import Call
from lab.getopt import getopt
from lab.smf import console, explain
from lab.smf import contracts as processes
from lab.smf import fmri as names
from lab.smf.instance import Instance, State
from lab.smf.restarter import Restarter
from lab.world import GLOBAL, NotEmulated

USAGE = """\
Usage: svcs [-aHpv] [-o col[,col ... ]] [-R restarter] [-sS col] [-z zone] [-Z] [<service> ...]
       svcs -d | -D [-Hpv] [-o col[,col ... ]] [-sS col] [-z zone] [-Z] [<service> ...]
       svcs [-l | -L] [-z zone] [-Z] <service> ...
       svcs -x [-v] [-z zone] [-Z] [<service> ...]
       svcs -?
"""
_SHORT = {
    State.UNINITIALIZED: "UN", State.OFFLINE: "OFF", State.ONLINE: "ON", State.DEGRADED: "DGD",
    State.MAINTENANCE: "MNT", State.DISABLED: "DIS", State.NONE: "-",
}  # fmt: skip
_ORDER = [
    State.UNINITIALIZED, State.DISABLED, State.ONLINE, State.DEGRADED, State.OFFLINE, State.MAINTENANCE,
]  # fmt: skip
_DAY_SECONDS = 24 * 3600
_YEAR_SECONDS = 365 * _DAY_SECONDS


def _stime(instance: Instance) -> str:
    age = time.time() - instance.since
    form = "%H:%M:%S" if age < _DAY_SECONDS else "%b_%d" if age < _YEAR_SECONDS else "%Y"
    return time.strftime(form, time.localtime(instance.since))


def _next(instance: Instance) -> str:
    return "-" if instance.next_state is State.NONE else instance.next_state.value


@dataclass(frozen=True)
class Column:
    width: int
    text: Callable[[Instance], str]
    key: Callable[[Instance], object] | None = None  # how it sorts, if not by its text


COLUMNS: dict[str, Column] = {
    "CTID": Column(6, lambda each: str(each.contract.ctid) if each.contract else "-",
                   lambda each: each.contract.ctid if each.contract else 0),
    "DESC": Column(30, explain.title),
    "FMRI": Column(50, lambda each: each.fmri),
    "INST": Column(16, lambda each: names.split(each.fmri)[1]),
    "NSTA": Column(5, lambda each: _SHORT[each.next_state]),
    "NSTATE": Column(14, _next),
    "SCOPE": Column(16, lambda each: "localhost"),
    "SVC": Column(24, lambda each: names.split(each.fmri)[0]),
    "STA": Column(4, lambda each: _SHORT[each.state]),
    "STATE": Column(14, lambda each: each.state.value, lambda each: _ORDER.index(each.state)),
    "STIME": Column(8, _stime, lambda each: each.since),
    "ZONE": Column(16, lambda each: each.restarter.zone),
}  # fmt: skip


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], "?adDHlLo:pR:s:S:vxz:Z")
    letters = {option.letter: option.value for option in options}
    columns = _columns(letters)
    sorts = [(option.value, option.letter == "S") for option in options if option.letter in "sS"]
    wrong = columns is None or any(name.upper() not in COLUMNS for name, _ in sorts)
    if "?" in letters or wrong or len(letters.keys() & set("lLxdD")) > 1:
        call.err(USAGE)
        return 2
    assert columns is not None
    for letter in sorted(letters.keys() & set("RZ")):
        raise NotEmulated(f"svcs -{letter}")
    if letters.keys() & set("lLdD") and not operands:
        call.err(USAGE)
        return 2
    known = console.restarter(call, letters.get("z"))
    with known.changed:
        if operands:
            found, status = console.matching(call, known, operands)
        else:
            found, status = list(known.instances.values()), 0
        if "x" in letters:
            _explain(call, known, found, bool(operands), "v" in letters)
        elif "l" in letters:
            zone = letters.get("z")
            call.out("\n".join(explain.long(known, each, zone) for each in found))
        elif "L" in letters:
            call.out("".join(f"{_log(known, each, call)}\n" for each in found))
        else:
            found = _asked(known, found, letters, bool(operands))
            _table(call, _sorted(found, sorts), columns, "H" not in letters, "p" in letters)
    return status


def _columns(letters: dict[str, str]) -> list[str] | None:
    """None: one of them does not exist."""
    default = "STATE,NSTATE,STIME,CTID,FMRI" if "v" in letters else "STATE,STIME,FMRI"
    columns = [name.upper() for name in letters.get("o", default).split(",")]
    return columns if all(name in COLUMNS for name in columns) else None


def _log(known: Restarter, instance: Instance, call: Call) -> str:
    """As the caller can open it: below the zone's root when it is another's."""
    return f"/var/svc/log/{instance.log.name}" if known.zone == call.zone else str(instance.log)


def _asked(known: Restarter, found: list[Instance], letters: dict[str, str], named: bool) -> list[Instance]:
    if "d" in letters:
        cited = [entity for each in found for *_, kind, entities in known.dependencies(each) if kind == "service"
                 for entity in entities]  # fmt: skip
        return list({hit.fmri: hit for entity in cited for hit in known.find(entity)}.values())
    if "D" in letters:
        return list({each.fmri: each for one in found for each in known.dependents_of(one)}.values())
    if named or "a" in letters:
        return found
    return [each for each in found if each.state is not State.DISABLED]


def _sorted(found: list[Instance], sorts: list[tuple[str, bool]]) -> list[Instance]:
    """By state, time, name unless told; never in argument order [services 3.1]."""
    for name, backwards in reversed(sorts or [("state", False), ("stime", False), ("fmri", False)]):
        column = COLUMNS[name.upper()]
        found = sorted(found, key=column.key or column.text, reverse=backwards)  # type: ignore[arg-type]
    return found


def _table(call: Call, found: list[Instance], columns: list[str], header: bool, members: bool) -> None:
    if header:
        call.out(_row(columns, columns))
    for instance in found:
        moving = instance.next_state is not State.NONE and not {"NSTATE", "NSTA"} & set(columns)
        cells = [
            COLUMNS[name].text(instance) + ("*" if moving and name in ("STATE", "STA") else "") for name in columns
        ]
        call.out(_row(columns, cells))
        if members and instance.contract is not None:
            for pid in instance.contract.members():
                shown = pid if call.zone == GLOBAL else processes.pid_inside(pid)
                call.out(f"{'':15}{_stime(instance):<8} {shown:>8} {processes.command_of(pid)}\n")


def _row(columns: list[str], cells: list[str]) -> str:
    return " ".join(f"{cell:<{COLUMNS[name].width}}" for name, cell in zip(columns, cells, strict=True)).rstrip() + "\n"


def _explain(call: Call, known: Restarter, found: list[Instance], named: bool, verbose: bool) -> None:
    shown = found if named else [each for each in found if explain.needs_explaining(each)]
    call.out("\n".join(explain.explain(known, each, verbose) for each in shown))
