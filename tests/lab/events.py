"""The kernel's zone events on their way to native/libzonecfg.c.

The library connects, says "events", and is answered one letter: Y, or N when it may not subscribe. Then each event is a
u32 length and words; the library answers `c` (consumed) or `a` (EAGAIN: once more, please).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time

from lab.channel import Channel, Subscription, ZoneEvent
from lab.world import GLOBAL

REDELIVERY_DELAYS = (0.01, 0.02, 0.04)  # seconds; three more tries, each later than the last, then dropped [zones 2.5]
_WATCH_SECONDS = 0.2  # how late the death of an idle subscriber is noticed


def serve(connection: socket.socket, channel: Channel, zone: str, privileged: bool) -> None:
    """One subscriber, until it leaves. Only root, only in the global zone [zones 2.5]."""
    subscription = channel.subscribe() if zone == GLOBAL and privileged else None
    if subscription is None:
        connection.sendall(b"N")
        return
    try:
        connection.sendall(b"Y")
        while not _left(connection):
            event = subscription.next(_WATCH_SECONDS)
            if event is not None:
                _deliver(connection, subscription, event)
    except (ConnectionError, EOFError):
        pass
    finally:
        channel.unsubscribe(subscription)


def ping(connection: socket.socket, channel: Channel, zone: str, privileged: bool, pid: str) -> None:
    """zonecfg_notify_critical_exit publishes one: it comes back behind everything that was queued before."""
    if zone == GLOBAL and privileged:
        channel.publish("", "", "", int(pid), subclass="ping")
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"Y")


def _deliver(connection: socket.socket, subscription: Subscription, event: ZoneEvent) -> None:
    """The slot is freed once the callback has returned, or after the last try."""
    words = (event.zonename, event.newstate, event.oldstate, str(event.zoneid), str(event.when_ns), event.subclass)
    body = b"".join(word.encode() + b"\0" for word in words)
    for delay in (*REDELIVERY_DELAYS, None):
        connection.sendall(struct.pack("=I", len(body)) + body)
        answer = connection.recv(1)
        if not answer:
            raise EOFError
        if answer != b"a" or delay is None:
            break
        time.sleep(delay)
    subscription.consumed()


def _left(connection: socket.socket) -> bool:
    watch = select.poll()
    watch.register(connection, select.POLLRDHUP | select.POLLHUP)
    return bool(watch.poll(0))
