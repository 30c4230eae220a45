"""Who wants to hear. The engine defines the shape; metrics, publisher and log fit it; `daemon.py` joins them."""

from __future__ import annotations

from typing import Protocol

from zonehookd.engine.site import Site
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome


class Listener(Protocol):
    def hinted(self, event: Event, new: bool) -> None:
        """An event came in; `new` False: it only joined others that wait."""

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        """A look is over; `unannounced` zones had changed without any event saying so."""

    def blind(self, error: str) -> None:
        """A whole look failed: nothing was planned."""

    def ended(self, outcome: Outcome) -> None: ...

    def queued(self, waiting: int, oldest_s: float, working: int) -> None: ...
