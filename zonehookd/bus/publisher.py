"""The event stream: every hint, look and outcome, for whoever subscribes. A slow subscriber loses only its own, and is
told so: announcements are numbered, and the pulse says how far the numbers have come.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import zmq
import zmq.asyncio

from zonehookd.bus.announcements import (
    BODY_MAX_BYTES,
    PULSE,
    TOPICS,
    Announcement,
    BlindData,
    Data,
    EventData,
    LookData,
    OutcomeData,
    PulseData,
    SourceData,
)
from zonehookd.bus.control import Handler
from zonehookd.bus.key_messages import KeysReply
from zonehookd.bus.messages import Request
from zonehookd.bus.outlet import Outlet
from zonehookd.bus.remote import Remote
from zonehookd.bus.views import outcome_row
from zonehookd.engine.site import Site
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result

QUEUE, PULSE_S = 10_000, 5.0
HEARD_BY = ("event_subscribers", "event_subscribers_refused_total")  # metrics
_TOGETHER_S = 0.02  # who joins within it shares one pulse: nobody can make us say more than 50 a second


class Publisher:
    """A Listener and a SourceListener. The socket file is made in a folder only the owner can enter; `remote` serves
    other hosts. Nothing here waits: what cannot be sent to a subscriber is his loss.
    """

    def __init__(
        self,
        context: zmq.asyncio.Context,
        path: Path,
        *,
        queue: int = QUEUE,
        pulse_s: float = PULSE_S,
        remote: Remote | None = None,
    ) -> None:
        self.epoch = secrets.token_hex(8)
        self._seq = dict.fromkeys(TOPICS, 0)
        self._pulse_s = pulse_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._soon: asyncio.TimerHandle | None = None
        self._local = Outlet(zmq.Context.shadow(context.underlying), queue, self._joined)
        self.path = path
        self.bind()
        self._remote = remote

    def bind(self) -> None:
        """Makes the socket file; who subscribed by a former one stays so. Raises zmq.ZMQError, OSError."""
        self._local.socket.bind(f"ipc://{self.path}")
        self.path.chmod(0o600)

    async def run(self) -> None:
        """The pulse, and the doors: nobody is served over TCP before this runs."""
        self._loop = asyncio.get_running_loop()
        self._local.watch(self._loop)
        if self._remote is not None:
            self._remote.open(self._loop, self._joined)
        while True:
            self._pulse()
            await asyncio.sleep(self._pulse_s)

    def close(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
        if self._remote is not None:
            self._remote.close()
        self._local.close()

    def say(self, data: Data) -> None:
        topic = data.topic
        self._seq[topic] += 1
        body = self._body(topic, data)
        if len(body) > BODY_MAX_BYTES:
            body = self._body(topic, data.short())
        frames = [topic.encode(), body]
        self._local.send(frames)
        if self._remote is not None:
            self._remote.send(frames)

    def _body(self, topic: str, data: Data) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        told = data.model_dump(mode="json")
        message = Announcement(topic=topic, time=now, epoch=self.epoch, seq=self._seq[topic], data=told)
        return message.model_dump_json().encode()

    def _joined(self) -> None:
        """At once, but from the loop: we are in the middle of a send, perhaps of a pulse."""
        if self._loop is not None and self._soon is None:
            self._soon = self._loop.call_later(_TOGETHER_S, self._pulse)

    def _pulse(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        latest = {topic: seq for topic, seq in self._seq.items() if topic != PULSE}
        self.say(PulseData(seq=latest, every_s=self._pulse_s))

    # -- asked

    def handlers(self) -> dict[str, Handler]:
        return {"keys": self.keys}

    async def keys(self, request: Request) -> KeysReply:
        return self.take_keys()

    def take_keys(self) -> KeysReply:
        """The folder of keys is read anew; whose key went is cut off. Raises ConfigError: then the keys stay as
        they were."""
        if self._remote is None:
            return KeysReply(listen="", clients=[], ended=False)
        ended = self._remote.take()
        return KeysReply(listen=self._remote.listen, clients=self._remote.clients, ended=ended)

    def numbers(self) -> Mapping[str, Mapping[tuple[str, ...], float]]:
        """The metrics HEARD_BY: name -> labels -> number. Called from another thread."""
        far = (self._remote.subscribers, self._remote.refused) if self._remote is not None else (0, 0)
        heard, refused = HEARD_BY
        return {heard: {("ipc",): self._local.subscribers, ("tcp",): far[0]}, refused: {(): far[1]}}

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        if event.kind not in ("poll", "subscribed"):
            self.say(EventData(source=event.source, kind=event.kind, zone=event.zone, change=event.change))

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        if planned:
            self.say(LookData(seconds=round(seconds, 6), full=full, planned=planned))

    def blind(self, error: str) -> None:
        self.say(BlindData(error=error))

    def ended(self, outcome: Outcome) -> None:
        if outcome.result is not Result.NOOP:
            took = {"seconds": round(outcome.seconds, 6), "waited_s": round(outcome.waited_s, 6)}
            row = {**outcome_row(outcome).model_dump(), **outcome.correlation.fields()}
            self.say(OutcomeData.model_validate({**row, **took}))

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    def source_up(self, name: str, text: str) -> None:
        self.say(SourceData(name=name, up=True, by=text))

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.say(SourceData(name=name, up=False, reason=reason))
