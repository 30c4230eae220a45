"""ps(1): how much memory processes hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from zonehookd.model.command import Query, Reply


def resident(pids: Collection[int]) -> Query[Mapping[int, int]]:
    """pid -> bytes that it has in memory; a process that is gone is left out.

    Each field has a -o of its own: what follows a ``=`` is its heading, to the end of the word (POSIX). `rss` is in KiB
    as POSIX has it of `vsz`, which the sheets do not confirm.
    """
    return Query(("ps", "-o", "pid=", "-o", "rss=", "-p", ",".join(map(str, sorted(pids)))), _parse)


def _parse(reply: Reply) -> Mapping[int, int]:
    """Status 1 without a line: all of them are gone. Raises ValueError."""
    lines = [line.split() for line in reply.stdout.splitlines() if line.strip()]
    if not lines and reply.stderr.strip():
        raise ValueError(reply.stderr.strip())
    return {int(pid): int(kib) << 10 for pid, kib in lines}
