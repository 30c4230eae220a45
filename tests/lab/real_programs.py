"""Programs of the machine that stand behind a lab command of the same name; `enter` keeps copies of them.

A copy, because a security profile that a distribution ties to the usual path would not let a daemon work in our files.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from lab import door
from lab.call import Become, Call

FOLDER = f"{door.STATE}/real"
NAMES = ("dhcpd", "dnsmasq", "pgrep", "pkill")
_PRETENDING = {"LD_PRELOAD": "libuid_wrapper.so", "UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}


def become(call: Call, arguments: list[str] | None = None, changes_user: bool = False) -> Become:
    """To be raised: the caller turns into the real program, wherever it is.

    A program that changes its user cannot do so in a user namespace of one id; there uid_wrapper lets it think it has.
    """
    environ = {**call.environ, **_PRETENDING} if changes_user and _single_user() else None
    return Become([f"{FOLDER}/{call.argv[0]}", *(call.argv[1:] if arguments is None else arguments)], environ=environ)


def _single_user() -> bool:
    with contextlib.suppress(OSError):
        return Path("/proc/self/setgroups").read_text().strip() == "deny"
    return False
