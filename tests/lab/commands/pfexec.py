"""`pfexec CMD`: the caller becomes CMD; a command of the lab is played at once, with all privileges.

Everybody on a lab host has the profiles of root: who may do what is not emulated.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from lab import dispatch
from lab.call import Become, Call
from lab.world import NotEmulated

_LAB_FOLDERS = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


def main(call: Call) -> int:
    arguments = call.argv[1:]
    if not arguments or arguments[0].startswith("-"):
        raise NotEmulated(f"pfexec {' '.join(arguments)}")
    command = PurePath(arguments[0])
    ours = command.name in dispatch.COMMANDS and str(command.parent) in (".", *_LAB_FOLDERS)
    if not ours:
        raise Become(arguments)
    return dispatch.run(replace(call, argv=[command.name, *arguments[1:]], privileged=True))
