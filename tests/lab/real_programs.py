"""Programs of the machine that stand behind a lab command of the same name; `enter` keeps copies of them.

A copy, because a security profile that a distribution ties to the usual path would not let a daemon work in our files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path

from lab import door
from lab.call import Become, Call, Exit
from lab.ipadm_conf import root_of
from lab.world import Dialect, NotEmulated, Refused

FOLDER = f"{door.STATE}/real"
# name -> the machine's file of it
PROGRAMS = {
    "dhcpd": "dhcpd",
    "dnsmasq": "dnsmasq",
    "haproxy": "haproxy",
    "nc": "nc.openbsd",
    "nginx": "nginx",
    "pgrep": "pgrep",
    "pkill": "pkill",
}
_PATH = re.compile(r"/|--[a-z-]+=/")
_PRETENDING = {"LD_PRELOAD": "libuid_wrapper.so", "UID_WRAPPER": "1", "UID_WRAPPER_ROOT": "1"}
_PRIVATE_ADDRESSES = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]  # net_privaddr


def become(call: Call, arguments: list[str] | None = None, changes_user: bool = False) -> Become:
    """To be raised: the caller turns into the real program, wherever it is.

    A program that changes its user cannot do so in a user namespace of one id; there uid_wrapper lets it think it has.
    Raises `Exit` where there is no host to turn into anything (`dispatch.paper_world`): it has run then. A scripted
    fault makes it fail with status 1.
    """
    words = call.argv[1:] if arguments is None else arguments
    meet_faults(call)
    if call.world.root != Path("/"):
        raise Exit(_checked(call, words))
    environ = {**call.environ, **_PRETENDING} if changes_user and one_id() else None
    return Become([f"{FOLDER}/{call.argv[0]}", *words], environ=environ)


def become_daemon(call: Call, arguments: list[str], user: str, before: Sequence[str] = ()) -> Become:
    """To be raised, on a host: a program that changes the owners of files, too. `before` is a command that starts it.

    `user` is who starts it, with the privileges basic and net_privaddr; "" is root. In a user namespace of one id
    nobody else exists: there every such call succeeds and does nothing, and a `user` is only what the program is told.
    """
    meet_faults(call)
    if not call.world.floor.real:
        raise NotEmulated(f"{' '.join(call.argv)} without processes")
    home = ["/usr/bin/env", "-C", "/"] if user else []  # of both users; where a method of theirs starts [services 3.6]
    program = [*home, *before, f"{FOLDER}/{call.argv[0]}", *arguments]
    if not one_id():
        identity = [f"--reuid={user}", f"--regid={user}", "--init-groups", *_PRIVATE_ADDRESSES]
        return Become(["/usr/bin/setpriv", *identity, "--", *program] if user else program)
    environ = {**call.environ, "LD_PRELOAD": f"{door.STATE}/libone_id.so"}
    if user:
        environ["ZONELAB_ID"] = str(_number(call, user))
    return Become(program, environ=environ)


def unprivileged(call: Call) -> bool:
    """Whether this is the start of a service that OmniOS runs as a user of its own [services 6.1]."""
    return call.world.dialect is Dialect.OMNIOS and call.environ.get("SMF_METHOD") == "start"


def _number(call: Call, user: str) -> int:
    for line in (root_of(call.world, call.zone) / "etc/passwd").read_text().splitlines():
        if line.startswith(f"{user}:"):
            return int(line.split(":")[2])
    call.err(f"{call.argv[0]}: no such user: {user}\n")
    raise Exit(1)


def meet_faults(call: Call) -> None:
    """Raises `Exit` when a scripted fault says so."""
    try:
        call.operate()
    except Refused as fault:
        call.err(f"{call.argv[0]}: {fault.status}\n")
        raise Exit(1) from None


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


def one_id() -> bool:
    """Whether this host is a user namespace of one id."""
    with contextlib.suppress(OSError):
        return Path("/proc/self/setgroups").read_text().strip() == "deny"
    return False
