"""What the kernel's ipf keeps for one stack; dies with the zone's kernel object [services 1.12]."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.ipfilter.filter_rule import FilterRule
from lab.ipfilter.nat_rule import NatRule

OWN = "own"  # managed inside the zone, or from the global zone with -z
FROM_GLOBAL = "global"  # managed from the global zone with -G, invisible inside


@dataclass
class Kept:
    """A filter rule in a list, and the number its hits are counted under."""

    rule: FilterRule
    number: int


def _lists() -> dict[int, list[Kept]]:
    return {4: [], 6: []}


@dataclass
class IpfStack:
    """NAT rules in load order with their numbers; two filter sets of a list for each IP version, one of them active."""

    enabled: bool = False
    nat: dict[NatRule, int] = field(default_factory=dict)
    sets: tuple[dict[int, list[Kept]], dict[int, list[Kept]]] = field(default_factory=lambda: (_lists(), _lists()))
    active: int = 0  # index into `sets`
    numbered: int = 0  # the highest number given so far

    def new_number(self) -> int:
        self.numbered += 1
        return self.numbered

    @property
    def filters(self) -> dict[int, list[Kept]]:
        """The active set."""
        return self.sets[self.active]

    def forget(self) -> None:
        """The module lets go of the stack: no rule is left [services 1.3]."""
        self.enabled = False
        self.nat.clear()
        for lists in self.sets:
            for rules in lists.values():
                rules.clear()
        self.active = 0
