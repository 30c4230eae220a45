"""haproxy: the machine's own, with a zone's limit of open files [services 6.1]."""

from __future__ import annotations

import resource

from lab import paper_programs, real_programs
from lab.call import Call
from lab.world import NotEmulated

_FILES_MAX = 65536  # process.max-file-descriptor of a zone; by the machine's it would reserve room for a million


def main(call: Call) -> int:
    if not call.world.floor.real:
        if not any(word.startswith(("-c", "-v")) for word in call.argv[1:]):
            raise NotEmulated(f"{' '.join(call.argv)} without processes")
        return paper_programs.tell(call, paper_programs.check(call, call.argv[1:]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    user = "haproxy" if real_programs.unprivileged(call) else ""
    before = ["/usr/bin/prlimit", f"--nofile={most}:{most}"]
    raise real_programs.become_daemon(call, call.argv[1:], user, before)
