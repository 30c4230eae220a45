"""DHCP behind a gateway, by ISC dhcpd: a reservation per NIC, from the moment its zone is configured until it is gone.

The networks stand in a file of ours that the main file includes. Reservations stand there too (method `restart`), or
reach the running server through OMAPI (method `omapi`), so that a new zone restarts nothing. OMAPI is for the global
zone only: the port of a gateway zone cannot be reached from there, as its networks are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from zonehookd.illumos import dhcpd, ipadm, smf
from zonehookd.plugin import (
    GLOBAL,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Note,
    Plan,
    PluginOptions,
    Record,
    expected_macs,
    nothing,
    served,
)
from zonehookd.plugin.where import read_files

from .live import KEY, Live, bursts, drop_key, key_steps, listens
from .live import observe as observe_live
from .rules import Rules, render, rules
from .rules import served as networks_served

_LISTEN = "config/listen_ifnames"
_WAITS = "inner-side-down"


def _plain(path: Path) -> Path:
    """It is written between quotes, into a text that dhcpd reads."""
    if not path.is_absolute() or not re.fullmatch(r"[A-Za-z0-9._/+-]+", str(path)):
        raise ValueError("expected an absolute path of letters, digits and . _ + -")
    return path


PlainPath = Annotated[Path, AfterValidator(_plain)]


@dataclass(frozen=True)
class Seen:
    """`server` None: nothing of ours is there, and nothing is to be. `wanted` None: nothing is to be served."""

    records: Sequence[Record]
    active: bool = False
    rules: Rules = field(default_factory=Rules)
    wanted: served.Wanted | None = None
    server: served.Seen | None = None
    live: Live | None = None
    notes: tuple[Note, ...] = ()


class Dhcpd(GatewayPlugin[Seen]):
    name = "dhcpd"
    after = ("gateway",)
    asks_each = True
    beside = True

    class Options(PluginOptions):
        """Defaults of the first four: services sheet 4.1, as is the group."""

        fmri: str = Field("svc:/network/service/dhcp:ipv4", description="its service")
        binary: PlainPath = Field(Path("/usr/sbin/dhcpd"), description="tests a configuration before it is used")
        main: PlainPath = Field(
            Path("/etc/dhcpd.conf"), description="the file that includes ours; the rest of it is kept as it is"
        )
        leases: PlainPath = Field(Path("/var/db/dhcpd.leases"), description="its lease file")
        folder: PlainPath = Field(Path("/etc/dhcpd.d"), description="where our files lie; made where missing")
        method: Literal["auto", "restart", "omapi"] = Field(
            "auto",
            description="`restart`: reservations in our file; `omapi`: told to the running server; auto: omapi in the "
            "global zone",
        )
        omapi_port: int = Field(7911, ge=1, le=65535, description="TCP port of OMAPI")
        omapi_group: str = Field(
            "netadm",
            pattern="^([A-Za-z_][A-Za-z0-9_-]{0,31})?$",
            description="who may read the OMAPI key beside root, where the system has such a group",
        )
        pace_s: float = Field(0.5, ge=0, le=60, description="pause between two restarts, in seconds")

    options: Options

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = host.recall(gateway.subject)
        active = _chosen(gateway, host) and any(networks_served(gateway))
        if gateway.trouble or not (active or records):
            return Seen(records)
        server, where = self._server(gateway.where), gateway.where
        if not active:
            live = await self._live(where, records, False, host)
            seen = await served.observe(server, None, gateway.subject, self.name, host)
            return Seen(records, server=seen, live=live)
        foreign, left = await _foreign(server, host)
        up = {
            each.address.ip: each.interface
            for each in await host.ask(ipadm.addresses(where))
            if each.state == "ok" and isinstance(each.address.ip, IPv4Address)
        }
        macs = await expected_macs((each for every in gateway.members.values() for each in every), host)
        found = rules(gateway, up, macs, foreign, server.main)
        by_omapi, notes = self._method(where, foreign)
        live = await self._live(where, records, by_omapi, host)
        wanted = None
        if found.subnets:
            text = render(found, live.control if live and live.on else None, hosts=not by_omapi)
            settings = await _listen(server, records, found, foreign, left, host)
            wanted = served.Wanted(text, settings=settings, claims=frozenset({"dhcp"}))
        seen = await served.observe(server, wanted, gateway.subject, self.name, host)
        return Seen(records, True, found, wanted, seen, live, (*found.notes, *notes))

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if gateway.zone is None and gateway.name != GLOBAL:
            gone = f"zone {gateway.name} is gone"
            forgets = tuple(Forget(each.kind, each.name, gone) for each in seen.records)
            return Plan(forgets) if forgets else nothing(gone)
        if gateway.trouble:
            return nothing(f"gateway {gateway.name}: {gateway.trouble}")
        if seen.server is None:
            return nothing(f"gateway {gateway.name} serves no DHCP by dhcpd")
        server = self._server(gateway.where)
        if seen.server.unseen:
            return served.plan(server, seen.wanted, seen.server)
        if seen.active and seen.wanted is None and any(note.code == _WAITS for note in seen.notes):
            return Plan(notes=seen.notes)  # what is there now is left until an inner side is up again
        live = seen.live
        if seen.wanted is None and live is not None and live.hosts and listens(seen.server):
            # While the server still listens to us: later, nobody could take these back.
            return Plan(tuple(bursts(live, Rules(), server, seen.server.service)), seen.notes)
        base = served.plan(server, seen.wanted, seen.server)
        steps = list(base.steps)
        if live is not None:
            key = Record(KEY, str(live.control.file), gateway.subject, self.name)
            if seen.wanted is not None:
                steps[:0] = key_steps(live, key)
                if live.on and served.runs(server, seen.wanted, seen.server):
                    steps += bursts(live, seen.rules, server, seen.server.service)
            if not base.steps or seen.wanted is None:
                steps += drop_key(live, server, seen.server)
        notes = (*seen.notes, *base.notes)
        if steps:
            notes = tuple(note for note in notes if note.kind != "nothing")
        return Plan(tuple(steps), notes)

    def _server(self, where: str) -> served.Server:
        given = self.options
        return served.Server(
            name="dhcpd",
            where=where,
            fmri=given.fmri,
            main=given.main,
            config=given.folder / "zonehookd.conf",
            include='include "{path}";\n',
            test=(str(given.binary), "-t", "-4", "-cf", "{path}"),  # with -q it would not say what is wrong (4.2)
            package="isc-dhcp",
            pace_s=given.pace_s,
            starts=dhcpd.starts,
        )

    def _method(self, where: str, foreign: dhcpd.Declared) -> tuple[bool, tuple[Note, ...]]:
        """Whether reservations go through OMAPI, and what is to be said of it."""
        if self.options.method == "restart" or where != GLOBAL:
            return False, ()
        if not foreign.omapi:
            return True, ()
        text = f"{self.options.main} sets up OMAPI for somebody else: reservations are served from a file"
        note = Note("refused", text, "foreign-omapi", str(self.options.main), 'set method = "restart"')
        return False, (note,) if self.options.method == "omapi" else ()

    async def _live(self, where: str, records: Sequence[Record], by_omapi: bool, host: HostReader) -> Live | None:
        record = next((each for each in records if each.kind == KEY), None)
        if where != GLOBAL or not (by_omapi or record):
            return None
        given = self.options
        file = given.folder / "zonehookd-omapi.conf"
        return await observe_live(file, given.omapi_port, given.omapi_group, given.leases, by_omapi, record, host)


def _chosen(gateway: GatewayView, host: HostReader) -> bool:
    """Its admin, or else the system, chose dhcpd: OmniOS has it, and its dnsmasq may not serve DHCP (5.1)."""
    declared = gateway.gateway
    if declared is None or not declared.ours:
        return False
    return declared.dhcp == "dhcpd" or (declared.dhcp == "auto" and host.dialect.vnic_zone_field)


async def _foreign(server: served.Server, host: HostReader) -> tuple[dhcpd.Declared, bool]:
    """What the main file declares beside us, and whether that is nothing and our block is there. One that we cannot
    read is judged by the server's own test."""
    paths = (server.main, server.config, server.candidate, server.main_candidate)  # as `served` asks, so asked once
    main = (await read_files(server.where, paths, host))[server.main]
    try:
        return dhcpd.declared(server.without_us(main) or ""), server.left_in(main)
    except ValueError:
        return dhcpd.Declared(), False


async def _listen(
    server: served.Server,
    records: Sequence[Record],
    found: Rules,
    foreign: dhcpd.Declared,
    left: bool,
    host: HostReader,
) -> Mapping[str, served.Setting]:
    """The interfaces to listen on: those of before, and ours. None named means all that have a subnet (4.1): that is
    left so where somebody else has subnets, and never chosen by us. `left` without a record: those of before were ours,
    and may be gone, with which dhcpd would not start (4.2)."""
    if server.fmri not in await host.ask(smf.services(server.where, [server.fmri])):
        return {}
    book = next((served.Book.of(each) for each in records if each.kind == served.KIND), served.Book())
    if _LISTEN in book.before:
        former = book.before[_LISTEN]
        before = former.values if former else ()
    elif left and not book.exists:
        before = ()
    else:
        now = (await host.ask(smf.properties(server.where, server.fmri, _LISTEN))).get(_LISTEN)
        before = now.values if now else ()
    before = tuple(each for each in before if each)
    if not before and foreign.subnets:
        return {}
    return {_LISTEN: served.Setting("astring", tuple(dict.fromkeys((*before, *found.links))))}
