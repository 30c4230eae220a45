"""ipf(8): filter rules, and whether ipf works at all, of one ipf stack [services 1.8, 1.12-1.14].

Options are a script: each is executed as it is met, from left to right.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.call import Call, Exit
from lab.getopt import UNKNOWN, Option, getopt
from lab.ipfilter import files, filter_grammar, stacks
from lab.ipfilter.filter_rule import FilterRule
from lab.ipfilter.lexer import SyntaxTrouble
from lab.ipfilter.stacks import Place, Unreachable
from lab.ipfilter.state import IpfStack
from lab.world import NotEmulated, Refused

USAGE = (
    "usage: ipf [-6AdDEGInoPrRsvVyzZ] [-l block|pass|nomatch|state|nat] [-cc] [-F i|o|a|s|S|u] [-f filename] "
    "[-T <tuneopts>] [zonename]\n"
)
BAD_FILE = "Bad file number"
_FLUSHED = {"i": ("in",), "o": ("out",), "a": ("in", "out")}


@dataclass
class Mode:
    """What the options met so far have switched on."""

    inactive: bool = False
    dry: bool = False
    removing: bool = False
    verbose: bool = False
    numeric: bool = False
    version: int = 4


class Ipf:
    """One run. Text is kept until the lock is free."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.text: list[str] = []
        self.complaints: list[str] = []
        self.mode = Mode()
        self.zone: str | None = None
        self.from_global = False
        self.changed: Place | None = None

    def print(self, text: str) -> None:
        self.text.append(text + "\n")

    def complain(self, text: str) -> None:
        self.complaints.append(text + "\n")

    def run(self) -> int:
        options, operands = getopt(self.call.argv[1:], "6AcdDEf:F:GIl:noPrRsT:vVyzZ")
        if any(option.letter == UNKNOWN for option in options) or not options or len(operands) > 1:
            self.complaints.append(USAGE)
            return 1
        self.zone = operands[0] if operands else None
        self.from_global = any(option.letter == "G" for option in options)
        if self.from_global and self.zone is None:
            raise NotEmulated("ipf -G without a zone [services 1.12]")
        texts = {option.value: self.read(option.value) for option in options if option.letter == "f"}
        with self.call.world.lock:
            try:
                for option in options:
                    self.execute(option, texts)
            finally:
                if self.changed is not None:
                    self.changed.apply()
        return 0

    def read(self, name: str) -> str | OSError:
        """Before the lock is taken: standard input may be slow."""
        try:
            return files.read(self.call, name)
        except OSError as problem:
            return problem

    def execute(self, option: Option, texts: dict[str, str | OSError]) -> None:
        mode = self.mode
        match option.letter:
            case "6":
                mode.version = 6
            case "A":
                mode.inactive = False
            case "I":
                mode.inactive = not mode.inactive
            case "n":
                mode.dry = not mode.dry
            case "r":
                mode.removing = not mode.removing
            case "v":
                mode.verbose = True
            case "R":
                mode.numeric = not mode.numeric
            case "G":
                return
            case "E" | "D":
                self.enable(option.letter == "E")
            case "F":
                self.flush(option.value)
            case "f":
                self.load(option.value, texts[option.value])
            case "s":
                self.swap()
            case "y":
                self.sync()
            case "V":
                self.version()
            case other:
                raise NotEmulated(f"ipf -{other} [services 1.8]")

    def open(self) -> Place | None:
        """None when there is no such stack, which has been said then."""
        if not self.call.privileged:
            self.complain("open device: Permission denied")
            self.complain("User/kernel version check failed")
            raise Exit(1)
        try:
            return stacks.find(self.call, self.zone, self.from_global)
        except Unreachable as unreachable:
            self.complain(str(unreachable))
            return None

    def allowed(self, place: Place, what: str) -> bool:
        try:
            stacks.operate(place)
            return True
        except Refused as refused:
            self.complain(f"{what}: {refused.status}")
            return False

    # the stack ----------------------------------------------------------------------------------------------------

    def enable(self, on: bool) -> None:
        """Without a change of what it is, nothing happens; switched off, it forgets everything [services 1.3]."""
        place = None if self.mode.dry else self.open()
        if place is None or place.ipf.enabled == on or not self.allowed(place, "SIOCFRENB"):
            return
        if on:
            place.ipf.enabled = True
        else:
            place.ipf.forget()
        self.changed = place
        self.call.half_way()

    def swap(self) -> None:
        """Both families at once [services 8.1]."""
        if self.mode.dry:
            self.print("Set 2 now inactive")
            return
        place = self.opened("ioctl(SIOCSWAPA)")
        if place is not None:
            self.print(f"Set {place.ipf.active} now inactive")
            place.ipf.active ^= 1
            self.changed = place

    def sync(self) -> None:
        """Names are looked up anew."""
        if self.mode.dry:
            self.print("filter sync'd")
            return
        place = self.opened("SIOCFRSYN")
        if place is not None:
            self.print("filter sync'd")
            self.changed = place

    def opened(self, what: str) -> Place | None:
        """A stack that is on and may be changed; else it has been said why not."""
        place = self.open()
        if place is None:
            return None
        if not place.ipf.enabled:
            self.complain(f"{what}: {stacks.IO_ERROR}")
            return None
        return place if self.allowed(place, what) else None

    def version(self) -> None:
        place = self.open()
        if place is None:
            raise Exit(1)
        self.text.append(_version(place.ipf))

    # rules --------------------------------------------------------------------------------------------------------

    def flush(self, what: str) -> None:
        if what not in ("s", "S", *_FLUSHED):
            raise NotEmulated(f"ipf -F{what} [services 1.8]")
        if self.mode.verbose:
            raise NotEmulated("ipf -v with -F [services 1.8]")
        if self.mode.dry:
            return
        place = self.opened("ioctl(SIOCIPFFL)")
        if place is None:
            raise Exit(1)
        if what in _FLUSHED:
            rules = stacks.chosen(place, self.mode.inactive)[self.mode.version]
            rules[:] = [kept for kept in rules if kept.rule.direction not in _FLUSHED[what]]
            self.changed = place
        else:
            self.call.world.floor.packets.end_states(place.zone, place.which, what == "s")
        self.call.half_way()

    def load(self, name: str, text: str | OSError) -> None:
        if isinstance(text, OSError):
            self.complain(f"fopen({name}) failed: {text.strerror}")
            return
        place = None if self.mode.dry else self.open()

        def deliver(rule: FilterRule, line: int, at: int | None) -> None:
            if self.mode.verbose:
                self.print(rule.text(self.mode.numeric))
            if not self.mode.dry:
                self.send(place, rule, line, at)

        try:
            filter_grammar.parse(text, self.mode.version, deliver)
        except SyntaxTrouble as trouble:
            self.complain(str(trouble))
            raise Exit(1) from None

    def send(self, place: Place | None, rule: FilterRule, line: int, at: int | None) -> None:
        """Nothing is said when a rule cannot be removed [services 1.8]."""
        try:
            if place is None:
                raise Refused(BAD_FILE)
            if self.mode.removing:
                stacks.remove_filter(place, rule, self.mode.inactive)
            else:
                stacks.add_filter(place, rule, self.mode.inactive, at)
            self.changed = place
        except Refused as refused:
            if not self.mode.removing:
                self.complain(f"{line}:ioctl(add/insert rule): {refused.status}")
        self.call.half_way()


def _version(ipf: IpfStack) -> str:
    return (
        "ipf: IP Filter: v4.1.9 (592)\n"
        "Kernel: IP Filter: v4.1.9\n"
        f"Running: {'yes' if ipf.enabled else 'no'}\n"
        "Log Flags: 0 = none set\n"
        "Default: pass all, Logging: available\n"
        f"Active list: {ipf.active}\n"
        "Feature mask: 0x107\n"
    )


def main(call: Call) -> int:
    ipf = Ipf(call)
    try:
        return ipf.run()
    except Exit as leave:
        return leave.status
    finally:
        call.out("".join(ipf.text))
        call.err("".join(ipf.complaints))
