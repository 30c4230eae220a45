"""ipfstat(8): the filter rules of one ipf stack [services 1.10]."""

from __future__ import annotations

from lab.call import Call, Exit
from lab.getopt import UNKNOWN, getopt
from lab.ipfilter import stacks
from lab.ipfilter.stacks import Place, Unreachable
from lab.ipfilter.state import Kept
from lab.world import NotEmulated

_NO_DEVICE = 255
_KNOWN = "6GIRhinoz"


class Ipfstat:
    """One run. Text is kept until the lock is free."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.text: list[str] = []
        self.complaints: list[str] = []
        self.zone: str | None = None
        self.letters: set[str] = set()

    def run(self) -> int:
        self.read_options()
        with self.call.world.lock:
            place = self.open()
            hits = self.call.world.floor.packets.hits(place.zone, place.which) if "h" in self.letters else None
            rules = stacks.chosen(place, "I" in self.letters)[6 if "6" in self.letters else 4]
            for letter, direction in (("o", "out"), ("i", "in")):
                if letter in self.letters:
                    self.show([kept for kept in rules if kept.rule.direction == direction], direction, hits)
        return 0

    def read_options(self) -> None:
        options, operands = getopt(self.call.argv[1:], "6aACdfghIilnoRstvD:G:M:N:O:P:S:T:z:")
        for option in options:
            if option.letter == UNKNOWN:
                raise NotEmulated(f"ipfstat's usage (option {option.text}) [services 1.10]")
            if option.letter not in _KNOWN:
                raise NotEmulated(f"ipfstat -{option.letter} [services 1.10]")
            if option.letter in "Gz":
                if self.letters & {"G", "z"}:
                    self.complain("Only one of -G and -z may be set")
                    raise Exit(_NO_DEVICE)
                self.zone = option.value
            self.letters.add(option.letter)
        if operands or not self.letters & {"i", "o"}:
            raise NotEmulated("ipfstat without -i or -o: the packet counters [services 1.10]")

    def complain(self, text: str) -> None:
        self.complaints.append(text + "\n")

    def open(self) -> Place:
        if not self.call.privileged:
            self.complain("open device: Permission denied")
            raise Exit(_NO_DEVICE)
        try:
            return stacks.find(self.call, self.zone, "G" in self.letters)
        except Unreachable as unreachable:
            self.complain(str(unreachable))
            raise Exit(_NO_DEVICE) from None

    def show(self, rules: list[Kept], direction: str, hits: dict[int, int] | None) -> None:
        """Group 0 first, then each group, counted anew."""
        if not rules:
            inactive = "inactive " if "I" in self.letters else ""
            self.complain(f"empty list for {inactive}ipfilter({direction})")
        groups = dict.fromkeys(["", *(kept.rule.group for kept in rules)])
        for group in groups:
            members = [kept for kept in rules if kept.rule.group == group]
            for number, kept in enumerate(members, start=1):
                prefix = "" if hits is None else f"{hits.get(kept.number, 0)} "
                prefix += f"@{number} " if "n" in self.letters else ""
                self.text.append(f"{prefix}{kept.rule.text('R' in self.letters)}\n")


def main(call: Call) -> int:
    ipfstat = Ipfstat(call)
    try:
        return ipfstat.run()
    except Exit as leave:
        return leave.status
    finally:
        call.out("".join(ipfstat.text))
        call.err("".join(ipfstat.complaints))
