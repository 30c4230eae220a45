"""The wire, of what happened to a zone and what would: its timeline, the checklist, the way of a packet, the whole."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from zonehookd.bus.messages import SubjectRow
from zonehookd.bus.route_messages import RoutesReply


class EntryRow(BaseModel):
    """One entry of a timeline."""

    at: float = Field(description="when it began, unix seconds; of settled when it ended")
    kind: Literal["zone", "network", "gateway"] = Field(description="whose it is: the zone's, or that of what it needs")
    name: str = Field(description="of that zone, network or gateway")
    what: str = Field(description="event, look, plugin NAME, hook NAME, settled, or work for what is not over")
    result: str = Field(description="heard, begun, done, failed, waiting or refused")
    text: str = Field(description="for people: the command, or what was heard or found")
    seconds: float | None = Field(None, description="how long it took; null: a moment, or it is not over")
    change: str = Field("", description="id of the change it belongs to, as on log and audit lines")
    cause: str = Field("", description="id of the change, or of the event, that set it off")


class TimelineReply(BaseModel):
    """`zonehookctl timeline`."""

    zone: str = Field(description="whose it is")
    since: float = Field(description="unix seconds: nothing before the daemon's start is held")
    forgotten: int = Field(description="entries of this zone that were there and had to go")
    entries: list[EntryRow] = Field(description="the oldest first")


class CheckRow(BaseModel):
    """One link of the chain."""

    name: str = Field(description="which link, such as etherstub, address, gateway edge NAT")
    object: str = Field(description="what it is about")
    state: Literal["ok", "broken", "unknown", "not applicable"] = Field(
        description="unknown: it could not be looked at"
    )
    text: str = Field(description="for people")
    cure: str = Field("", description="the way out; of broken links only")


class CheckReply(BaseModel):
    """`zonehookctl check`: the links in the order in which they rest on each other."""

    zone: str = Field(description="whose chain it is")
    text: str = Field(description="on one line: the first broken link, or that all is well")
    cure: str = Field("", description="of the first broken link")
    broken: bool = Field(description="whether any link is")
    links: list[CheckRow] = Field(description="every link")


class HopRow(BaseModel):
    """One decision on the way of a packet."""

    way: Literal["there", "back"] = Field(description="back: of the answer")
    at: str = Field(description="in which zone; (outside) for beyond the uplinks")
    what: str = Field(description="zone, link, address, route, nat, forwarding, wire, proxy or outside")
    state: Literal["ok", "broken", "unknown"] = Field(description="unknown: it could not be looked at, or is not ours")
    text: str = Field(description="for people")
    rule: str = Field("", description="what decides, as the host prints it")
    cure: str = Field("", description="the way out; of a broken hop only")


class TraceReply(BaseModel):
    """`zonehookctl trace`."""

    a: str = Field(description="from whom")
    b: str = Field(description="to whom")
    packet: str = Field(description="what was followed: source, destination, port")
    reachable: bool = Field(description="whether no hop is broken")
    sure: bool = Field(description="whether every hop was seen; beyond the outer side none is")
    text: str = Field(description="on one line: it arrives, or the hop where it ends")
    cure: str = Field("", description="of the broken hop")
    hops: list[HopRow] = Field(description="there, and back")


class ExplainReply(BaseModel):
    """`zonehookctl explain`."""

    zone: str = Field(description="which one")
    state: str = Field(description="as zoneadm says, or absent")
    text: str = Field(description="on one line: the first broken link, or that all is well")
    cure: str = Field("", description="of the first broken link")
    zonepath: str = Field(description="where its files are")
    nics: list[dict[str, Any]] = Field(description="its NICs, as they are placed")
    records: list[dict[str, Any]] = Field(description="what our books say we made for it")
    last: SubjectRow | None = Field(description="what became of the last look; null: there was none")
    now: SubjectRow | None = Field(description="what a look now would do")
    routes: RoutesReply = Field(description="what it serves through a proxy, and what is refused")
