"""What the guard last knew, in a file: for those who ask while the daemon cannot answer (gate/gate.c, zonehookctl).

    zonehookd 1
    policy uninstall block        block, record or allow: [guard] without_daemon
    policy boot allow             allow or deny: [guard] boot
    gateway NAME COUNT UNTIL      COUNT dependents, or zones that may be; a permit until UNTIL (unix seconds, 0: none)
    |text                         lines to show for it
    dependent NETWORK ZONE HOW STATE [THROUGH]    one of them, as in model/guard.py; as many as there is room for

Zone names have no blanks (zones sheet 4.1), so blanks separate. The time of the file says when all this was so: it is
written again now and then, changed or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from zonehookd.model.guard import Dependent, Verdict, listed
from zonehookd.model.record import valid

NAME = "guard"  # below [paths] state
_HEAD = "zonehookd 1"
_TEXT_MAX = 300
_SIZE_MAX_BYTES = 4 << 20  # as the gate has it
_NOBODY: Mapping[str, str] = MappingProxyType({})
_START = "start zonehookd (svcadm enable or clear zonehookd), or see [guard] without_daemon"


@dataclass(frozen=True, slots=True)
class Standing:
    """One gateway, as it was last known; `until`: of a permit, unix seconds, 0 for none. `dependents` may be fewer than
    `count` says."""

    count: int
    until: int
    lines: tuple[str, ...]
    dependents: tuple[Dependent, ...] = ()

    @property
    def left_out(self) -> int:
        return max(0, self.count - len({each.zone for each in self.dependents}))


@dataclass(frozen=True, slots=True)
class Known:
    uninstall: str
    boot: str
    gateways: Mapping[str, Standing]


def standing(dependents: tuple[Dependent, ...], until: float, unread: Mapping[str, str] = _NOBODY) -> Standing:
    """As much of it as is shown: network -> zones, bounded. `unread`: zones of which nobody knows whether they depend
    -> why; they count where nobody is known to."""
    lines = listed(dependents)
    if not dependents and unread:
        name, why = next(iter(unread.items()))
        lines = (f"  whether zone {name} depends on it is not known: {' '.join(why.split())[:_TEXT_MAX]}",)
    return Standing(len({each.zone for each in dependents}) or len(unread), int(until), lines, dependents)


def written(record: Known) -> str:
    """Dependents last of all: where there is no room for all of them, the gate still has what it goes by."""
    head = [_HEAD, f"policy uninstall {record.uninstall}", f"policy boot {record.boot}"]
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
        raise ValueError(f"{path} is not what zonehookd writes")
    policies = {"uninstall": "block", "boot": "allow"}
    gateways: dict[str, Standing] = {}
    shown: list[str] = []
    found: list[Dependent] = []
    name = ""
    for line in lines[1:]:
        words = line.split(" ")
        if line.startswith("|") and name:
            shown.append(line[1:])
        elif words[0] == "dependent" and len(words) in (5, 6) and name:
            found.append(Dependent(*words[1:]))
        elif words[0] == "policy" and len(words) == 3:
            policies[words[1]] = words[2]
        elif words[0] == "gateway" and len(words) == 4:
            if name:
                gateways[name] = replace(gateways[name], lines=tuple(shown), dependents=tuple(found))
            name, shown, found = words[1], [], []
            gateways[name] = Standing(int(words[2]), int(words[3]), ())
    if name:
        gateways[name] = replace(gateways[name], lines=tuple(shown), dependents=tuple(found))
    return Known(policies["uninstall"], policies["boot"], gateways)


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
        text = f"{operation} of zone {zone} is refused: zonehookd cannot be asked, and left no record ({problem})"
        return said(False, text, _START)
    known = record.gateways.get(zone)
    if known is None:
        return said(True, f"zonehookd cannot be asked; on its last record zone {zone} was no gateway")
    if valid(known.until, now_s):
        return said(True, f"zonehookd cannot be asked; {operation} of zone {zone} is permitted")
    if record.uninstall == "allow" or (record.uninstall == "record" and not known.count):
        return said(True, f"zonehookd cannot be asked; [guard] without_daemon = {record.uninstall!r}")
    text = f"{operation} of gateway zone {zone} is refused: zonehookd cannot be asked who depends on it"
    return said(False, "\n".join((text, *(f"{line} (when last seen)" for line in known.lines))), _START)
