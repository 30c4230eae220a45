"""What the guard last knew, in a file: for those who ask while the daemon cannot answer (gate/gate.c, zonehookctl).

    zonehookd 1
    policy uninstall block        block, record or allow: [guard] without_daemon
    policy boot allow             allow or deny: [guard] boot
    index PATH                    where the host lists its zones (zones sheet 2.7)
    gateway NAME COUNT UNTIL      COUNT dependents, or zones that may be; a permit until UNTIL (unix seconds, 0: none)
    |text                         lines to show for it
    files NAME ZONEPATH           where its files are, if that is known
    dependent NETWORK ZONE HOW STATE [THROUGH]    one of them, as in model/guard.py; as many as there is room for

Zone names have no blanks (zones sheet 4.1), so blanks separate. The time of the file says when all this was so: it is
written again now and then, changed or not.

A zone that has the files of a gateway, which the index has no more by its name, is that gateway, renamed. Where the
index cannot be read, a zone that the record does not name may be any gateway whose files are known: it is refused if
one of them would be, for who could not look has not seen that it is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from zonehookd.errors import NotFound
from zonehookd.host.files import read_bounded
from zonehookd.illumos import zonefiles
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.guard import Dependent, Verdict, listed
from zonehookd.model.record import valid

NAME = "guard"  # below [paths] state
_HEAD = "zonehookd 1"
_TEXT_MAX = 300
_SIZE_MAX_BYTES = 4 << 20  # as the gate has it
_NOBODY: Mapping[str, str] = MappingProxyType({})
_START = "start zonehookd (svcadm enable, clear or restart zonehookd), or see [guard] without_daemon"


@dataclass(frozen=True, slots=True)
class Standing:
    """One gateway, as it was last known; `until`: of a permit, unix seconds, 0 for none. `dependents` may be fewer than
    `count` says. `files`: its zonepath, where that is known."""

    count: int
    until: int
    lines: tuple[str, ...]
    dependents: tuple[Dependent, ...] = ()
    files: str = ""

    @property
    def left_out(self) -> int:
        return max(0, self.count - len({each.zone for each in self.dependents}))


@dataclass(frozen=True, slots=True)
class Known:
    uninstall: str
    boot: str
    gateways: Mapping[str, Standing]
    index: str = ""


def standing(
    dependents: tuple[Dependent, ...], until: float, unread: Mapping[str, str] = _NOBODY, files: str = ""
) -> Standing:
    """As much of it as is shown: network -> zones, bounded. `unread`: zones of which nobody knows whether they depend
    -> why; they count where nobody is known to."""
    lines = listed(dependents)
    if not dependents and unread:
        name, why = next(iter(unread.items()))
        lines = (f"  whether zone {name} depends on it is not known: {' '.join(why.split())[:_TEXT_MAX]}",)
    return Standing(len({each.zone for each in dependents}) or len(unread), int(until), lines, dependents, files)


def written(record: Known) -> str:
    """Dependents last of all: where there is no room for all of them, the gate still has what it goes by."""
    head = [_HEAD, f"policy uninstall {record.uninstall}", f"policy boot {record.boot}"]
    head += [f"index {record.index}"] if record.index else []
    gateways = [(each, list(_head(name, each))) for name, each in sorted(record.gateways.items())]
    room = _SIZE_MAX_BYTES - sum(len(line) + 1 for lines in (head, *(lines for _, lines in gateways)) for line in lines)
    for each, lines in gateways:
        for row in _rows(each.dependents):
            room -= len(row) + 1
            if room < 0:
                break
            lines.append(row)
    return "\n".join((*head, *(line for _, lines in gateways for line in lines))) + "\n"


def _head(name: str, each: Standing) -> Iterator[str]:
    yield f"gateway {name} {each.count} {each.until}"
    yield from (f"|{line}" for line in each.lines)
    if each.files:
        yield f"files {name} {each.files}"


def _rows(dependents: tuple[Dependent, ...]) -> Iterator[str]:
    for each in dependents:
        through = (each.through,) if each.through else ()
        yield " ".join(("dependent", each.network, each.zone, each.how, each.state, *through))


def read(path: Path) -> Known:
    """Raises OSError, or ValueError: not such a file."""
    with path.open("rb") as file:
        text = file.read(_SIZE_MAX_BYTES).decode()
    lines = text.splitlines()
    if not lines or lines[0] != _HEAD:
        raise ValueError("it is not what zonehookd writes")
    policies = {"uninstall": "block", "boot": "allow"}
    gateways: dict[str, Standing] = {}
    shown: list[str] = []
    found: list[Dependent] = []
    name = index = ""

    def ends() -> None:
        if name:
            gateways[name] = replace(gateways[name], lines=tuple(shown), dependents=tuple(found))

    for line in lines[1:]:
        words = line.split(" ")
        if line.startswith("|") and name:
            shown.append(line[1:])
        elif words[0] == "dependent" and len(words) in (5, 6) and name:
            found.append(Dependent(*words[1:]))
        elif words[0] == "files" and len(words) > 2 and words[1] == name:
            gateways[name] = replace(gateways[name], files=line.split(" ", 2)[2])
        elif words[0] == "policy" and len(words) == 3:
            policies[words[1]] = words[2]
        elif words[0] == "index" and len(words) > 1 and not name:
            index = line.split(" ", 1)[1]
        elif words[0] == "gateway" and len(words) == 4:
            ends()
            name, shown, found = words[1], [], []
            gateways[name] = Standing(int(words[2]), int(words[3]), ())
    ends()
    return Known(policies["uninstall"], policies["boot"], gateways, index)


def indexed(index: Path) -> Mapping[str, zonefiles.Indexed]:
    """The zones of the host. Raises OSError, or ValueError: it is no whole index."""
    if index.is_symlink():  # it is replaced by rename, so never one
        raise ValueError(f"{index} is no plain file")
    return zonefiles.parse_index(read_bounded(index, zonefiles.SIZE_MAX_BYTES).decode())


def refuse_unknown(path: Path, zone: str, index: Path) -> None:
    """Raises NotFound: neither the host nor the record at `path` has such a zone. Nothing where the host's index
    cannot be read."""
    try:
        zones = indexed(index)
    except (OSError, ValueError):
        return
    with contextlib.suppress(OSError, ValueError):
        if zone in read(path).gateways:
            return
    if zone not in zones and zone != GLOBAL:
        raise NotFound(f"there is no zone {zone!r}", hint=f"{index} has none of that name")


def _renamed(record: Known, zone: str) -> str | None:
    """The gateway that this zone is by its files. Raises OSError, ValueError: nobody can tell."""
    files = {name: each.files for name, each in record.gateways.items() if each.files}
    if not files:
        return None
    if not record.index:
        raise ValueError("the record does not say where the zones are listed")
    zones = indexed(Path(record.index))
    path = zones[zone].zonepath if zone in zones else ""
    return next((name for name, its in files.items() if its == path and name not in zones), None)


def _allowed(record: Known, gateway: Standing, now_s: float) -> str:
    """Why; "" if it is not."""
    if valid(gateway.until, now_s):
        return "permitted"
    if record.uninstall == "allow" or (record.uninstall == "record" and not gateway.count):
        return f"[guard] without_daemon = {record.uninstall!r}"
    return ""


def alone(path: Path, zone: str, operation: str, now_s: float) -> Verdict:
    """The verdict without the daemon, by the same rules as gate.c; code ``no-daemon`` says whose word it is."""
    known: Standing | None = None
    at: float | None = None

    def said(allowed: bool, text: str, hint: str = "") -> Verdict:
        found, left_out = (known.dependents, known.left_out) if known is not None else ((), 0)
        return Verdict(zone, operation, allowed, "no-daemon", text, found, hint, at, left_out)

    if operation == "halt":
        return said(True, f"zonehookd cannot be asked: a halt of zone {zone} is never held up then")
    try:
        record, at = read(path), path.stat().st_mtime
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else problem
        text = f"{operation} of zone {zone} is refused: zonehookd cannot be asked, and left no record ({path}: {why})"
        return said(False, text, _START)
    gateway: str | None = zone
    if zone not in record.gateways:
        try:
            gateway = _renamed(record, zone)
        except (OSError, ValueError) as problem:
            may_be = (each for each, its in record.gateways.items() if its.files and not _allowed(record, its, now_s))
            if (gateway := next(may_be, None)) is not None:
                text = f"{operation} of zone {zone} is refused: zonehookd cannot be asked,"
                unseen = f"  and whether it is gateway {gateway} renamed is not known: {problem}"
                return said(False, f"{text}\n{unseen}", _START)
    if gateway is None:
        return said(True, f"zonehookd cannot be asked; on its last record zone {zone} was no gateway")
    known = record.gateways[gateway]
    if why := _allowed(record, known, now_s):
        permitted = f"{operation} of zone {zone} is permitted"
        return said(True, f"zonehookd cannot be asked; {permitted if why == 'permitted' else why}")
    whose = f"gateway zone {zone}" if gateway == zone else f"zone {zone}, which is gateway {gateway} renamed,"
    text = f"{operation} of {whose} is refused: zonehookd cannot be asked who depends on it"
    return said(False, "\n".join((text, *(f"{line} (when last seen)" for line in known.lines))), _START)
