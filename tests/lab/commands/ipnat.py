"""ipnat(8): NAT rules and sessions of one ipf stack [services 1.4-1.7, 1.12-1.14]."""

from __future__ import annotations

from lab.call import Call, Exit
from lab.getopt import UNKNOWN, getopt
from lab.ipfilter import files, nat_grammar, stacks
from lab.ipfilter.floor import Session
from lab.ipfilter.lexer import SyntaxTrouble
from lab.ipfilter.nat_rule import NatRule
from lab.ipfilter.stacks import Place, Unreachable
from lab.world import NotEmulated, Refused

USAGE = "Usage: ipnat [-CdFhlnrRsv] [-f filename] [-G|-z zonename]\n"
_CLEARED = 4  # whatever was cleared: the kernel reuses a loop variable [services 1.4]


class Ipnat:
    """One run. Text is kept until the lock is free."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.text: list[str] = []
        self.complaints: list[str] = []
        self.file: str | None = None
        self.zone: str | None = None
        self.letters: set[str] = set()
        self.changed = False

    def print(self, text: str) -> None:
        self.text.append(text + "\n")

    def complain(self, text: str) -> None:
        self.complaints.append(text + "\n")

    def die(self, text: str) -> Exit:
        """To be raised."""
        self.complain(text)
        return Exit(1)

    def read_options(self) -> None:
        options, operands = getopt(self.call.argv[1:], "CdFf:G:hlM:N:nrRsvz:")
        for option in options:
            match option.letter:
                case letter if letter == UNKNOWN:
                    known = option.text[1:] in "fGMNz"
                    what = "option requires an argument" if known else "illegal option"
                    self.complain(f"ipnat: {what} -- {option.text[1:]}")
                    self.complaints.append(USAGE)
                    raise Exit(1)
                case "f":
                    self.file = option.value
                case "G" | "z":
                    if self.letters & {"G", "z"}:
                        raise self.die("Only one of -G and -z may be set")
                    self.zone = option.value
                case "M" | "N" | "d":
                    raise NotEmulated(f"ipnat -{option.letter} [services 1.4]")
            self.letters.add(option.letter)
        if operands:
            raise NotEmulated(f"ipnat with the operand {operands[0]!r} [services 1.4]")

    def run(self) -> int:
        """The order of work is fixed, whatever the order on the command line [services 1.4]."""
        self.read_options()
        text = self.read_file()
        with self.call.world.lock:
            place = None if "n" in self.letters else self.open()
            try:
                self.flush(place)
                if text is not None:
                    self.load(place, text)
            finally:
                if place is not None and self.changed:
                    place.apply()
            if self.letters & {"l", "s"}:
                if place is None:
                    raise NotEmulated("ipnat -n together with -l or -s [services 1.4]")
                self.show(place)
        return 0

    def open(self) -> Place:
        if not self.call.privileged:
            self.complain("open device: Permission denied")
            raise self.die("User/kernel version check failed")
        try:
            place = stacks.find(self.call, self.zone, "G" in self.letters)
        except Unreachable as unreachable:
            raise self.die(str(unreachable)) from None
        if not place.ipf.enabled:
            raise self.die(f"ioctl(SIOCGNATS): {stacks.IO_ERROR}")
        return place

    def read_file(self) -> str | None:
        """Read before the lock is taken: standard input may be slow. A file that is missing harms nobody."""
        if self.file is None:
            return None
        try:
            return files.read(self.call, self.file)
        except OSError as problem:
            self.missing = f"fopen({self.file}) failed: {problem.strerror}"
            return None

    missing = ""

    def flush(self, place: Place | None) -> None:
        if "F" in self.letters:
            count = 0 if place is None else self.kernel(place, "ioctl(SIOCFLNAT)", self._end_sessions)
            if count is not None:
                self.print(f"{count} entries flushed from NAT table")
        if "C" in self.letters:
            count = 1 if place is None else self.kernel(place, "ioctl(SIOCCNATL)", self._clear)
            if count is not None:
                self.print(f"{count} entries flushed from NAT list")
        if self.missing:
            self.complain(self.missing)

    def kernel(self, place: Place, what: str, deed: object) -> int | None:
        """None when it was refused, which has been said then."""
        assert callable(deed)
        try:
            stacks.operate(place)
        except Refused as refused:
            self.complain(f"{what}: {refused.status}")
            return None
        return int(deed(place))

    def _end_sessions(self, place: Place) -> int:
        return self.call.world.floor.packets.end_sessions(place.zone, place.which)

    def _clear(self, place: Place) -> int:
        place.ipf.nat.clear()
        self.changed = True
        return _CLEARED

    # rules --------------------------------------------------------------------------------------------------------

    def load(self, place: Place | None, text: str) -> None:
        def deliver(rule: NatRule, line: int) -> None:
            if "v" in self.letters:
                self.print(rule.text("R" in self.letters))
            if place is not None:
                self.send(place, rule, line)

        try:
            nat_grammar.parse(text, deliver)
        except SyntaxTrouble as trouble:
            raise self.die(str(trouble)) from None

    def send(self, place: Place, rule: NatRule, line: int) -> None:
        """A refusal is said, and the next rule is tried [services 1.14]."""
        removing = "r" in self.letters
        try:
            if removing:
                stacks.remove_nat(place, rule)
            else:
                stacks.add_nat(place, rule)
            self.changed = True
        except Refused as refused:
            what = "delete nat rule" if removing else "add/insert nat rule"
            self.complain(f"{line}:ioctl({what}): {refused.status}")
        self.call.half_way()

    # lists --------------------------------------------------------------------------------------------------------

    def show(self, place: Place) -> None:
        packets = self.call.world.floor.packets
        sessions = packets.sessions(place.zone, place.which)
        if "s" in self.letters:
            traffic = packets.traffic(place.zone, place.which)
            hits = packets.hits(place.zone, place.which)
            added = max(sum(hits.get(number, 0) for number in place.ipf.nat.values()), len(sessions))
            self.print(f"mapped\tin\t{traffic.mapped_in}\tout\t{traffic.mapped_out}")
            self.print(f"added\t{added}\texpired\t{added - len(sessions)}")
            self.print("no memory\t0\tbad nat\t0")
            self.print(f"inuse\t{len(sessions)}")
            self.print("orphans\t0")
            self.print(f"rules\t{len(place.ipf.nat)}")
            self.print("wilds\t0")
        if "l" in self.letters:
            self.show_rules(place, packets.hits(place.zone, place.which) if "h" in self.letters else None)
            self.show_sessions(sessions)

    def show_rules(self, place: Place, hits: dict[int, int] | None) -> None:
        self.print("List of active MAP/Redirect filters:")
        for rule, number in place.ipf.nat.items():
            prefix = "" if hits is None else f"{hits.get(number, 0)} "
            self.print(prefix + rule.text("R" in self.letters))

    def show_sessions(self, sessions: list[Session]) -> None:
        self.print("\nList of active sessions:")
        if "v" in self.letters:
            if sessions:
                raise NotEmulated("ipnat -lv with sessions [services 1.6]")
            self.print("\nList of active host mappings:")
        for session in sessions:
            inside, outside = (_column(*end) for end in (session.inside, session.outside))
            address, port = session.peer
            peer = address if port is None else f"{address} {port}"
            self.print(f"{session.kind} {inside} <- -> {outside} [{peer}]")


def _column(address: str, port: int | None) -> str:
    return f"{address:<15s}" if port is None else f"{address:<15s} {port:<5d}"


def main(call: Call) -> int:
    ipnat = Ipnat(call)
    try:
        return ipnat.run()
    except Exit as leave:
        return leave.status
    finally:
        call.out("".join(ipnat.text))
        call.err("".join(ipnat.complaints))
