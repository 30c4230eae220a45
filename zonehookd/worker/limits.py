"""What the process of a plugin may take of the machine. Set before anything of the plugin is loaded."""

from __future__ import annotations

import contextlib
import os
import resource

_FILES = 256
_NICE = 5  # one that spins takes what others leave: a plugin is never more urgent than the daemon
# Address space is no memory: threads' stacks and what allocators set aside are far more than is ever used, about
# 200 MiB for a worker that does nothing. What is really used, the daemon looks at.
_SET_ASIDE_MB = 256


def limit(memory_mb: int) -> None:
    """For this process and all that it starts: no core files, `_FILES` open files, and so much memory (MiB), beyond
    which an allocation fails. Never more than we were given."""
    with contextlib.suppress(OSError):  # where there is no such priority
        os.nice(_NICE)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, _FILES)
    _lower(resource.RLIMIT_AS, (memory_mb + _SET_ASIDE_MB) << 20)


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    value = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (value, value))
