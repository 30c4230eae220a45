"""zonecfg: the `net` resources of a zone, and a whole configuration out and in again (zones sheet 4).

What it writes takes effect when the zone boots. On its command line every command is run even after an error, and what
changed is committed (4.1, trap 12). So each change of a resource below is one resource, from `add` or `select` to
`end`: nothing of it can hit anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from zonehookd.errors import CannotObserve
from zonehookd.illumos.linkname import legal
from zonehookd.model.command import Change, Query, Reply, Verdict

Address = IPv4Interface | IPv6Interface
Ip = IPv4Address | IPv6Address

_UNKNOWN_ZONE = "No such zone configured"
_SOON = ("Locking index file", "Unlocking index file")
_NEVER = ("read-only mode", "Permission denied", "failed to verify", _UNKNOWN_ZONE)


def export(zone: str) -> Query[str]:
    """The commands that make the zone's configuration again, as zonecfg prints them (4.7); see `zoneexport`.

    Raises CannotObserve when there is none to be had. Needs no privilege (4.1).
    """
    argv = ("zonecfg", "-z", zone, "export")

    def parse(reply: Reply) -> str:
        if reply.status != 0 or not reply.stdout:
            raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')
        return reply.stdout

    return Query(argv, parse)


def create_from(zone: str, commands: str, *, why: str) -> Change:
    """A zone that is not there, from commands that begin with ``create -b``. Read back what became of it.

    With ``-f`` zonecfg asks nothing, stops at the first error, and still commits what was before it (4.1). `create`
    leaves a zone that is configured meanwhile as it is, with an error; of one that is *installed* meanwhile it only
    says so, with status 0, and goes on to edit it (trap 11): look right before.
    """
    label = f"zonecfg -z {zone} -f -"
    shows = tuple(commands.splitlines())
    judge = _judge((), soon=("Zone exists, input not from terminal",))
    argv = ("zonecfg", "-z", zone, "-f", "-")
    return Change(argv, why, stdin=commands, label=label, shows=shows, silent=True, judge=judge)


def add_net(zone: str, link: str, *, allowed: Address | None = None, defrouter: Ip | None = None, why: str) -> Change:
    """A NIC, or one more address of it: that is one more resource with the same link (4.5).

    With `allowed` the zone gets this address, and no other, at its boot (zones sheet 6.1). Raises ValueError: no legal
    link name, or a router without an address.
    """
    words = _set(allowed, defrouter)
    return _change(zone, f"add net; set physical={_link(link)}; {words}end", why, "already exists")


def remove_net(zone: str, link: str, *, why: str) -> Change:
    """The one resource of this link; of several none is removed. One that is not there is as it should be."""
    lost = ("No such entry", "No such resource with that id", _UNKNOWN_ZONE)
    return _change(zone, f"remove net physical={_link(link)}", why, *lost)


def set_addresses(zone: str, link: str, allowed: Address | None, defrouter: Ip | None = None, *, why: str) -> Change:
    """The address and router of the one resource of this link; None clears. Raises ValueError as `add_net`."""
    words = _set(allowed, defrouter)
    if defrouter is None:
        words = f"clear defrouter; {words}"
    if allowed is None:
        words = f"clear allowed-address; {words}"
    return _change(zone, f"select net physical={_link(link)}; {words}end", why)


def _set(allowed: Address | None, defrouter: Ip | None) -> str:
    """No value needs quotes: link names and addresses have no character that means anything to zonecfg (4.2)."""
    if defrouter is not None and allowed is None:
        raise ValueError(f"router {defrouter} without an allowed address: zonecfg refuses it (4.4)")
    words = [("allowed-address", allowed), ("defrouter", defrouter)]
    return "".join(f"set {name}={value}; " for name, value in words if value is not None)


def _change(zone: str, commands: str, why: str, *done: str) -> Change:
    return Change(("zonecfg", "-z", zone, commands), why, judge=_judge(done))


def _judge(done: tuple[str, ...], soon: tuple[str, ...] = ()) -> Callable[[int, str], Verdict]:
    def verdict(status: int, stderr: str) -> Verdict:
        if any(reason in stderr for reason in done):
            return Verdict(again=False, done=True)
        if any(reason in stderr for reason in (*_SOON, *soon)):
            return Verdict(again=True, busy=True)
        return Verdict(again=status != 2 and not any(reason in stderr for reason in _NEVER))

    return verdict


def _link(link: str) -> str:
    if not legal(link):
        raise ValueError(f"{link!r} is not a legal link name")
    return link
