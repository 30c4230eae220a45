"""Programs of the machine that stand behind a lab command of the same name; `enter` keeps copies of them.

A copy, because a security profile that a distribution ties to the usual path would not let a daemon work in our files.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from lab import door
from lab.call import Become, Call, Exit
from lab.ipadm_conf import root_of
from lab.world import NotEmulated, Refused

FOLDER = f"{door.STATE}/real"
NAMES = ("dhcpd", "dnsmasq", "pgrep", "pkill")
_PATH = re.compile(r"/|--[a-z-]+=/")
_PRETENDING = {"LD_PRELOAD": "libuid_wrapper.so", "UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}


def become(call: Call, arguments: list[str] | None = None, changes_user: bool = False) -> Become:
    """To be raised: the caller turns into the real program, wherever it is.

    A program that changes its user cannot do so in a user namespace of one id; there uid_wrapper lets it think it has.
    Raises `Exit` where there is no host to turn into anything (`dispatch.paper_world`): it has run then. A scripted
    fault makes it fail with status 1.
    """
    try:
        call.operate()
    except Refused as fault:
        call.err(f"{call.argv[0]}: {fault.status}\n")
        raise Exit(1) from None
    words = call.argv[1:] if arguments is None else arguments
    if call.world.root != Path("/"):
        raise Exit(_checked(call, words))
    environ = {**call.environ, **_PRETENDING} if changes_user and _single_user() else None
    return Become([f"{FOLDER}/{call.argv[0]}", *words], environ=environ)


def _checked(call: Call, words: list[str]) -> int:
    """In-process a configuration can be checked; absolute paths on the command line are moved below the world's root,
    those in files are not.
    """
    if not {"-t", "--test"} & set(words):
        raise NotEmulated(f"{' '.join(call.argv)} outside a host")
    root = str(root_of(call.world, call.zone))
    moved = [word.replace("/", f"{root}/", 1) if _PATH.match(word) else word for word in words]
    done = call.spawn([call.argv[0], *moved], {"PATH": "/usr/sbin:/usr/bin"})
    call.stdout.write(done.stdout.replace(root.encode(), b""))
    call.stderr.write(done.stderr.replace(root.encode(), b""))
    return done.returncode


def _single_user() -> bool:
    with contextlib.suppress(OSError):
        return Path("/proc/self/setgroups").read_text().strip() == "deny"
    return False
