"""ipadm: interfaces, addresses and forwarding of a stack (network sheet 4). All failures exit 1.

ipadm has no -z: the stack of a zone is asked inside it (4.6). Its last newline goes to stdout when it fails (4.1).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Literal

from zonehookd.illumos.linkname import legal
from zonehookd.illumos.parseable import last_reason, rows
from zonehookd.illumos.zlogin import GLOBAL, inside, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)
_FAMILIES: Mapping[str, Family] = {"ipv4": 4, "ipv6": 6}
_OBJECT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,30}", re.ASCII)  # no underscore, no hyphen (4.3)

# Tails of the message (4.5)
INTERFACE_EXISTS = "Interface already exists"
NO_INTERFACE = "Interface does not exist"
NO_OBJECT = "Object not found"
ADDRCONF_RUNS = "Addrconf already in progress"
_SOON = ("Could not communicate with ipmgmtd", "IPv6 autoconf daemon in.ndpd not running", "Interface already in use")
_NEVER = (
    "Insufficient user authorizations",
    "Permission denied",
    "Operation not permitted on from-gz interface",
    "Persistent operation on temporary object",
    "Operation not supported",
)


@dataclass(frozen=True, slots=True)
class AddressObject:
    """One row of show-addr with an address; `interface` is the datalink's name.

    `kind`: static, dhcp, addrconf or from-gz (an allowed-address of the zone). `state`: disabled, duplicate, down,
    tentative, ok or inaccessible. A name may come twice: addrconf has a row per address; ``x0/?`` was not ipadm's.
    """

    name: str
    interface: str
    address: IPv4Interface | IPv6Interface
    kind: str = "static"
    state: str = "ok"


class Addresses(tuple[AddressObject, ...]):
    """Every row with an address. `waiting`: name -> kind of the objects that have none (DHCP without a lease)."""

    waiting: Mapping[str, str]

    def __new__(cls, found: Iterable[AddressObject], waiting: Mapping[str, str]) -> Addresses:
        self = super().__new__(cls, found)
        self.waiting = waiting
        return self


@dataclass(frozen=True, slots=True)
class Interface:
    """One row of show-if: `state` is ok, down, disabled, failed or offline. `persistent`: there after the next boot."""

    name: str
    state: str
    persistent: bool


# -- looking ---------------------------------------------------------------------------------------------------------


def addresses(where: str = GLOBAL) -> Query[Addresses]:
    """Rows without an address are in `waiting`; point-to-point rows are left out."""
    argv = inside(where, ("ipadm", "show-addr", "-p", "-o", "addrobj,type,state,addr"))

    def parse(reply: Reply) -> Addresses:
        must_succeed(where, argv, reply)
        found = []
        waiting = {}
        for name, kind, state, text, *_ in rows(reply.stdout.strip("\n"), 4):
            if text in ("", "?"):
                waiting[name] = kind
                continue
            host, _, length = text.partition("/")
            try:
                address = ipaddress.ip_interface(f"{host.partition('%')[0]}/{length}" if length else host)
            except ValueError:
                continue
            found.append(AddressObject(name, name.partition("/")[0], address, kind, state))
        return Addresses(found, waiting)

    return Query(argv, parse)


def interfaces(where: str = GLOBAL) -> Query[Mapping[str, Interface]]:
    """Every IP interface of the stack, ``lo0`` too."""
    argv = inside(where, ("ipadm", "show-if", "-p", "-o", "ifname,state,persistent"))

    def parse(reply: Reply) -> Mapping[str, Interface]:
        must_succeed(where, argv, reply)
        return {
            name: Interface(name, state, persistent.strip("-") != "")
            for name, state, persistent, *_ in rows(reply.stdout.strip("\n"), 3)
        }

    return Query(argv, parse)


def forwarding(where: str = GLOBAL) -> Query[Mapping[tuple[str, Family], bool]]:
    """(interface, 4 or 6) -> whether it forwards; a packet must find it on where it comes in and goes out
    (services sheet 2). One command for the whole stack."""
    argv = inside(where, ("ipadm", "show-ifprop", "-c", "-o", "ifname,proto,current", "-p", "forwarding"))

    def parse(reply: Reply) -> Mapping[tuple[str, Family], bool]:
        must_succeed(where, argv, reply)
        return {
            (name, _FAMILIES[proto]): current == "on"
            for name, proto, current, *_ in rows(reply.stdout.strip("\n"), 3)
            if proto in _FAMILIES
        }

    return Query(argv, parse)


# -- changing --------------------------------------------------------------------------------------------------------


def judge(status: int, stderr: str) -> Verdict:
    """What a failure means (4.5)."""
    reason = last_reason(stderr)
    if reason in _SOON:
        return Verdict(again=True, busy=True)
    return Verdict(again=not reason.startswith(_NEVER))


def _or_done(where: str, *reasons: str) -> Callable[[int, str], Verdict]:
    """`judge`, but these reasons say that what was wanted is so."""

    def verdict(status: int, stderr: str) -> Verdict:
        if last_reason(stderr) in reasons:
            return Verdict(again=False, done=True)
        return judge(status, stderr)

    return judged(where, verdict)


def create_if(where: str, interface: str, *, temporary: bool = False, why: str) -> Change:
    """Plumbs IPv4 and IPv6. `temporary` is a must over a temporary datalink (4.3). Raises ValueError: a bad name."""
    argv = ("ipadm", "create-if", *_t(temporary), _link(interface))
    return Change(inside(where, argv), why, judge=_or_done(where, INTERFACE_EXISTS))


def delete_if(where: str, interface: str, *, why: str) -> Change:
    """With all its addresses, active and persistent."""
    argv = ("ipadm", "delete-if", _link(interface))
    return Change(inside(where, argv), why, judge=_or_done(where, NO_INTERFACE))


def create_addr(
    where: str, interface: str, name: str, address: IPv4Interface | IPv6Interface, *, temporary: bool = False, why: str
) -> Change:
    """A static address; plumbs the interface when needed. IPv6 needs an `addrconf` object first (4.3).

    That the object exists already is a failure: it may have another address. A duplicate on the network is none: look
    at the state afterwards. Raises ValueError for a name that ipadm refuses.
    """
    argv = ("ipadm", "create-addr", *_t(temporary), "-T", "static", "-a", str(address), _object(interface, name))
    return Change(inside(where, argv), why, judge=judged(where, judge))


def addrconf(where: str, interface: str, name: str, *, temporary: bool = False, why: str) -> Change:
    """The IPv6 link-local address, which static IPv6 addresses need (4.3). Raises ValueError as `create_addr`."""
    argv = ("ipadm", "create-addr", *_t(temporary), "-T", "addrconf", _object(interface, name))
    return Change(inside(where, argv), why, judge=_or_done(where, ADDRCONF_RUNS))


def delete_addr(where: str, interface: str, name: str, *, why: str) -> Change:
    argv = ("ipadm", "delete-addr", _object(interface, name))
    return Change(inside(where, argv), why, judge=_or_done(where, NO_OBJECT, NO_INTERFACE))


def set_forwarding(where: str, interface: str, family: Family, on: bool, *, why: str) -> Change:
    """Until the interface goes: always temporary, so that nothing of ours forwards after we are gone."""
    value = f"forwarding={'on' if on else 'off'}"
    argv = ("ipadm", "set-ifprop", "-t", "-p", value, "-m", f"ipv{family}", _link(interface))
    return Change(inside(where, argv), why, judge=judged(where, judge))


def _t(temporary: bool) -> tuple[str, ...]:
    return ("-t",) if temporary else ()


def _link(interface: str) -> str:
    if not legal(interface):
        raise ValueError(f"{interface!r} is not the name of an IP interface over a datalink")
    return interface


def _object(interface: str, name: str) -> str:
    if not _OBJECT.fullmatch(name):
        raise ValueError(f"{name!r} is no name for an address: letters and digits only, a letter first")
    return f"{_link(interface)}/{name}"
