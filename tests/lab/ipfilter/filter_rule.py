"""One filter rule, and the form in which ipfstat prints it [services 1.9, 1.10]."""

from __future__ import annotations

from dataclasses import dataclass

from lab.ipfilter.model import ANY_END, ANY_PROTOCOL, End

TCP_FLAGS = "FSRPAU"
ICMP_TYPES = {
    "echorep": 0, "unreach": 3, "squench": 4, "redir": 5, "echo": 8, "routerad": 9, "routersol": 10, "timex": 11,
    "paramprob": 12, "timest": 13, "timestrep": 14, "inforeq": 15, "inforep": 16, "maskreq": 17, "maskrep": 18,
}  # fmt: skip
_ICMP_NAMES = {number: name for name, number in ICMP_TYPES.items()}


@dataclass(frozen=True)
class FilterRule:
    """Equal rules are one rule to the kernel."""

    version: int  # 4 | 6
    action: str  # pass | block
    direction: str  # in | out
    answer: str = ""  # of block: return-rst | return-icmp
    answer_code: int | None = None
    log: str = ""  # "log" and what follows it
    quick: bool = False
    interface: str = ""
    protocol: str = ANY_PROTOCOL
    source: End = ANY_END
    destination: End = ANY_END
    flags: str = ""  # FLAGS/MASK
    icmp_type: int | None = None
    icmp_code: int | None = None
    keep_state: bool = False
    keep_frags: bool = False
    head: str = ""
    group: str = ""

    def text(self, numeric: bool = False) -> str:
        """In file syntax. `numeric`: ports by number."""
        words = [self._action(), self.direction]
        words += [self.log] if self.log else []
        words += ["quick"] if self.quick else []
        words += [f"on {self.interface}"] if self.interface else []
        words += [f"proto {self.protocol}"] if self.protocol != ANY_PROTOCOL else []
        words.append(self._ends(numeric))
        if self.icmp_type is not None:
            name = _ICMP_NAMES.get(self.icmp_type) if self.version == 4 else None
            words.append(f"icmp-type {name or self.icmp_type}")
            words += [f"code {self.icmp_code}"] if self.icmp_code is not None else []
        words += [f"flags {self.flags}"] if self.flags else []
        words += ["keep state"] if self.keep_state else []
        words += ["keep frags"] if self.keep_frags else []
        words += [f"head {self.head}"] if self.head else []
        words += [f"group {self.group}"] if self.group else []
        return " ".join(words)

    def _action(self) -> str:
        if not self.answer:
            return self.action
        code = "" if self.answer_code is None else f"({self.answer_code})"
        return f"{self.action} {self.answer}{code}"

    def _ends(self, numeric: bool) -> str:
        if (self.source, self.destination, self.protocol) == (ANY_END, ANY_END, ANY_PROTOCOL):
            return "all"
        source, destination = ("!" * end.negated + end.text(self.protocol, numeric) for end in self._both())
        return f"from {source} to {destination}"

    def _both(self) -> tuple[End, End]:
        return self.source, self.destination
