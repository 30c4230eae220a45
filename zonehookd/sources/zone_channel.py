"""The kernel's zone status channel, through libzonecfg's private interface (zones sheet 2.1, 2.5).

The callback runs on a thread of libsysevent and must return in microseconds: a subscriber that stalls loses events for
every subscriber of the host (2.6). It stores one word and wakes the loop; the last few words of each zone are kept, so
the store is bounded by the number of zones.

An event comes *before* the state it announces can be seen (2.1), and may be the last one: so each is repeated a little
later, twice. The kernel may drop events without a word; the poll finds what was lost.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from zonehookd.model.event import Event
from zonehookd.sources.source import Unavailable

LIBRARY = "libzonecfg.so.1"
_STATES_MAX = 16  # of one zone, between two rounds of the loop
_ECHOES_S = (0.15, 1.5)  # when to look once more after an event
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_longlong, ctypes.c_void_p
)


class ZoneChannel:
    name = "zone-channel"

    def __init__(self, library: str = LIBRARY) -> None:
        self._library_name = library

    async def events(self) -> AsyncIterator[Event]:
        """Raises Unavailable where there is no such library or the channel cannot be bound (not root, not global)."""
        library = self._load()
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        lock = threading.Lock()
        pending: dict[str, deque[str]] = {}

        def heard(name: bytes, zoneid: int, new: bytes, old: bytes, when: int, cookie: Any) -> int:
            with lock:
                first = not pending
                states = pending.setdefault(name.decode(errors="replace"), deque(maxlen=_STATES_MAX))
                states.append(new.decode(errors="replace"))
            if first:
                loop.call_soon_threadsafe(arrived.set)
            return 0

        callback = _CALLBACK(heard)  # must outlive the binding
        handle = library.zonecfg_notify_bind(callback, None)
        if not handle:
            raise Unavailable("zonecfg_notify_bind failed: not root, not the global zone, or 32 subscribers already")
        try:
            yield Event(self.name, "subscribed")
            echoes: dict[str, list[float]] = {}
            while True:
                now = loop.time()
                due = min((at for times in echoes.values() for at in times), default=None)
                try:
                    async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                        await arrived.wait()
                except TimeoutError:
                    pass
                arrived.clear()
                with lock:
                    batch = dict(pending)
                    pending.clear()
                now = loop.time()
                for name, states in batch.items():
                    if name != "global":
                        echoes[name] = [now + pause for pause in _ECHOES_S]
                        for state in dict.fromkeys(states):
                            yield Event(self.name, state, zone=name)
                for name, times in list(echoes.items()):
                    later = [at for at in times if at > now]
                    if len(later) < len(times):
                        yield Event(self.name, "echo", zone=name)
                    if later:
                        echoes[name] = later
                    else:
                        del echoes[name]
        finally:
            # Unbind waits for a running callback, which may wait for the lock: never with the lock held.
            await asyncio.to_thread(library.zonecfg_notify_unbind, handle)
            del callback

    def _load(self) -> ctypes.CDLL:
        try:
            library = ctypes.CDLL(self._library_name)
            library.zonecfg_notify_bind.restype = ctypes.c_void_p
            library.zonecfg_notify_bind.argtypes = [_CALLBACK, ctypes.c_void_p]
            library.zonecfg_notify_unbind.restype = None
            library.zonecfg_notify_unbind.argtypes = [ctypes.c_void_p]
        except (OSError, AttributeError) as problem:
            raise Unavailable(f"{self._library_name}: {problem}") from problem
        return library
