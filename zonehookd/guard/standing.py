"""What the guard last knew, in a file: for those who ask while the daemon cannot answer (gate/gate.c, zonehookctl).

    zonehookd 1
    policy uninstall block        block, record or allow: [guard] without_daemon
    policy boot allow             allow or deny: [guard] boot
    gateway NAME COUNT UNTIL      COUNT dependents, or zones that may be; a permit until UNTIL (unix seconds, 0: none)
    |text                         lines to show for it

Zone names have no blanks (zones sheet 4.1), so blanks separate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from zonehookd.model.guard import Dependent, Verdict

NAME = "guard"  # below [paths] state
_HEAD = "zonehookd 1"
_SHOWN_MAX = 20  # lines per gateway; the gate's message must fit into a page (zones sheet 5.5)
_NAMES_MAX = 8
_TEXT_MAX = 300
_SIZE_MAX_BYTES = 4 << 20
_NOBODY: Mapping[str, str] = MappingProxyType({})
_START = "start zonehookd (svcadm enable or clear zonehookd), or see [guard] without_daemon"


@dataclass(frozen=True, slots=True)
class Standing:
    """One gateway, as it was last known; `until`: of a permit, unix seconds, 0 for none."""

    count: int
    until: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Known:
    uninstall: str
    boot: str
    gateways: Mapping[str, Standing]


def standing(dependents: tuple[Dependent, ...], until: float, unread: Mapping[str, str] = _NOBODY) -> Standing:
    """As much of it as is shown: network -> zones, bounded. `unread`: zones of which nobody knows whether they depend
    -> why; they count where nobody is known to."""
    networks: dict[tuple[str, str], list[str]] = {}
    for each in dependents:
        networks.setdefault((each.network, each.through), []).append(f"{each.zone} ({each.state})")
    lines = []
    for (network, through), zones in networks.items():
        more = f" and {len(zones) - _NAMES_MAX} more" if len(zones) > _NAMES_MAX else ""
        way = f", through zone {through}" if through else ""
        lines.append(f"  network {network}{way}: {', '.join(zones[:_NAMES_MAX])}{more}")
    if len(lines) > _SHOWN_MAX:
        lines = [*lines[:_SHOWN_MAX], f"  and {len(lines) - _SHOWN_MAX} networks more"]
    if not dependents and unread:
        name, why = next(iter(unread.items()))
        lines = [f"  whether zone {name} depends on it is not known: {' '.join(why.split())[:_TEXT_MAX]}"]
    return Standing(len({each.zone for each in dependents}) or len(unread), int(until), tuple(lines))


def written(record: Known) -> str:
    out = [_HEAD, f"policy uninstall {record.uninstall}", f"policy boot {record.boot}"]
    for name, each in sorted(record.gateways.items()):
        out.append(f"gateway {name} {each.count} {each.until}")
        out += [f"|{line}" for line in each.lines]
    return "\n".join(out) + "\n"


def read(path: Path) -> Known:
    """Raises OSError, or ValueError: not such a file."""
    with path.open("rb") as file:
        text = file.read(_SIZE_MAX_BYTES).decode()
    lines = text.splitlines()
    if not lines or lines[0] != _HEAD:
        raise ValueError(f"{path} is not what zonehookd writes")
    policies = {"uninstall": "block", "boot": "allow"}
    gateways: dict[str, Standing] = {}
    name = ""
    for line in lines[1:]:
        words = line.split(" ")
        if line.startswith("|") and name:
            old = gateways[name]
            gateways[name] = Standing(old.count, old.until, (*old.lines, line[1:]))
        elif words[0] == "policy" and len(words) == 3:
            policies[words[1]] = words[2]
        elif words[0] == "gateway" and len(words) == 4:
            name = words[1]
            gateways[name] = Standing(int(words[2]), int(words[3]), ())
    return Known(policies["uninstall"], policies["boot"], gateways)


def alone(path: Path, zone: str, operation: str, now_s: float) -> Verdict:
    """The verdict without the daemon, by the same rules as gate.c; code ``no-daemon`` says whose word it is."""

    def said(allowed: bool, text: str, hint: str = "") -> Verdict:
        return Verdict(zone, operation, allowed, "no-daemon", text, hint=hint)

    if operation == "halt":
        return said(True, f"zonehookd cannot be asked: a halt of zone {zone} is never held up then")
    try:
        record = read(path)
    except (OSError, ValueError) as problem:
        text = f"{operation} of zone {zone} is refused: zonehookd cannot be asked, and left no record ({problem})"
        return said(False, text, _START)
    known = record.gateways.get(zone)
    if known is None:
        return said(True, f"zonehookd cannot be asked; on its last record zone {zone} was no gateway")
    if known.until > now_s:
        return said(True, f"zonehookd cannot be asked; {operation} of zone {zone} is permitted")
    if record.uninstall == "allow" or (record.uninstall == "record" and not known.count):
        return said(True, f"zonehookd cannot be asked; [guard] without_daemon = {record.uninstall!r}")
    text = f"{operation} of gateway zone {zone} is refused: zonehookd cannot be asked who depends on it"
    return said(False, "\n".join((text, *(f"{line} (when last seen)" for line in known.lines))), _START)
