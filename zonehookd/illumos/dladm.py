"""dladm: etherstubs, VNICs, link properties (network sheet 2). All failures exit 1; only stderr tells them apart."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from zonehookd.errors import CannotObserve
from zonehookd.illumos.linkname import normal_mac
from zonehookd.illumos.parseable import last_reason, rows, split
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.record import Record

# Tails of the last stderr line (sheet 2.2, "stable classification")
NOT_FOUND = "object not found"
EXISTS = "object already exists"
BUSY = "link busy"
TRY_AGAIN = "try again later"
DENIED = "permission denied"
_BUSY_IN_DISGUISE = "may not use default_tag ID"  # create-vnic says this for a busy lower link (sheet 2.5)
_NO_SUCH_FIELD = "unknown output field"
_PROTECTIONS = ("dladm", "show-linkprop", "-c", "-o", "link,property,value", "-p", "zone,protection,allowed-ips")


@dataclass(frozen=True, slots=True)
class Link:
    """One row of show-link. `klass` is a word such as ``vnic``, ``etherstub``, ``phys``; `mtu` in bytes."""

    name: str
    klass: str
    mtu: int
    state: str
    over: str


@dataclass(frozen=True, slots=True)
class Vnic:
    """One row of show-vnic; `mac` padded and lower case; `zone` None where the dialect does not tell (sheet 2.6)."""

    name: str
    over: str
    mac: str
    vlan: int
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """What show-linkprop says of one link: its zone ("" = global), protections and allowed addresses."""

    zone: str = ""
    protection: frozenset[str] = frozenset()
    allowed_ips: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between distributions; probed once at start (sheet 0.1)."""

    vnic_zone_field: bool = False


class Vnics(dict[str, Vnic]):
    """Every VNIC by name; and which MACs are in use over a link, which dladm checks per lower link (sheet 3.6)."""

    @cached_property
    def _macs(self) -> Mapping[str, Mapping[str, str]]:
        table: dict[str, dict[str, str]] = {}
        for vnic in self.values():
            table.setdefault(vnic.over, {})[vnic.mac] = vnic.name
        return table

    def mac_holder(self, over: str, mac: str) -> str:
        """The VNIC that has this MAC over this link, or nothing."""
        return self._macs.get(over, {}).get(mac, "")


@dataclass(slots=True)
class _PropertyRow:
    values: dict[str, str] = field(default_factory=dict)


def _must_succeed(argv: tuple[str, ...], reply: Reply) -> None:
    if reply.status != 0:
        raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')


# -- looking ---------------------------------------------------------------------------------------------------------


def probe_dialect() -> Query[Dialect]:
    """OmniOS and SmartOS have a zone field in show-vnic, illumos-gate has not (sheet 0.1)."""
    argv = ("dladm", "show-vnic", "-p", "-o", "link,zone")

    def parse(reply: Reply) -> Dialect:
        if reply.status == 0:
            return Dialect(vnic_zone_field=True)
        if _NO_SUCH_FIELD in reply.stderr:
            return Dialect(vnic_zone_field=False)
        raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')

    return Query(argv, parse)


def links() -> Query[Mapping[str, Link]]:
    """Every datalink the global zone owns, loaned ones included."""
    argv = ("dladm", "show-link", "-p", "-o", "link,class,mtu,state,over")

    def parse(reply: Reply) -> Mapping[str, Link]:
        _must_succeed(argv, reply)
        found = {row[0]: Link(row[0], row[1], _number(row[2]), row[3], row[4]) for row in rows(reply.stdout, 5)}
        if not found:  # every host has one; dlmgmtd that just died knows none (sheet 8.1)
            raise CannotObserve(f'"{" ".join(argv)}" knows no link at all: is dlmgmtd well?')
        return found

    return Query(argv, parse)


def link(name: str) -> Query[Link | None]:
    """One datalink by name, or None."""
    argv = ("dladm", "show-link", "-p", "-o", "link,class,mtu,state,over", name)

    def parse(reply: Reply) -> Link | None:
        if reply.status != 0 and last_reason(reply.stderr) == NOT_FOUND:
            return None
        _must_succeed(argv, reply)
        found = {row[0]: Link(row[0], row[1], _number(row[2]), row[3], row[4]) for row in rows(reply.stdout, 5)}
        return found.get(name)

    return Query(argv, parse, wide=links(), pick=lambda every: every.get(name))


def vnics(dialect: Dialect) -> Query[Vnics]:
    """Every VNIC of the host, those in zones included."""
    argv = ("dladm", "show-vnic", "-p", "-o", _vnic_fields(dialect))

    def parse(reply: Reply) -> Vnics:
        _must_succeed(argv, reply)
        return _vnic_rows(reply.stdout, dialect)

    return Query(argv, parse)


def vnic(name: str, dialect: Dialect) -> Query[Vnic | None]:
    """One VNIC by name; None when there is none, or when the name belongs to another class of link (sheet 2.6)."""
    argv = ("dladm", "show-vnic", "-p", "-o", _vnic_fields(dialect), name)

    def parse(reply: Reply) -> Vnic | None:
        if reply.status != 0:
            if last_reason(reply.stderr) == NOT_FOUND or "is not a vnic" in reply.stderr:
                return None
            _must_succeed(argv, reply)
        return _vnic_rows(reply.stdout, dialect).get(name)

    return Query(argv, parse, wide=vnics(dialect), pick=lambda every: every.get(name))


def protections() -> Query[Mapping[str, Protection]]:
    """Zone, protection and allowed-ips of every link in one walk.

    It opens each link for a moment, so others may see `link busy`: ask only where an answer is needed (sheet 2.10).
    A link that vanishes during the walk makes it exit 1 with good output otherwise; such rows read ``?``.
    """
    return Query(_PROTECTIONS, functools.partial(_protections, _PROTECTIONS))


def protection(name: str) -> Query[Protection | None]:
    """The same of one link; None when it is not there, or went while it was looked at."""
    argv = (*_PROTECTIONS, name)

    def parse(reply: Reply) -> Protection | None:
        found = _protections(argv, reply).get(name) if reply.stdout else None
        if found is None and NOT_FOUND not in reply.stderr:
            raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')
        return found

    return Query(argv, parse, wide=protections(), pick=lambda every: every.get(name))


def _protections(argv: tuple[str, ...], reply: Reply) -> Mapping[str, Protection]:
    if reply.status != 0 and not reply.stdout:
        _must_succeed(argv, reply)
    table: dict[str, _PropertyRow] = {}
    for line in reply.stdout.splitlines():
        fields = split(line)
        if len(fields) < 3:
            raise CannotObserve(f"show-linkprop printed {line!r}")
        table.setdefault(fields[0], _PropertyRow()).values[fields[1]] = fields[2]
    return {
        name: Protection(
            zone=_global_as_empty(row.values.get("zone", "")),
            protection=_words(row.values.get("protection", "")),
            allowed_ips=_words(row.values.get("allowed-ips", "")),
        )
        for name, row in table.items()
        if "?" not in row.values.values()
    }


def _vnic_fields(dialect: Dialect) -> str:
    return "link,over,macaddress,vid,zone" if dialect.vnic_zone_field else "link,over,macaddress,vid"


def _vnic_rows(text: str, dialect: Dialect) -> Vnics:
    width = 5 if dialect.vnic_zone_field else 4
    found = Vnics()
    for row in rows(text, width):
        where = _global_as_empty(row[4]) if dialect.vnic_zone_field else None
        found[row[0]] = Vnic(row[0], row[1], normal_mac(row[2]), _number(row[3]), where)
    return found


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split(",") if word and word != "--")


def _global_as_empty(text: str) -> str:
    """The global zone prints as nothing, as ``--`` (also with -p, sheet 2.6), or by its name."""
    return "" if text in ("", "--", "global") else text


# -- changing --------------------------------------------------------------------------------------------------------


def judge(status: int, stderr: str) -> Verdict:
    """What a failed creation or setting means (sheet 2.2)."""
    reason = last_reason(stderr)
    if reason in (BUSY, TRY_AGAIN) or _BUSY_IN_DISGUISE in stderr:
        return Verdict(again=True, busy=True)
    return Verdict(again=reason != DENIED)


def _deletion(name: str) -> Callable[[int, str], Verdict]:
    """Deleting what is not there has succeeded; `invalid link name` is how dladm says so (sheet 2.4, 2.5)."""

    def verdict(status: int, stderr: str) -> Verdict:
        if stderr.strip() == f"dladm: invalid link name '{name}'" or last_reason(stderr) == NOT_FOUND:
            return Verdict(again=False, done=True)
        return judge(status, stderr)

    return verdict


def create_etherstub(name: str, *, why: str) -> Change:
    return Change(("dladm", "create-etherstub", name), why, judge=judge)


def delete_etherstub(name: str, *, ours: Record, why: str) -> Change:
    return Change(("dladm", "delete-etherstub", name), why, judge=_deletion(name), only_if=ours)


def create_vnic(name: str, *, over: str, mac: str, vlan: int = 0, why: str) -> Change:
    """Persistent: a zone must boot without us, and persistent ipadm objects inside it need a persistent link (4.3)."""
    tag = ("-v", str(vlan)) if vlan else ()
    return Change(("dladm", "create-vnic", "-l", over, "-m", mac, *tag, name), why, judge=judge)


def delete_vnic(name: str, *, ours: Record, why: str) -> Change:
    """Without -t: deletes the active and the persistent half, also of a temporary VNIC (sheet 2.5)."""
    return Change(("dladm", "delete-vnic", name), why, judge=_deletion(name), only_if=ours)


def set_linkprop(link: str, prop: str, value: str, *, temporary: bool = False, why: str) -> Change:
    """One property per call: with several, the exit status is that of the last alone (sheet 2.10)."""
    flag = ("-t",) if temporary else ()
    return Change(("dladm", "set-linkprop", *flag, "-p", f"{prop}={value}", link), why, judge=judge)


def reset_linkprop(link: str, prop: str, *, why: str) -> Change:
    return Change(("dladm", "reset-linkprop", "-t", "-p", prop, link), why, judge=judge)
