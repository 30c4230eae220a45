"""``pgrep -c`` and ``pkill -c``: processes of a contract [services 3.4, 5.2]. Any other use is the machine's own."""

from __future__ import annotations

import contextlib
import os
import re
import signal

from lab import real_programs
from lab.call import Call
from lab.smf import host
from lab.smf.contracts import pid_inside
from lab.world import GLOBAL, NotEmulated

_CONTRACTS = re.compile(r"\d+(,\d+)*")
_NO_MATCH = 1


def main(call: Call) -> int:
    words = call.argv[1:]
    pairs = zip(words, [*words[1:], ""], strict=True)
    at = next((at for at, (word, value) in enumerate(pairs) if word == "-c" and _CONTRACTS.fullmatch(value)), -1)
    if at < 0:
        raise real_programs.become(call)
    rest = words[:at] + words[at + 2 :]
    number = _signal(call, rest)
    held = [host.contract(call.world, int(text), call.zone) for text in words[at + 1].split(",")]
    if not call.world.floor.real:
        return _on_paper(call, any(each is not None and not each.empty for each in held))
    pids = [pid for each in held if each is not None for pid in each.members()]
    if not pids:
        return _NO_MATCH
    if call.argv[0] == "pgrep":
        call.out("".join(f"{pid if call.zone == GLOBAL else pid_inside(pid)}\n" for pid in sorted(pids)))
        return 0
    if not call.privileged:
        raise NotEmulated("pkill -c without all privileges")
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return 0


def _on_paper(call: Call, matched: bool) -> int:
    """A service that counts as running takes any signal; it has no processes to be listed."""
    if call.argv[0] == "pgrep":
        raise NotEmulated("pgrep -c on the data-only floor")
    return 0 if matched else _NO_MATCH


def _signal(call: Call, words: list[str]) -> int:
    """The only thing that may stand beside ``-c``: ``-SIGNAL`` of pkill."""
    if not words:
        return int(signal.SIGTERM)
    name = words[0].removeprefix("-").removeprefix("SIG")
    known = {each.name.removeprefix("SIG"): each.value for each in signal.Signals}
    if call.argv[0] == "pgrep" or len(words) > 1 or not words[0].startswith("-"):
        raise NotEmulated(f"{' '.join(call.argv)}: -c together with other criteria")
    if name.isdigit() and int(name) in known.values():
        return int(name)
    if name not in known:
        raise NotEmulated(f"the signal {words[0]}")
    return known[name]
