"""The kernel's zone event channel, `com.sun:zones:status` [zones 2.1].

An event occupies a slot until *every* subscriber has consumed it; when 2000 wait, the next is dropped without a word.
The kernel publishes *before* it stores the new status, so `publish` is called first and the status is set after it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

DEPTH = 2000  # EVCH_DEFAULT_EVENTS [zones 2.6]
SUBSCRIBERS = 32


@dataclass(frozen=True)
class ZoneEvent:
    zonename: str
    newstate: str  # uninitialized | initialized | ready | running | shutting_down
    oldstate: str
    zoneid: int
    when_ns: int  # gethrtime(): monotonic
    subclass: str = "change"  # libzonecfg users add "ping"


@dataclass
class Subscription:
    """One subscriber. `next` waits for an event, `consumed` frees its slot."""

    channel: Channel
    pending: deque[ZoneEvent] = field(default_factory=deque)

    def next(self, timeout: float | None = None) -> ZoneEvent | None:
        """The oldest pending event, still occupying its slot; None when `timeout` seconds pass without one."""
        with self.channel.changed:
            self.channel.changed.wait_for(lambda: self.pending, timeout)
            return self.pending[0] if self.pending else None

    def consumed(self) -> None:
        with self.channel.changed:
            self.pending.popleft()


class Channel:
    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.subscriptions: list[Subscription] = []
        self.dropped = 0
        self.published = 0
        self.drop_all = False  # a scripted fault: every event is lost

    def subscribe(self) -> Subscription | None:
        """None when the channel has its 32 subscribers."""
        with self.changed:
            if len(self.subscriptions) >= SUBSCRIBERS:
                return None
            subscription = Subscription(self)
            self.subscriptions.append(subscription)
            return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        with self.changed:
            if subscription in self.subscriptions:
                self.subscriptions.remove(subscription)

    def publish(self, zonename: str, newstate: str, oldstate: str, zoneid: int, subclass: str = "change") -> bool:
        """False when the event was dropped. Never waits: the kernel does not either."""
        event = ZoneEvent(zonename, newstate, oldstate, zoneid, time.monotonic_ns(), subclass)
        with self.changed:
            self.published += 1
            waiting = max((len(each.pending) for each in self.subscriptions), default=0)
            if self.drop_all or waiting >= DEPTH:
                self.dropped += 1
                return False
            for each in self.subscriptions:
                each.pending.append(event)
            self.changed.notify_all()
            return True
