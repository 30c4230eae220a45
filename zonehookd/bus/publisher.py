"""The event socket: every hint, look and outcome, for whoever subscribes. A slow subscriber loses only its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio

from zonehookd.bus.messages import Announcement
from zonehookd.bus.views import outcome_row
from zonehookd.engine.site import Site
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result

_HIGH_WATER = 10_000  # messages kept for one slow subscriber before it loses some


class Publisher:
    """A Listener and a SourceListener. The socket file is made in a folder only the owner can enter."""

    def __init__(self, context: zmq.asyncio.Context, path: Path) -> None:
        self._socket = context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, 100)
        self._socket.bind(f"ipc://{path}")
        path.chmod(0o600)

    def close(self) -> None:
        self._socket.close()

    def say(self, topic: str, data: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        message = Announcement.model_validate({"topic": topic, "time": now, "data": data})
        self._socket.send_multipart([topic.encode(), message.model_dump_json().encode()], zmq.NOBLOCK)

    def hinted(self, event: Event, new: bool) -> None:
        if event.kind not in ("poll", "subscribed"):
            data = {"source": event.source, "kind": event.kind, "zone": event.zone, "change": event.change}
            self.say("event", data)

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        if planned:
            self.say("look", {"seconds": round(seconds, 6), "full": full, "planned": planned})

    def blind(self, error: str) -> None:
        self.say("blind", {"error": error})

    def ended(self, outcome: Outcome) -> None:
        if outcome.result is not Result.NOOP:
            row = {**outcome_row(outcome).model_dump(), **outcome.correlation.fields()}
            self.say("outcome", {**row, "seconds": round(outcome.seconds, 6), "waited_s": round(outcome.waited_s, 6)})

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    def source_up(self, name: str, text: str) -> None:
        self.say("source", {"name": name, "up": True, "by": text})

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.say("source", {"name": name, "up": False, "reason": reason})
