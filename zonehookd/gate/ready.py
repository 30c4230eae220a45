"""A boot waits for its links: what is asked while zoneadmd holds the zone's lock (zones sheet 5.4, trap 24).

Mostly the last survey knows the zone as it is now, and its links are there: one look at them, and it may go on. Else
the engine looks after the zone first. It never waits here for a command that waits for the zone itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import NARROW_MAX, Look
from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve
from zonehookd.gate.server import Word
from zonehookd.illumos import dladm
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.outcome import Outcome, Result

_PATIENCE_S = 1.7  # of the two seconds that the gate has
_AGAIN_S = 0.05  # until the next try; twice as long each time
_REFUSALS_MAX = 8


class Ready:
    """`policy`: [guard] boot, for a zone whose links are not there in time."""

    def __init__(
        self, dispatcher: Dispatcher, make_look: Callable[[], Look], policy: Callable[[], Literal["allow", "deny"]]
    ) -> None:
        self._dispatcher = dispatcher
        self._make_look = make_look
        self._policy = policy

    async def before_ready(self, zone: str) -> Word:
        """Codes of what is allowed: ready, made (while it waited), not-attached; by policy: late, links-missing,
        unreadable, cannot-look. Never raises for what it cannot see."""
        lacking: list[str] | None = None
        code, why = "late", "it was not looked after in time"
        pause_s = _AGAIN_S
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if not self._in_trouble(zone):
                    lacking = await self._lacking(zone)
                    if lacking == []:
                        self._dispatcher.boots(zone)
                        return self._allowed(zone, "ready")
                while True:
                    await self._dispatcher.attended(zone)
                    lacking = await self._lacking(zone)
                    if lacking == []:
                        return self._allowed(zone, "made")
                    final = self._final(zone, lacking)
                    if final is not None:
                        code, why = final
                        break
                    await asyncio.sleep(pause_s)
                    pause_s *= 2
        except CannotObserve as problem:
            code, why = "cannot-look", str(problem)
        except TimeoutError:
            if lacking:
                why = "; ".join(lacking)
        return self._by_policy(zone, code, why)

    def _allowed(self, zone: str, code: str) -> Word:
        site = self._site
        attached = site.of_zone(zone) if site else None
        if attached is None or not (attached.attachments or attached.refusals):
            return Word(True, "not-attached")
        lines = [f"zonehookd: {refusal}" for refusal in attached.refusals[:_REFUSALS_MAX]]
        return Word(True, code, tuple(lines))

    def _by_policy(self, zone: str, code: str, why: str) -> Word:
        if self._policy() == "allow":
            return Word(True, code, (f"zonehookd: zone {zone} boots as it is: {why}",))
        hint = f"  zonehookctl explain {zone} says more; [guard] boot decides"
        return Word(False, code, (f"zonehookd: boot of zone {zone} is refused: {why}", hint))

    # -- what is known

    @property
    def _site(self) -> Site | None:
        return self._dispatcher.survey.site

    def _latest(self, zone: str) -> Outcome | None:
        return self._dispatcher.latest.get(subject.zone(zone))

    def _in_trouble(self, zone: str) -> bool:
        latest = self._latest(zone)
        if latest is None or latest.result not in (Result.NOOP, Result.CHANGED):
            return True
        return any(note.kind == "refused" for note in latest.notes)

    def _final(self, zone: str, lacking: list[str] | None) -> tuple[str, str] | None:
        """(code, why) when waiting longer would bring nothing."""
        site, latest = self._site, self._latest(zone)
        known = site.zones.get(zone) if site else None
        if known is not None and known.trouble:
            return "unreadable", known.trouble
        if lacking and latest is not None:
            idle = latest.result is Result.NOOP  # and what it waits for comes too late
            whys = [
                note.text
                for note in latest.notes
                if note.kind == "refused" or (idle and (note.again_after_s or 0.0) > _PATIENCE_S)
            ]
            if whys or latest.result is Result.STUCK:
                return "links-missing", "; ".join(whys or (*lacking, latest.error))
        return None

    async def _lacking(self, zone: str) -> list[str] | None:
        """What of the zone's links is not as it boots with; None: its present configuration was not seen yet. Raises
        CannotObserve."""
        survey, site = self._dispatcher.survey, self._site
        look = self._make_look()
        current = site is not None and site.declared is self._dispatcher.declared and survey.is_current(look, zone)
        if site is None or not current:
            return None
        wanted = [each for each in site.of_zone(zone).attachments if not each.leaving]
        look.wide = len(wanted) > NARROW_MAX
        found = await asyncio.gather(*(_wrong(each, look) for each in wanted))
        return [text for text in found if text]


async def _wrong(wanted: Attachment, look: Look) -> str:
    """What is wrong with the link of one NIC; empty: nothing."""
    name, over = wanted.link, wanted.network.link
    if wanted.to_add:
        return f"{name} is not in its configuration yet"
    if wanted.on_demand:  # the brand makes it next, over what must be there (zones sheet 6.3)
        return "" if await look.ask(dladm.link(over)) else f"{over} of network {wanted.network.name} is not there"
    vnic = await look.ask(dladm.vnic(name, look.dialect))
    if vnic is None:
        return f"{name} on network {wanted.network.name} is not there"
    if vnic.over != over or vnic.vlan != wanted.nic.vlan or (wanted.nic.mac and vnic.mac != wanted.nic.mac):
        return f"{name} is not as network {wanted.network.name} wants it"
    return ""
