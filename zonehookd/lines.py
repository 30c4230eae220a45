"""The log: one canonical line per subject and look that did something or could not, and what somebody was permitted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from zonehookd.engine.site import Site
from zonehookd.host.audit import Audit
from zonehookd.model import subject
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone


class Lines:
    """A Listener; `logger` is structlog's."""

    def __init__(self, logger: Any) -> None:
        self._log = logger
        self._site: Site | None = None
        self._unread: Mapping[str, str] = {}
        self._uninstalled: set[Subject] = set()

    def lost(self, gateways: Collection[str]) -> None:
        for name in sorted(gateways):
            zone = self._site.zones.get(name) if self._site is not None else None
            hint = zone.trouble.rpartition(" (hint: ")[2].removesuffix(")") if zone is not None else ""
            self._log.error("gateway lost: its configuration was deleted", gateway=name, hint=hint)

    def used_up(self, gateway: str) -> None:
        hint = f"zonehookctl guard restore {gateway}"
        self._log.warning("gateway not restored by itself any more for now", gateway=gateway, hint=hint)

    def hinted(self, event: Event, new: bool) -> None:
        self._log.debug("hint", source=event.source, kind=event.kind, zone=event.zone, change=event.change)

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self._log.debug("look", planned=planned, full=full, seconds=round(seconds, 4))
        if site is not self._site:
            self._site = site
            self._read_or_not(site.zones)

    def _read_or_not(self, zones: Mapping[str, Zone]) -> None:
        """Once when it begins, or when something else is wrong, and once when it is over."""
        unread = {zone.name: zone.trouble for zone in zones.values() if zone.unread}
        before, self._unread = self._unread, unread
        for name in sorted(unread):
            if before.get(name) != unread[name]:
                self._log.warning("zone cannot be read, and is left as it is", zone=name, error=unread[name])
        for name in sorted(before.keys() - unread.keys()):
            if name in zones and not zones[name].absent:
                self._log.info("zone can be read again", zone=name)

    def blind(self, error: str) -> None:
        self._log.error("cannot look", error=error)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    def _installed_or_not(self, outcome: Outcome) -> None:
        """Once when a gateway has been uninstalled."""
        notes = [note for note in outcome.notes if note.code == "gateway-uninstalled"]
        if notes and outcome.subject not in self._uninstalled:
            name, text, hint = outcome.subject.name, notes[0].text, notes[0].hint
            self._log.error("gateway lost: what was installed in it is gone", gateway=name, error=text, hint=hint)
        (self._uninstalled.add if notes else self._uninstalled.discard)(outcome.subject)

    def ended(self, outcome: Outcome) -> None:
        self._installed_or_not(outcome)
        if outcome.result is Result.NOOP:
            return
        say = self._log.info if outcome.result is Result.CHANGED else self._log.warning
        say(
            outcome.result.value,
            **{outcome.subject.kind: outcome.subject.name},
            steps=sum(done.ok for done in outcome.steps),
            seconds=round(outcome.seconds, 4),
            waited_s=round(outcome.waited_s, 4),
            **outcome.correlation.fields(),
            **({"heard": outcome.correlation.heard} if outcome.correlation.heard else {}),
            **({"error": outcome.error} if outcome.error else {}),
        )


def given_leave(logger: Any, audit: Audit, what: str, name: str, why: str, zones: Collection[str]) -> None:
    """`what` was permitted or asked for, of a zone or of ``network/NETWORK``; `zones` are cut off by it."""
    logger.warning(what, of=name, why=why, cuts_off=sorted(zones))
    about = subject.network(name.partition("/")[2]) if "/" in name else subject.zone(name)
    said = (what, name, *sorted(zones))
    audit.write(said, kind="guard", why=why, subject=about, stdin="", status=0, seconds=0.0, error="")
