"""How much memory workers hold, all of them asked for at once. They limit their address space themselves; this is what
they really keep, seen from outside."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from zonehookd.model.command import Query, Reply

EACH_S = 60.0


def resident(pids: Collection[int]) -> Query[Mapping[int, int]]:
    """pid -> bytes; a process that is gone is left out. `rss` is in KiB (ps(1)); each field has an option of its own,
    for what follows a `=` is its heading (POSIX ps)."""
    return Query(("ps", "-o", "pid=", "-o", "rss=", "-p", ",".join(map(str, sorted(pids)))), _parse)


def _parse(reply: Reply) -> Mapping[int, int]:
    """Status 1 is that some are gone. Raises ValueError."""
    lines = [line.split() for line in reply.stdout.splitlines() if line.strip()]
    if not lines and reply.status > 1:
        raise ValueError(reply.stderr.strip() or f"status {reply.status}")
    return {int(pid): int(kib) << 10 for pid, kib in lines}
