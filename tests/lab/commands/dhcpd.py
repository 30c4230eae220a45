"""ISC dhcpd: the machine's own, with link names that the kernel calls otherwise put right [services 4]."""

from __future__ import annotations

from lab import real_programs
from lab.call import Call
from lab.world import GLOBAL

_WITH_VALUE = {"-cf", "-lf", "-pf", "-p", "-tf", "-user", "-group", "-chroot", "-s", "-play"}


def main(call: Call) -> int:
    words: list[str] = []
    rest = call.argv[1:]
    while rest:
        word = rest.pop(0)
        if word in _WITH_VALUE and rest:
            words += [word, rest.pop(0)]
        else:
            words.append(word if word.startswith("-") else _kernel_name(call, word))
    raise real_programs.become(call, words, changes_user=True)


def _kernel_name(call: Call, name: str) -> str:
    link = call.world.links.get(name)
    if link is None or not link.active or (call.zone != GLOBAL and link.zone != call.zone):
        return name
    return call.world.floor.kernel_name(link)
