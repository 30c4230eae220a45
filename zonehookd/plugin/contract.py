"""The contract: a plugin *observes* one subject and *plans* for it; the engine does the rest.

    observe(subject, host)   asks what it needs to know. The host it gets has no way to change anything.
    plan(subject, seen)      pure: the same in, the same out. Steps, each with its why, or the reason for none.

There is no `create` and no `remove`. A zone that is gone is a zone in state *absent*, a network no longer declared one
with `network` None: the plan that builds and the plan that clears away are one method, a missed event costs
time and never truth, and the dry run is the run that stops before applying.

Why this and not `desired`/`apply`/`remove` with a generic differ: what is to be done to a VNIC depends on what was seen
in ways a differ cannot know (in use, foreign, on loan to a zone), and an `apply` written by the author is a second
place that acts, which a dry run cannot show.

What is not our own runs in a process of its own (`zonehookd.worker`), with the same class. What is different there:
all its steps are `apart`; what it remembers is kept under kinds of its own; of records it is shown those of the
subjects it is asked about, and any other by `host.recall_one`; it is not asked to `reclaim`, and `host.answers` is not
for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from zonehookd.host.doors import HostReader
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Cidr, Ip, Network
from zonehookd.model.plan import Plan
from zonehookd.model.record import Record
from zonehookd.model.route import Route
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone

API = 1
Seen = TypeVar("Seen")


class PluginOptions(BaseModel):
    """A plugin's own options: subclass it as `Options` inside the plugin. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class ZoneView:
    """A zone with its NICs placed. `holders`: link name -> the zone whose configuration names it, over all zones.

    `in_motion`: the kernel spoke of it within the last seconds, so it may be between two states. `boot_missed`: its
    last boot failed, and something was made for it since. `network_trouble`: network -> why it cannot be had now, as
    its own plan in this look says; `gateway_trouble`: gateway -> why nothing goes through it now.
    """

    zone: Zone
    attachments: tuple[Attachment, ...]
    refusals: tuple[Refusal, ...]
    left_alone: tuple[str, ...]
    holders: Mapping[str, str]
    boot_missed: bool = False
    in_motion: bool = False
    network_trouble: Mapping[str, str] = field(default_factory=dict)
    gateway_trouble: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        return subject.zone(self.zone.name)


@dataclass(frozen=True, slots=True)
class NetworkView:
    """A network by name; `network` None when it is no longer declared. `attachments` are those of all zones.

    `holders`: link name -> the declared network that lives on it.
    """

    name: str
    network: Network | None
    attachments: tuple[Attachment, ...]
    holders: Mapping[str, str]

    @property
    def subject(self) -> Subject:
        return subject.network(self.name)


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway by name; `gateway` None when it is no longer declared; then `zone` None means that it is gone, too.

    `sides`: its own NICs, inner and outer. `members`: the NICs of others on each of its networks, by network name.
    `zones`: every zone that is such a member, and the gateway's own. `behind`: what lies further in, behind gateways on
    its networks that do not translate: range -> next hop. `beyond`: all ranges further in, translated in there or not.
    `trouble`: why its zone cannot be worked with now. `lost`: one-to-one addresses that are a zone's: address -> zone.
    `further`: NICs behind gateways further in that do not translate. `routes`: what zones serve through its proxy.
    `unread`: of a gateway with a proxy, zones whose configuration cannot be read, wherever they are.
    """

    name: str
    gateway: Gateway | None
    zone: Zone | None
    sides: tuple[Attachment, ...] = ()
    members: Mapping[str, tuple[Attachment, ...]] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    behind: Mapping[Cidr, Ip] = field(default_factory=dict)
    beyond: tuple[Cidr, ...] = ()
    trouble: str = ""
    lost: Mapping[Ip, str] = field(default_factory=dict)
    further: tuple[Attachment, ...] = ()
    routes: tuple[Route, ...] = ()
    unread: Mapping[str, Zone] = field(default_factory=dict)

    @property
    def subject(self) -> Subject:
        return subject.gateway(self.name)

    @property
    def where(self) -> str:
        """In which zone its commands run; ``global`` for the global zone."""
        return self.name

    def side(self, network: str) -> Attachment | None:
        """Its NIC on that network."""
        return next((each for each in self.sides if each.network.name == network), None)

    @property
    def outer_link(self) -> str:
        """The IP interface of its outer side: its own NIC there, or the uplink itself in the global zone."""
        outside = self.gateway.outside if self.gateway else None
        if outside is None:
            return ""
        side = self.side(outside.name)
        return side.link if side is not None else outside.link if self.name == GLOBAL else ""


class _Plugin:
    name: ClassVar[str] = ""
    after: ClassVar[tuple[str, ...]] = ()  # plugins whose steps for the same subject come first
    api: ClassVar[int] = API
    kind: ClassVar[Literal["network", "gateway", "zone"]]
    Options: ClassVar[type[PluginOptions]] = PluginOptions

    # Its observe asks something of its own for each subject (what is inside a zone): this is asked for all at once, and
    # before they are planned one by one, so a hundred zones that boot do not wait for each other's zlogin.
    asks_each: ClassVar[bool] = False

    # Of a gateway: packets pass whatever it has still to do. Else its steps shut the gateway for the zones behind it.
    beside: ClassVar[bool] = False

    # Its steps stand by themselves: carried out whatever the others cannot see or do, and none waits for them. For what
    # is needed most when nothing else goes.
    apart: ClassVar[bool] = False

    # Set by the loader. Ours wait for nothing but commands, which have limits; others, where they are loaded beside
    # them to be tested, get one of their own. At ten thousand zones a timer each would be a tenth of the look.
    bundled: bool = False

    def __init__(self, options: Any) -> None:
        self.options = options

    def concerns(self, view: Any, host: HostReader) -> bool:
        """False: this subject is nothing to this plugin, and is not observed. Must be cheap: it is asked of everybody.

        What the plugin made for the subject before must still concern it: see `host.recall`.
        """
        return True

    async def reclaim(self, links: Mapping[str, str], host: HostReader) -> Sequence[Record]:
        """Asked once, when our books were lost: what on this system bears this plugin's mark? Of our own plugins only.

        `links` maps a link to the zone that names it. A record whose owner is unknown goes to `nobody`.
        """
        return ()


class ZonePlugin(_Plugin, Generic[Seen]):
    """Works on one zone at a time."""

    kind = "zone"

    async def observe(self, zone: ZoneView, host: HostReader) -> Seen:
        raise NotImplementedError

    def plan(self, zone: ZoneView, seen: Seen) -> Plan:
        raise NotImplementedError


class NetworkPlugin(_Plugin, Generic[Seen]):
    """Works on one network at a time. For one look, networks come before the zones on them."""

    kind = "network"

    async def observe(self, network: NetworkView, host: HostReader) -> Seen:
        raise NotImplementedError

    def plan(self, network: NetworkView, seen: Seen) -> Plan:
        raise NotImplementedError


class GatewayPlugin(_Plugin, Generic[Seen]):
    """Works on one gateway at a time: after its networks, before the zones behind it."""

    kind = "gateway"

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        raise NotImplementedError

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        raise NotImplementedError


AnyPlugin = ZonePlugin[Any] | NetworkPlugin[Any] | GatewayPlugin[Any]
NOBODY = subject.zone("(nobody)")  # no zone can have this name, so what it owns is cleared away
