"""What a start, stop or refresh method is and how it runs [services 3.6, 3.7].

Most are command lines for the zone's shell. Those named in `NATIVE` are played by the lab itself, on either floor: on a
real host they are scripts around illumos commands.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

from lab.init_defaults import settings
from lab.smf import fmri as names
from lab.smf.instance import Instance
from lab.world import NotEmulated, World

OK, NODAEMON, ERR_FATAL, ERR_CONFIG, ERR_NOSMF, ERR_PERM = 0, 94, 95, 96, 99, 100
AT_ONCE = {
    ERR_FATAL: "$SMF_EXIT_ERR_FATAL",
    ERR_CONFIG: "$SMF_EXIT_ERR_CONFIG",
    ERR_NOSMF: "$SMF_EXIT_ERR_NOSMF",
    ERR_PERM: "$SMF_EXIT_ERR_PERM",
}  # status -> its name; these mean maintenance without another try
_TOKEN = re.compile(r"%(%|[mfisr]|\{[^}]*\})")
_RESTARTER = "svc:/system/svc/restarter:default"


@dataclass(frozen=True)
class Method:
    name: str  # start | stop | refresh
    command: str  # tokens expanded; ":true" or ":kill [-SIGNAL]" for the built-in ones; "" when there is none
    seconds: float | None  # None: no limit
    cwd: str
    environ: dict[str, str]


@dataclass
class Played:
    """What a method of the lab's own is given, and what it leaves."""

    world: World
    zone: str
    instance: Instance
    verb: str
    rest: list[str]
    said: list[str]  # lines for the service's log
    daemons: bool = True  # whether it leaves processes behind, as far as SMF can tell


Native = Callable[[Played], int]
NATIVE: dict[str, Native] = {}
ON_PAPER_ONLY: set[str] = set()  # of these; on the real floor they are scripts


def native(program: str, on_paper_only: bool = False) -> Callable[[Native], Native]:
    """Register a function as the script `program`."""

    def register(function: Native) -> Native:
        NATIVE[program] = function
        if on_paper_only:
            ON_PAPER_ONLY.add(program)
        return function

    return register


def method_of(instance: Instance, name: str) -> Method:
    """From the running snapshot, where all methods are read [services 3.3]."""
    seconds = float(instance.word(name, "timeout_seconds", "0"))
    environ = {
        **settings(instance.restarter.path("/")),
        "PATH": "/usr/sbin:/usr/bin",
        "SMF_FMRI": instance.fmri,
        "SMF_METHOD": name,
        "SMF_RESTARTER": _RESTARTER,
        "SMF_ZONENAME": instance.restarter.zone,
    }
    for assignment in instance.running(name, "environment"):
        key, _, value = assignment.partition("=")
        environ[key] = value
    cwd = instance.word(name, "working_directory", ":default")
    command = _TOKEN.sub(lambda found: _token(instance, name, found[1]), instance.word(name, "exec"))
    limit = seconds if seconds > 0 else None
    return Method(name, command, limit, "/root" if cwd == ":default" else cwd, environ)


def _token(instance: Instance, method: str, token: str) -> str:
    service, name = names.split(instance.fmri)
    if token.startswith("{"):
        where, _, separator = token[1:-1].partition(":")
        group, _, key = where.partition("/")
        if not instance.has(group, key):
            raise NotEmulated(f"the token %{token}: {instance.fmri} has no such property")
        return (separator or " ").join(instance.running(group, key))
    return {"%": "%", "m": method, "f": instance.fmri, "i": name, "s": service, "r": "startd"}[token]


def kill_signal(command: str) -> int | None:
    """The signal of ``:kill [-SIGNAL]``; None for any other command. Raises `NotEmulated`."""
    words = command.split()
    if not words or words[0] != ":kill":
        return None
    if len(words) == 1:
        return int(signal.SIGTERM)
    name = words[1].removeprefix("-")
    if name.isdigit():
        return int(name)
    try:
        return int(signal.Signals[f"SIG{name.removeprefix('SIG')}"])
    except KeyError:
        raise NotEmulated(f"the method {command!r}") from None


def played(instance: Instance, method: Method) -> tuple[int, list[str], bool] | None:
    """(exit status, lines for the log, whether processes stay) when the lab plays it; None: it is a real command.

    On paper every command counts as done well, and its daemon as running. Called without any lock.
    """
    words = method.command.split()
    function = NATIVE.get(words[0]) if words else None
    real = instance.restarter.world.floor.real
    if function is None or (real and words[0] in ON_PAPER_ONLY):
        return None if real else (OK, [], True)
    told = Played(instance.restarter.world, instance.restarter.zone, instance, words[1], words[2:], [])
    try:
        status = function(told)
    except NotEmulated as corner:
        return ERR_FATAL, [f"zonelab: not emulated: {corner}"], False
    return status, told.said, told.daemons
