"""What `zonehookctl timeline`, `check`, `trace` and `explain` ask. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from zonehookd.bus import views as rows
from zonehookd.bus.control import Handler
from zonehookd.bus.messages import Request
from zonehookd.bus.route_messages import RoutesReply
from zonehookd.bus.trace_messages import (
    CheckReply,
    CheckRow,
    EntryRow,
    ExplainReply,
    HopRow,
    TimelineReply,
    TraceReply,
)
from zonehookd.engine import views
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey
from zonehookd.errors import NotFound
from zonehookd.model import subject
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome
from zonehookd.model.record import HOOK
from zonehookd.model.route import DRAIN, ROUTE
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.store.store import Store
from zonehookd.tracing.checklist import Checklist
from zonehookd.tracing.facts import Facts
from zonehookd.tracing.links import Link, first_broken
from zonehookd.tracing.timeline import Entry, Timeline
from zonehookd.tracing.trace import trace
from zonehookd.tracing.walk import APPLY

_ITS_OWN = ("link", "address", "protection", "route")  # links of the chain that steps for the zone itself are about


class Heart(Protocol):
    """What of the dispatcher this needs."""

    survey: Survey
    latest: dict[Subject, Outcome]

    @property
    def at_work(self) -> Mapping[Subject, tuple[SubjectPlan, float]]: ...

    async def dry_run(
        self, declared: Declaration | None = None, look: Look | None = None
    ) -> tuple[Site, list[SubjectPlan]]: ...


class TraceAnswers:
    """`routes_of` says what a zone serves through proxies."""

    def __init__(
        self,
        dispatcher: Heart,
        make_look: Callable[[], Look],
        store: Store,
        timeline: Timeline,
        routes_of: Callable[[Site, str], RoutesReply],
    ) -> None:
        self._dispatcher = dispatcher
        self._make_look = make_look
        self._store = store
        self._timeline = timeline
        self._routes_of = routes_of

    def handlers(self) -> dict[str, Handler]:
        return {"timeline": self.timeline, "check": self.check, "trace": self.trace, "explain": self.explain}

    async def timeline(self, request: Request) -> TimelineReply:
        """Also of a zone that is gone, while anything is held of it."""
        name, site = request.zone or "", self._dispatcher.survey.site
        this = subject.zone(name)
        if not self._timeline.of(this) and (site is None or name not in site.zones):
            known = ", ".join(sorted(site.zones)) if site else ""
            raise NotFound(f"nothing is known of a zone {name!r}", hint=f"there are: {known or 'none'}")
        entries = sorted(self._entries(site, this), key=lambda row: row.at)
        return TimelineReply(
            zone=name, since=self._timeline.began_at, forgotten=self._timeline.forgotten(this), entries=entries
        )

    async def check(self, request: Request) -> CheckReply:
        look = self._make_look()
        site, plans = await self._dispatcher.dry_run(None, look)
        zone = _zone(site, request.zone or "")
        links = await Checklist(Facts(look, site), zone, plans).links()
        text, cure = _in_one_line(zone, links, self._in_its_way(zone))
        return CheckReply(
            zone=zone.name,
            text=text,
            cure=cure,
            broken=first_broken(links) is not None,
            links=[CheckRow(name=e.name, object=e.object, state=e.state, text=e.text, cure=e.cure) for e in links],
        )

    async def trace(self, request: Request) -> TraceReply:
        look = self._make_look()
        taken = await self._dispatcher.survey.take(look, self._declared(), time.monotonic())
        a, b = request.zone or "", request.target
        routes = self._store.of_kind(ROUTE)
        way = await trace(Facts(look, taken.site), routes, a, b, request.port, "udp" if request.udp else "tcp")
        return TraceReply(
            a=a,
            b=b,
            packet=str(way.packet),
            reachable=way.reachable,
            sure=way.sure,
            text=way.text,
            cure=way.cure,
            hops=[
                HopRow(way=h.way, at=h.at, what=h.what, state=h.state, text=h.text, rule=h.rule, cure=h.cure)
                for h in way.hops
            ],
        )

    async def explain(self, request: Request) -> ExplainReply:
        look = self._make_look()
        site, plans = await self._dispatcher.dry_run(None, look)
        zone = _zone(site, request.zone or "")
        links = await Checklist(Facts(look, site), zone, plans).links()
        text, cure = _in_one_line(zone, links, self._in_its_way(zone))
        name, this = zone.name, subject.zone(zone.name)
        placed = {each.link: rows.attachment_row(each) for each in site.of_zone(name).attachments}
        nics = [
            placed.get(nic.link, {"link": nic.link, "network": None, "addresses": [str(a) for a in nic.addresses]})
            for nic in (zone.config.nics if zone.config else ())
        ]
        last = self._dispatcher.latest.get(this)
        return ExplainReply(
            zone=name,
            state=zone.state.value,
            text=text,
            cure=cure,
            zonepath=zone.zonepath,
            nics=nics,
            records=[rows.record_row(record) for record in self._store.of(this) if record.kind not in (DRAIN, HOOK)],
            last=rows.outcome_row(last) if last else None,
            now=next((rows.plan_row(plan) for plan in plans if plan.subject == this), None),
            routes=self._routes_of(site, name),
        )

    def _in_its_way(self, zone: Zone) -> str:
        """What kept its last look from doing all it wanted to."""
        last = self._dispatcher.latest.get(subject.zone(zone.name))
        return last.error if last is not None else ""

    # -- the timeline's rows

    def _entries(self, site: Site | None, this: Subject) -> Iterator[EntryRow]:
        """Its own, and of what it needs those that belong to the same changes."""
        mine = self._timeline.of(this)
        yield from (_entry_row(this, each) for each in mine)
        ids = {each.change for each in mine} | {each.cause for each in mine}
        ids.discard("")
        for other in self._needs(site, this):
            for each in self._timeline.of(other):
                if each.change in ids or each.cause in ids:
                    yield _entry_row(other, each)
        for busy, (plan, began_s) in self._dispatcher.at_work.items():
            if busy == this or busy in self._needs(site, this):
                at = time.time() - (time.monotonic() - began_s)
                text = f"{len(plan.steps)} steps are being carried out"
                yield EntryRow(at=at, kind=busy.kind, name=busy.name, what="work", result="begun", text=text)

    @staticmethod
    def _needs(site: Site | None, this: Subject) -> Sequence[Subject]:
        """Its networks and gateways, outwards."""
        if site is None:
            return ()
        found = [each for each in views.related(site, this.name) if each != this]
        via = [each.name for each in found if each.kind == "gateway"]
        while via:
            gateway = site.gateways.get(via.pop())
            found += [subject.gateway(gateway.name), subject.zone(gateway.name)] if gateway else []
            if gateway is not None and gateway.outside is not None and gateway.outside.via:
                via.append(gateway.outside.via)
        return [each for each in dict.fromkeys(found) if each != this]

    def _declared(self) -> Declaration:
        site = self._dispatcher.survey.site
        return site.declared if site is not None else Declaration()


def _entry_row(each: Subject, entry: Entry) -> EntryRow:
    return EntryRow(
        at=round(entry.at, 6),
        kind=each.kind,
        name=each.name,
        what=entry.what,
        result=entry.result,
        text=entry.text,
        seconds=None if entry.seconds is None else round(entry.seconds, 6),
        change=entry.change,
        cause=entry.cause,
    )


def _zone(site: Site, name: str) -> Zone:
    """Also a gateway that is declared and not there: zones wait for it. Raises NotFound."""
    zone = site.zones.get(name)
    if zone is None and name in site.gateways:
        return Zone(name, ZoneState.ABSENT)
    if zone is None:
        there = ", ".join(sorted(each.name for each in site.zones.values() if not each.absent)) or "none"
        raise NotFound(f"there is no zone {name!r}", hint=f"there are: {there}")
    return zone


def _in_one_line(zone: Zone, links: Sequence[Link], in_its_way: str) -> tuple[str, str]:
    broken = first_broken(links)
    if broken is not None:
        if broken.name in _ITS_OWN and in_its_way and broken.cure == APPLY:
            broken = replace(broken, cure=f"it is mended by itself when this is no longer in its way: {in_its_way}")
        which = "" if broken.name == "zone" else f"{_named(broken, zone)}: "
        return f"zone {zone.name}: {which}{broken.text}", broken.cure
    unknown = [_named(each, zone) for each in links if each.state == "unknown"]
    if unknown:
        return f"zone {zone.name}: nothing is broken as far as can be seen; not seen: {'; '.join(unknown)}", ""
    return f"zone {zone.name}: all {sum(each.state == 'ok' for each in links)} links of the chain are well", ""


def _named(link: Link, zone: Zone) -> str:
    return link.name if link.object in (*link.name.split(), zone.name) else f"{link.name} {link.object}"
