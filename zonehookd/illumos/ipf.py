"""ipf: whether a stack filters and translates at all (services sheet 1.8, 1.12).

The zone is the last operand: -z means "zero the counters" here (trap 11). ipf exits 0 for most of its failures.
"""

from __future__ import annotations

from zonehookd.errors import CannotObserve
from zonehookd.illumos.zlogin import GLOBAL, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

_RUNNING = "Running: "


def enabled(where: str = GLOBAL) -> Query[bool]:
    """A stack dies with its zone and is off when the zone boots; one that is off has no rules and takes none."""
    argv = ("ipf", "-V", *_zone(where))

    def parse(reply: Reply) -> bool:
        must_succeed(where, argv, reply)
        said = {line.removeprefix(_RUNNING).strip() for line in reply.stdout.splitlines() if line.startswith(_RUNNING)}
        if said not in ({"yes"}, {"no"}):
            raise CannotObserve(f'"{" ".join(argv)}" did not say whether it runs: {reply.stdout!r} {reply.stderr!r}')
        return said == {"yes"}

    return Query(argv, parse)


def enable(where: str = GLOBAL, *, why: str) -> Change:
    """Without rules everything passes, untranslated."""
    return Change(("ipf", "-E", *_zone(where)), why, silent=True, judge=judged(where, _judge))


def _judge(status: int, stderr: str) -> Verdict:
    return Verdict(again="Permission denied" not in stderr)


def _zone(where: str) -> tuple[str, ...]:
    return () if where == GLOBAL else (where,)
