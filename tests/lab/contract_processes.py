"""``pgrep -c`` and ``pkill -c``: processes of a contract [services 3.4, 5.2]. Any other use is the machine's own.

Beside ``-c`` there may be the signal, which comes first, a pattern, and -f, -l, -x, -P; of what matches, ``-o`` is the
oldest and ``-n`` the newest, by the moment they were started.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import real_programs
from lab.call import Call
from lab.getopt import UNKNOWN, getopt
from lab.smf import host
from lab.smf.contracts import Contract, command_of, pid_inside
from lab.world import GLOBAL, NotEmulated

_CONTRACTS = re.compile(r"\d+([,\t ]+\d+)*")
_CLUSTER = re.compile(r"-[flnox]*c")
_OPTIONS = {"pgrep": "flnovxc:d:D:u:U:G:P:g:s:t:z:J:T:", "pkill": "fnovxc:D:u:U:G:P:g:s:t:z:J:T:"}
_PLAYED = set("flnoxcP")
_NO_MATCH, _USAGE = 1, 2
_ARGUMENTS_MAX = 79  # characters of a command line that are kept with a process
_INIT = 1
USAGE = """Usage: {0} {1} [-P ppidlist] [-g pgrplist] [-s sidlist]
\t[-u euidlist] [-U uidlist] [-G gidlist] [-J projidlist]
\t[-T taskidlist] [-t termlist] [-z zonelist] [-c ctidlist] [pattern]
"""
_FIRST = {"pgrep": "[-flnovx] [-d delim]", "pkill": "[-signal] [-fnovx]"}


@dataclass(frozen=True)
class _Process:
    pid: int  # as the lab's server sees it
    shown: int  # as the caller does
    parent: int  # likewise; of an orphan init
    started: int  # clock ticks since the machine booted

    @property
    def line(self) -> str:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
            return words.decode(errors="replace")[:_ARGUMENTS_MAX]
        return ""


def main(call: Call) -> int:
    words = call.argv[1:]
    pairs = zip(words, [*words[1:], ""], strict=True)
    if not any(_CLUSTER.fullmatch(word) and _CONTRACTS.fullmatch(value) for word, value in pairs):
        raise real_programs.become(call)
    number, words = _signal(call, words)
    options, operands = getopt(words, _OPTIONS[call.argv[0]], permute=True)
    letters = {option.letter for option in options}
    for option in options:
        if option.letter == UNKNOWN:
            return _misused(call, f"illegal option -- {option.text[1:]}")
        if option.letter not in _PLAYED:
            raise NotEmulated(f"{' '.join(call.argv)}: -c together with {option.text}")
    if len(operands) > 1:
        return _misused(call, f"illegal argument -- {operands[1]}")
    if {"n", "o"} <= letters:
        return _misused(call, "-n and -o are mutually exclusive")
    values = {option.letter: option.value for option in options}
    held = [host.contract(call.world, each, call.zone) for each in _numbers(values["c"])]
    contracts = [each for each in held if each is not None]
    if not call.world.floor.real:
        return _on_paper(call, any(not each.empty for each in contracts))
    found = [each for contract in contracts for each in _processes(call, contract)]
    if "P" in values:
        found = [each for each in found if each.parent in _numbers(values["P"])]
    if operands:
        found = [each for each in found if _matches(each, operands[0], letters)]
    if found and letters & {"n", "o"}:  # of those of one moment, a parent is older than its child
        found = [min(found, key=_age) if "o" in letters else max(reversed(found), key=_age)]
    if not found:
        return _NO_MATCH
    if call.argv[0] == "pgrep":
        for each in sorted(found, key=lambda process: process.shown):
            name = each.line if "f" in letters else command_of(each.pid)
            call.out(f"{each.shown:5} {name}\n" if "l" in letters else f"{each.shown}\n")
        return 0
    if not call.privileged:
        raise NotEmulated("pkill -c without all privileges")
    for each in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, number)
    return 0


def _misused(call: Call, what: str) -> int:
    name = call.argv[0]
    call.err(f"{name}: {what}\n{USAGE.format(name, _FIRST[name])}")
    return _USAGE


def _numbers(text: str) -> list[int]:
    if not _CONTRACTS.fullmatch(text):
        raise NotEmulated(f"the list of numbers {text!r}")
    return [int(each) for each in re.split(r"[,\t ]+", text)]


def _age(process: _Process) -> int:
    return process.started


def _processes(call: Call, contract: Contract) -> Iterator[_Process]:
    """Parents first."""
    for pid in contract.members():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parent = int(fields[1])
        if parent == contract.holder:
            parent = _INIT
        elif call.zone != GLOBAL:
            parent = pid_inside(parent)
        yield _Process(pid, pid if call.zone == GLOBAL else pid_inside(pid), parent, int(fields[19]))


def _matches(process: _Process, pattern: str, letters: set[str]) -> bool:
    """By the program's name, or with -f by its command line; -x: the whole of it."""
    text = process.line if "f" in letters else command_of(process.pid)
    try:
        found = re.fullmatch(pattern, text) if "x" in letters else re.search(pattern, text)
    except re.error:
        raise NotEmulated(f"the pattern {pattern!r}") from None
    return found is not None


def _on_paper(call: Call, matched: bool) -> int:
    """A service that counts as running takes any signal; it has no processes to be listed."""
    if call.argv[0] == "pgrep":
        raise NotEmulated("pgrep -c on the data-only floor")
    return 0 if matched else _NO_MATCH


def _signal(call: Call, words: list[str]) -> tuple[int, list[str]]:
    """(pkill's signal, the words after it): it is the first word or nowhere."""
    known = {each.name.removeprefix("SIG"): each.value for each in signal.Signals}
    name = words[0].removeprefix("-")
    if call.argv[0] == "pgrep" or not words[0].startswith("-"):
        return int(signal.SIGTERM), words
    if name in known or (name.isdigit() and int(name) in known.values()):
        return known.get(name) or int(name), words[1:]
    return int(signal.SIGTERM), words
