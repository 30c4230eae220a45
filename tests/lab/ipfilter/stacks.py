"""Which ipf stack a command means, and what changes it [services 1.12]."""

from __future__ import annotations

from dataclasses import dataclass

from lab import ip
from lab.call import Call
from lab.ipfilter import nat_rule, nft_filter, nft_nat
from lab.ipfilter.filter_rule import FilterRule
from lab.ipfilter.nat_rule import NatRule
from lab.ipfilter.state import FROM_GLOBAL, OWN, IpfStack, Kept
from lab.world import GLOBAL, KernelZone, NotEmulated, Refused, Status

NO_SUCH_PROCESS = "No such process"
FILE_EXISTS = "File exists"
IO_ERROR = "I/O error"
_NO_DEVICE = ("bhyve", "kvm", "emu")  # on OmniOS [services 1.12]
# What the lab's faults, worded for libdladm, are as errno texts.
_ERRNO = {"link busy": "Device busy", "try again later": "Resource temporarily unavailable"}


class Unreachable(Exception):
    """No such stack for this caller; the text is the whole complaint, without the newline."""


@dataclass(frozen=True)
class Place:
    """One ipf stack, found; hold `world.lock` as long as it is used."""

    call: Call
    zone: KernelZone | None  # None: the global zone
    which: str  # OWN | FROM_GLOBAL
    ipf: IpfStack

    def apply(self) -> None:
        """Make the floor follow what has been changed here."""
        self.call.world.floor.packets.load(self.zone, self.which, self.ipf)


def find(call: Call, name: str | None, from_global: bool) -> Place:
    """The stack of the zone `name` (None: the caller's own), or the one the global zone keeps for it.

    Raises `Unreachable`, `NotEmulated`.
    """
    world = call.world
    if name is not None and call.zone != GLOBAL:
        raise Unreachable(f"Permission denied setting zone: {name}")
    if name == GLOBAL and from_global:
        raise Unreachable("-G cannot be used with the global zone")
    where = name or call.zone
    zone = None if where == GLOBAL else world.kernel_zones.get(where)
    if where != GLOBAL and (zone is None or not Status.READY <= zone.status < Status.DOWN):
        raise Unreachable(f"Could not find running zone: {where}")
    if zone is not None and not zone.exclusive:
        raise NotEmulated(f"ipf and the shared-IP zone {where!r}, which has none [services 1.12]")
    if zone is not None and call.zone != GLOBAL and zone.brand in _NO_DEVICE:
        raise NotEmulated(f"ipf inside a zone of brand {zone.brand!r} [services 1.12]")
    stack = ip.stack_of(world, where)
    return Place(call, zone, FROM_GLOBAL if from_global else OWN, stack.ipf_of_global if from_global else stack.ipf)


def _operate(call: Call) -> None:
    try:
        call.operate()
    except Refused as refused:
        raise Refused(_ERRNO.get(refused.status, refused.status)) from None


def add_nat(place: Place, rule: NatRule) -> None:
    """At the end. Raises `Refused` with an errno text, `NotEmulated`."""
    if not place.ipf.enabled:
        raise Refused(IO_ERROR)
    if rule in place.ipf.nat:
        raise Refused(FILE_EXISTS)
    if problem := nat_rule.refusal(rule):
        raise Refused(problem)
    nft_nat.check(rule)
    _check_other_stack(place, rule)
    _operate(place.call)
    place.ipf.nat[rule] = place.ipf.new_number()


def _check_other_stack(place: Place, rule: NatRule) -> None:
    """Linux translates each side of a connection once; which of two stacks would then win is nobody's business."""
    if place.zone is None:
        return
    stack = place.call.world.stacks[place.zone.name]
    other = stack.ipf if place.which == FROM_GLOBAL else stack.ipf_of_global
    for each in other.nat:
        if each.interfaces == rule.interfaces and (each.inbound, each.outbound) == (rule.inbound, rule.outbound):
            raise NotEmulated("NAT on one interface in both ipf stacks of a zone [services 1.12]")


def remove_nat(place: Place, rule: NatRule) -> None:
    """Its sessions stay [services 1.7]. Raises `Refused` with an errno text."""
    if not place.ipf.enabled:
        raise Refused(IO_ERROR)
    if rule not in place.ipf.nat:
        raise Refused(NO_SUCH_PROCESS)
    _operate(place.call)
    del place.ipf.nat[rule]


def add_filter(place: Place, rule: FilterRule, inactive: bool, at: int | None) -> None:
    """At the end of its list, or before position `at`, counted from 0. Raises `Refused`, `NotEmulated`."""
    rules = _list(place, rule, inactive)
    if any(kept.rule == rule for kept in rules):
        raise Refused(FILE_EXISTS)
    peers = [where for where, kept in enumerate(rules) if _group(kept.rule) == _group(rule)]
    where = len(rules) if at is None or at >= len(peers) else peers[at]
    kept = Kept(rule, place.ipf.new_number())
    nft_filter.check([*rules[:where], kept, *rules[where:]])
    _operate(place.call)
    rules.insert(where, kept)


def remove_filter(place: Place, rule: FilterRule, inactive: bool) -> None:
    """Raises `Refused`; ipf says nothing about it."""
    rules = _list(place, rule, inactive)
    for kept in rules:
        if kept.rule == rule:
            _operate(place.call)
            rules.remove(kept)
            return
    raise Refused(NO_SUCH_PROCESS)


def _group(rule: FilterRule) -> tuple[str, str]:
    return rule.direction, rule.group


def _list(place: Place, rule: FilterRule, inactive: bool) -> list[Kept]:
    if not place.ipf.enabled:
        raise Refused(IO_ERROR)
    return chosen(place, inactive)[rule.version]


def chosen(place: Place, inactive: bool) -> dict[int, list[Kept]]:
    return place.ipf.sets[place.ipf.active ^ inactive]


def operate(place: Place) -> None:
    """Before any other change of the kernel. Raises `Refused` with an errno text."""
    _operate(place.call)
