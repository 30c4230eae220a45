"""The zone channel through libzonecfg's private interface (zones sheet 2.5). Every call here may block.

Calls are made from one thread, for the critical section is a mutex. The handle is never touched again after a call that
did not return: `unbind` would end the process, and a second handle beside it can trip an assertion (zones sheet 2.5).
"""

from __future__ import annotations

import ctypes

from zonehookd.sources.foreign import Foreign
from zonehookd.sources.inbox import Inbox
from zonehookd.sources.source import Unavailable

LIBRARY = "libzonecfg.so.1"
_ROUNDS_MAX = 3  # of one critical section
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_longlong, ctypes.c_void_p
)  # name, zone id, new state, old state, when, cookie: the new state comes first


class Libzonecfg(Foreign):
    name = "libzonecfg"

    def __init__(self, library: str = LIBRARY) -> None:
        super().__init__(library)
        self._calls: ctypes.CDLL | None = None
        self._handle: int | None = None

    def open(self, inbox: Inbox) -> None:
        """From now on events arrive. Raises Unavailable: no such library, or it says no without a reason."""
        self.check()
        self._calls = calls = self._load()
        self.callback = _CALLBACK(lambda name, zoneid, new, old, when, cookie: inbox.put(name, new))
        self._handle = calls.zonecfg_notify_bind(self.callback, None)
        if not self._handle:
            raise Unavailable("zonecfg_notify_bind failed: not root, not the global zone, or 32 subscribers already")

    def beat(self) -> bool:
        """The ping of an empty critical section: returns once everything queued before has been delivered.

        True: events came meanwhile, and were thrown away. Look at whatever changed *after* this has returned, for until
        then more are thrown away. It never returns when the ping is lost.
        """
        assert self._calls is not None and self._handle
        self._calls.zonecfg_notify_critical_enter(self._handle)
        for rounds in range(_ROUNDS_MAX):
            if not self._calls.zonecfg_notify_critical_exit(self._handle):
                return rounds > 0
        self._calls.zonecfg_notify_critical_abort(self._handle)
        return True

    def close(self) -> None:
        """Waits for a callback that runs; none comes afterwards. Does nothing when it is not open, or was abandoned."""
        if self._calls is not None and self._handle and not self.abandoned:
            self._calls.zonecfg_notify_unbind(self._handle)
            self._handle = None

    def _load(self) -> ctypes.CDLL:
        try:
            calls = ctypes.CDLL(self.library)
            calls.zonecfg_notify_bind.restype = ctypes.c_void_p
            calls.zonecfg_notify_bind.argtypes = [_CALLBACK, ctypes.c_void_p]
            calls.zonecfg_notify_critical_exit.restype = ctypes.c_int
            calls.zonecfg_notify_critical_exit.argtypes = [ctypes.c_void_p]
            for name in ("unbind", "critical_enter", "critical_abort"):
                function = getattr(calls, f"zonecfg_notify_{name}")
                function.restype = None
                function.argtypes = [ctypes.c_void_p]
        except (OSError, AttributeError) as problem:
            raise Unavailable(f"{self.library}: {problem}") from problem
        return calls
