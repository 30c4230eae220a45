"""kstat: the counters of all links, by one command however many links there are (network sheet 6.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zonehookd.errors import CannotObserve
from zonehookd.model.command import Query, Reply

NAME_MAX = 30  # kstat knows no more of a link's name (network sheet 6.3)
_WANTED = "/^(r|o)bytes64$|^(i|o)packets64$|^(i|o)errors$|^link_state$/"
_NOTHING_MATCHED = 1
_UP = {"0": False, "1": True}  # anything else: nobody knows


@dataclass(frozen=True, slots=True)
class Traffic:
    """As the link sees it: `rbytes` of a zone's VNIC is what the zone received. They begin anew with the link; errors
    wrap at 2^32. `up` None: not known."""

    rbytes: int = 0
    obytes: int = 0
    ipackets: int = 0
    opackets: int = 0
    ierrors: int = 0
    oerrors: int = 0
    up: bool | None = None


def traffic() -> Query[Mapping[str, Traffic]]:
    """Link, by the first 30 letters of its name -> its counters. A link that goes meanwhile is left out.

    Lines are ``link:0:NAME:STATISTIC<TAB>VALUE``; exit status 1 says that there is no link at all.
    """
    argv = ("kstat", "-p", "-m", "link", "-i", "0", "-s", _WANTED)

    def parse(reply: Reply) -> Mapping[str, Traffic]:
        if reply.status == _NOTHING_MATCHED and not reply.stderr.strip():
            return {}
        if reply.status != 0:
            raise CannotObserve(f'"kstat -p -m link" exited {reply.status}: {reply.stderr.strip()}')
        found: dict[str, dict[str, str]] = {}
        for line in reply.stdout.splitlines():
            key, tab, value = line.partition("\t")
            parts = key.split(":", 3)
            if not tab or len(parts) != 4:
                raise CannotObserve(f'"kstat -p -m link": expected module:instance:name:statistic, found {line!r}')
            found.setdefault(parts[2], {})[parts[3]] = value
        return {name: _traffic(name, values) for name, values in found.items()}

    return Query(argv, parse)


def _traffic(name: str, values: Mapping[str, str]) -> Traffic:
    try:
        return Traffic(
            rbytes=int(values.get("rbytes64", 0)),
            obytes=int(values.get("obytes64", 0)),
            ipackets=int(values.get("ipackets64", 0)),
            opackets=int(values.get("opackets64", 0)),
            ierrors=int(values.get("ierrors", 0)),
            oerrors=int(values.get("oerrors", 0)),
            up=_UP.get(values.get("link_state", "")),
        )
    except ValueError as problem:
        raise CannotObserve(f'"kstat -p -m link": counters of {name}: {problem}') from problem
