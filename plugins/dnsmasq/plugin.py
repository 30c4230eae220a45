"""Names behind a gateway, and DHCP where it is chosen, by dnsmasq: only on inner addresses that are really up.

A name is there while its zone runs, a reservation from the moment its zone is configured until it is gone. Both are in
files that the running dnsmasq reads again on SIGHUP; whatever else changes is one restart, tested before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from zonehookd.illumos import ipadm
from zonehookd.plugin import (
    GLOBAL,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Ip,
    Network,
    Note,
    Plan,
    PluginOptions,
    Record,
    expected_macs,
    nothing,
    served,
    templates,
)

from .dhcp import NO_ROUTER, Dhcp, dhcp
from .names import names

_WAITS = "inner-side-down"


def _plain(path: Path) -> Path:
    """It is written into a text that dnsmasq reads."""
    text = str(path)
    if not path.is_absolute() or not text.isprintable() or set(text) & set(',"#\\ '):
        raise ValueError("expected an absolute path without blanks, commas, quotes and #")
    return path


PlainPath = Annotated[Path, AfterValidator(_plain)]


@dataclass(frozen=True)
class Seen:
    """`server` None: there is nothing of ours, and nothing is to be. `wanted` None: nothing is to be served."""

    records: Sequence[Record]
    serves: bool = False
    server: served.Server | None = None
    wanted: served.Wanted | None = None
    found: served.Seen | None = None
    notes: tuple[Note, ...] = ()


class Dnsmasq(GatewayPlugin[Seen]):
    name = "dnsmasq"
    after = ("gateway",)
    asks_each = True
    beside = True

    class Options(PluginOptions):
        """The first three are by default what the distribution has (services sheet 5.1)."""

        fmri: str = Field("", description="its service; that of the distribution unless told")
        binary: PlainPath | None = Field(None, description="tests a configuration before it is used")
        main: PlainPath | None = Field(None, description="the file that includes ours; the rest of it is kept as it is")
        folder: PlainPath = Field(Path("/var/zonehookd/dnsmasq"), description="where our files lie; made where missing")
        dhcp_on_omnios: bool = Field(False, description="true: you gave OmniOS' service the privileges DHCP needs")
        pace_s: float = Field(0.5, ge=0, le=60, description="pause between two restarts, in seconds")

    options: Options

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = host.recall(gateway.subject)
        omnios = host.dialect.vnic_zone_field
        names_too, dhcp_too = _answers_names(gateway), _serves_dhcp(gateway, omnios)
        notes: list[Note] = []
        if dhcp_too and omnios and not self.options.dhcp_on_omnios:
            dhcp_too = False
            notes.append(_unprivileged(gateway))
        serves = any(_networks(gateway, names_too, dhcp_too))
        if gateway.trouble or not (serves or records):
            return Seen(records, serves, notes=tuple(notes))
        server = self._server(gateway.where, omnios)
        wanted = None
        if serves:
            up = {each.address.ip for each in await host.ask(ipadm.addresses(gateway.where)) if each.state == "ok"}
            macs = await expected_macs((each for every in gateway.members.values() for each in every), host)
            wanted = self._wanted(gateway, names_too, dhcp_too, up, macs, notes)
        found = await served.observe(server, wanted, gateway.subject, self.name, host)
        return Seen(records, serves, server, wanted, found, tuple(notes))

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if gateway.zone is None and gateway.name != GLOBAL:
            gone = f"zone {gateway.name} is gone"
            forgets = tuple(Forget(each.kind, each.name, gone) for each in seen.records)
            return Plan(forgets) if forgets else nothing(gone)
        if gateway.trouble:
            return nothing(f"gateway {gateway.name}: {gateway.trouble}")
        if seen.server is None or seen.found is None:
            return Plan(notes=seen.notes) if seen.notes else nothing(f"gateway {gateway.name} needs no dnsmasq")
        if seen.serves and seen.wanted is None:
            return Plan(notes=seen.notes)  # what is there is left until an inner side is up again
        base = served.plan(seen.server, seen.wanted, seen.found)
        return Plan(base.steps, (*seen.notes, *base.notes))

    def _server(self, where: str, omnios: bool) -> served.Server:
        given, folder = self.options, self.options.folder
        at = ("network/dns/dnsmasq", "/opt/ooce/sbin/dnsmasq", "/etc/opt/ooce/dnsmasq/dnsmasq.conf") if omnios else (
            "network/dnsmasq", "/usr/sbin/dnsmasq", "/etc/dnsmasq.conf")  # fmt: skip
        return served.Server(
            name="dnsmasq",
            where=where,
            fmri=given.fmri or f"svc:/{at[0]}:default",
            main=given.main or Path(at[2]),
            config=folder / "dnsmasq.conf",
            include="conf-file={path}\n",
            test=(str(given.binary or at[1]), "--test", "-C", "{path}"),
            data=(folder / "hosts", folder / "reservations"),
            package="ooce/network/dnsmasq" if omnios else "TRIBdnsmasq",
            pace_s=given.pace_s,
        )

    def _wanted(
        self,
        gateway: GatewayView,
        names_too: bool,
        dhcp_too: bool,
        up: set[Ip],
        macs: Mapping[str, str],
        notes: list[Note],
    ) -> served.Wanted | None:
        """None when no inner address is up yet."""
        assert gateway.gateway is not None
        networks = []
        for network in sorted(_networks(gateway, names_too, dhcp_too), key=lambda one: one.name):
            missing = [each for each in network.gateways if each not in up]
            if missing:
                text = f"dnsmasq on network {network.name} waits for {', '.join(map(str, missing))} to be up"
                notes.append(Note("waiting", text, _WAITS, network.name, again_after_s=1.0))
            if len(missing) < len(network.gateways):
                networks.append(network)
        if not networks:
            return None
        called = names(gateway, networks) if names_too else None
        with_ipv4 = [each for each in networks if each.gateway(4) in up]
        told = dhcp(gateway, with_ipv4, macs) if dhcp_too else Dhcp()
        notes += [*(called.notes if called else ()), *told.notes]
        hosts, reservations = self.options.folder / "hosts", self.options.folder / "reservations"
        template = templates(Path(__file__).parent / "templates").get_template("dnsmasq.conf.j2")
        config = template.render(
            listen=[each for network in networks for each in network.gateways if each in up],
            names=called,
            upstream=gateway.gateway.upstream,
            dhcp=told,
            no_router=NO_ROUTER,
            hosts=hosts,
            reservations=reservations,
        )
        data = {
            hosts: "".join(f"{address} {' '.join(every)}\n" for address, every in called.hosts) if called else "",
            reservations: "".join(f"{line}\n" for line in told.lines),
        }
        claims = {*(["names"] if called else ()), *(["dhcp"] if told.networks else ())}
        return served.Wanted(config, data, claims=frozenset(claims))


def _answers_names(gateway: GatewayView) -> bool:
    declared = gateway.gateway
    return declared is not None and declared.ours and declared.dns == "dnsmasq"


def _serves_dhcp(gateway: GatewayView, omnios: bool) -> bool:
    declared = gateway.gateway
    if declared is None or not declared.ours:
        return False
    return declared.dhcp == "dnsmasq" or (declared.dhcp == "auto" and not omnios)


def _networks(gateway: GatewayView, names_too: bool, dhcp_too: bool) -> Iterator[Network]:
    """Those on which it has anything to say."""
    for network in gateway.gateway.networks.values() if gateway.gateway else ():
        with_dhcp = dhcp_too and network.dhcp is not None and network.gateway(4) is not None
        if network.gateways and (names_too or with_dhcp):
            yield network


def _unprivileged(gateway: GatewayView) -> Note:
    text = f"gateway {gateway.name}: OmniOS starts dnsmasq without the privileges that DHCP needs"
    hint = 'dhcp = "dhcpd"; or give the service a method_credential with them, and set dhcp_on_omnios = true'
    return Note("refused", text, "dhcp-privileges", gateway.name, hint)
