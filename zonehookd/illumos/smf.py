"""SMF: services of a zone, their state and properties (services sheet 3).

svcs, svcadm and svcprop have -z; svccfg has not, and goes through zlogin (3.3). svcadm is asynchronous: exit 0 says
that the wish was noted, not that the service is well. What became of it is for the next look to see.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zonehookd.errors import CannotObserve
from zonehookd.illumos.zlogin import GLOBAL, inside, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

_FMRI = re.compile(r"svc:/[A-Za-z0-9_.,/-]+:[A-Za-z0-9_.-]+", re.ASCII)  # whole: short ones are not stable (3.1)
_NO_MATCH = re.compile(r"svcs: Pattern '(.*)' doesn't match any instances")
_NO_PROPERTY = re.compile(r"svcprop: Couldn't find property (?:group )?`(.*?)' for ")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+-]+", re.ASCII)
_NOT_IN_MAINTENANCE = "is not in a maintenance or degraded state"
_NEVER = ("ermission denied", "doesn't match any instances", "invalid zone")


@dataclass(frozen=True, slots=True)
class Service:
    """`state` and `next_state` in full words: uninitialized, offline, online, degraded, maintenance, disabled.

    `next_state` "" : not on its way. `contract` None: no processes of its own.
    """

    fmri: str
    state: str
    next_state: str = ""
    contract: int | None = None


@dataclass(frozen=True, slots=True)
class Property:
    """A property's type, such as ``astring`` or ``boolean``, and its values, unquoted."""

    type: str
    values: tuple[str, ...]


# -- looking ---------------------------------------------------------------------------------------------------------


def services(where: str, fmris: Sequence[str]) -> Query[Mapping[str, Service]]:
    """FMRI -> its state; one that does not exist is missing. Raises ValueError: no FMRI, or one that is not full."""
    if not fmris:
        raise ValueError("svcs without an FMRI lists every service")
    argv = ("svcs", "-H", "-o", "state,nstate,ctid,fmri", *_zone(where), *[_checked(each) for each in fmris])

    def parse(reply: Reply) -> Mapping[str, Service]:
        if reply.status != 1 or not _all_match(_NO_MATCH, reply.stderr):
            must_succeed(where, argv, reply)
        found = {}
        for line in reply.stdout.splitlines():
            words = line.split()
            if len(words) != 4:
                raise CannotObserve(f'"{" ".join(argv)}" printed {line!r}')
            state, next_state, contract, fmri = words
            number = int(contract) if contract.isdecimal() else None
            found[fmri] = Service(fmri, state, "" if next_state == "-" else next_state, number)
        return found

    return Query(argv, parse)


def properties(where: str, fmri: str, *groups: str) -> Query[Mapping[str, Property]]:
    """``group/name`` -> property, of these groups (or single properties); what does not exist is missing.

    The current values (-c): those the service runs with are the same only after a refresh (3.3). Raises ValueError.
    """
    if not groups:
        raise ValueError("svcprop without a group prints every property")
    wanted = [word for group in groups for word in ("-p", group)]
    argv = ("svcprop", "-c", "-t", *_zone(where), *wanted, _checked(fmri))

    def parse(reply: Reply) -> Mapping[str, Property]:
        absent = set(_NO_PROPERTY.findall(reply.stderr))
        if reply.status != 1 or not _all_match(_NO_PROPERTY, reply.stderr):
            must_succeed(where, argv, reply)
        found = {}
        for words in _unquoted(reply.stdout):
            if len(words) < 2:
                raise CannotObserve(f'"{" ".join(argv)}" printed {" ".join(words)!r}')
            found[words[0]] = Property(words[1], tuple(words[2:]))
        named = absent | set(found) | {name.partition("/")[0] for name in found}
        if reply.status != 0 and not named.issuperset(groups):
            raise CannotObserve(f'"{" ".join(argv)}" did not answer for all: {reply.stderr.strip()}')
        return found

    return Query(argv, parse)


def _all_match(rule: re.Pattern[str], stderr: str) -> bool:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(rule.match(line) for line in lines)


def _unquoted(text: str) -> Iterator[list[str]]:
    """Lines taken apart into words: a backslash quotes any character, a newline too; ``""`` is the empty one (3.4)."""
    words: list[str] = []
    current: list[str] = []  # characters; a quoted one carries its backslash until the word is whole
    characters = iter(text if text.endswith("\n") else text + "\n")
    for character in characters:
        if character == "\\":
            current.append("\\" + next(characters, ""))
        elif character in " \t\n":
            if current:
                word = "".join(current)
                words.append("" if word == '""' else "".join(each[-1] for each in current))
                current = []
            if character == "\n" and words:
                yield words
                words = []
        else:
            current.append(character)


# -- changing --------------------------------------------------------------------------------------------------------


def judge(status: int, stderr: str) -> Verdict:
    """What a failure means (3.3): what is missing or forbidden stays so, as does wrong usage (2)."""
    if "repository server unavailable" in stderr:
        return Verdict(again=True, busy=True)
    return Verdict(again=status != 2 and not any(reason in stderr for reason in _NEVER))


def _judge_clear(status: int, stderr: str) -> Verdict:
    if _NOT_IN_MAINTENANCE in stderr:
        return Verdict(again=False, done=True)
    return judge(status, stderr)


def _svcadm(
    where: str, words: Sequence[str], fmri: str, why: str, how: Callable[[int, str], Verdict] = judge
) -> Change:
    return Change(("svcadm", *_zone(where), *words, _checked(fmri)), why, judge=judged(where, how))


def enable(where: str, fmri: str, *, temporary: bool = False, why: str) -> Change:
    """`temporary`: until the zone's next boot. A service in maintenance stays there: `clear` it (3.3)."""
    return _svcadm(where, ("enable", *(("-t",) if temporary else ())), fmri, why)


def disable(where: str, fmri: str, *, temporary: bool = False, why: str) -> Change:
    return _svcadm(where, ("disable", *(("-t",) if temporary else ())), fmri, why)


def restart(where: str, fmri: str, *, why: str) -> Change:
    """No effect on what is neither online nor degraded (3.3)."""
    return _svcadm(where, ("restart",), fmri, why)


def refresh(where: str, fmri: str, *, why: str) -> Change:
    """Current properties become those it runs with, then its refresh method runs; a failing one means maintenance."""
    return _svcadm(where, ("refresh",), fmri, why)


def clear(where: str, fmri: str, *, why: str) -> Change:
    """Out of maintenance. Not being in it is as it should be."""
    return _svcadm(where, ("clear",), fmri, why, _judge_clear)


def hangup(where: str, contract: int, *, why: str) -> Change:
    """SIGHUP to every process of a contract; a contract that is gone fails, and the next look sees its heir (3.4)."""
    return Change(inside(where, ("pkill", "-HUP", "-c", str(contract))), why, judge=judged(where, judge))


def signal(where: str, contract: int, name: str, *, oldest: bool = False, why: str) -> Change:
    """A signal, such as ``HUP``, to every process of a contract, or to its oldest one only: the master of a server that
    has workers. A contract that is gone fails, as for `hangup`."""
    words = ("pkill", f"-{name}", *(("-o",) if oldest else ()), "-c", str(contract))
    return Change(inside(where, words), why, judge=judged(where, judge))


def set_property(where: str, fmri: str, prop: str, kind: str, values: Sequence[str], *, why: str) -> Change:
    """``group/name`` gets these values of type `kind`, several as a list; `refresh` makes the service see them (3.5).

    svccfg joins its arguments with blanks and takes them apart again, so values are quoted for it too. Raises
    ValueError for a value with a newline.
    """
    if any("\n" in value for value in values):
        raise ValueError(f"{prop}: a value of several lines")
    texts = [_quoted(value) for value in values]
    value = texts[0] if len(texts) == 1 else f"({' '.join(texts)})"
    argv = ("svccfg", "-s", _checked(fmri), "setprop", prop, "=", f"{kind}:", value)
    return Change(inside(where, argv), why, judge=judged(where, judge))


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _checked(fmri: str) -> str:
    if not _FMRI.fullmatch(fmri):
        raise ValueError(f"{shlex.quote(fmri)} is not a full FMRI, svc:/SERVICE:INSTANCE")
    return fmri


def _zone(where: str) -> tuple[str, ...]:
    return () if where == GLOBAL else ("-z", where)
