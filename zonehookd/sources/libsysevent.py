"""The zone channel through libsysevent, one layer below libzonecfg (zones sheet 2.6). Every call here may block.

Signatures are those of illumos-gate: usr/src/uts/common/sys/sysevent.h and usr/src/lib/libsysevent/libevchannel.c
(`sysevent_evc_*` return 0 or an errno value; a subscriber id has at most 15 characters; no EVCH_SUB_KEEP is asked for),
usr/src/lib/libsysevent/libsysevent.[ch] (`sysevent_get_*`: a name lies in the event; an attribute list is a copy, to be
freed, and NULL where there are none) and usr/src/uts/common/sys/nvpair.h (`nvlist_*`: a string lies in the list). What
is subscribed to, and the names of the attributes: zones sheet 2.1.

No heartbeat: a ping of ours would be taken as its own by a handle of libzonecfg that hangs in the same process (zones
sheet 2.5), which is the case that this is here for.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable

from zonehookd.sources.foreign import Foreign
from zonehookd.sources.inbox import Inbox
from zonehookd.sources.source import Unavailable

LIBRARY = "libsysevent.so.1"
LISTS = "libnvpair.so.1"
_CHANNEL, _CLASS, _SUBCLASS = b"com.sun:zones:status", b"status", b"change"
_NO_FLAGS = 0  # no EVCH_CREAT: without the kernel's channel there is nothing to hear; no EVCH_SUB_KEEP: see the sheet
_NEVER = (errno.EPERM, errno.EACCES, errno.ENOENT)  # not root; not the global zone
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)  # event, cookie


class Libsysevent(Foreign):
    name = "libsysevent"

    def __init__(self, library: str = LIBRARY, lists: str = LISTS) -> None:
        super().__init__(library)
        self._lists = lists
        self._calls: ctypes.CDLL | None = None
        self._channel = ctypes.c_void_p()
        self._id = f"zonehook_{os.getpid() % 1_000_000}".encode()

    def open(self, inbox: Inbox) -> None:
        """From now on events arrive. Raises Unavailable, or OSError when it may go another time (32 subscribers)."""
        self.check()
        self._calls, asked, lists = self._load()
        self.callback = _CALLBACK(_listener(inbox, asked, lists))
        _worked("sysevent_evc_bind", self._calls.sysevent_evc_bind(_CHANNEL, ctypes.byref(self._channel), _NO_FLAGS))
        try:
            subscribed = self._calls.sysevent_evc_subscribe(
                self._channel, self._id, _CLASS, self.callback, None, _NO_FLAGS
            )
            _worked("sysevent_evc_subscribe", subscribed)
        except BaseException:
            self.close()
            raise

    def beat(self) -> None:
        """There is none, see above: silence stays unexplained, and the poll finds what was lost."""

    def close(self) -> None:
        """Waits for a callback that runs; none comes afterwards. Does nothing when it is not open, or was abandoned."""
        if self._calls is not None and self._channel and not self.abandoned:
            self._calls.sysevent_evc_unsubscribe(self._channel, self._id)
            error = self._calls.sysevent_evc_unbind(self._channel)
            self._channel = ctypes.c_void_p()
            if error:  # it still has our callback
                self.abandon(f"sysevent_evc_unbind: {os.strerror(error)}")

    def _load(self) -> tuple[ctypes.CDLL, ctypes.PyDLL, ctypes.PyDLL]:
        """Calls that wait for callbacks, and calls from within one: those keep the interpreter's lock, for each time it
        is given away the callback may wait for it again."""
        try:
            calls, asked, lists = ctypes.CDLL(self.library), ctypes.PyDLL(self.library), ctypes.PyDLL(self._lists)
            pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32
            calls.sysevent_evc_bind.argtypes = [text, ctypes.POINTER(pointer), number]
            calls.sysevent_evc_subscribe.argtypes = [pointer, text, text, _CALLBACK, pointer, number]
            calls.sysevent_evc_unsubscribe.argtypes = [pointer, text]
            calls.sysevent_evc_unbind.argtypes = [pointer]
            asked.sysevent_get_subclass_name.argtypes = [pointer]
            asked.sysevent_get_subclass_name.restype = text
            asked.sysevent_get_attr_list.argtypes = [pointer, ctypes.POINTER(pointer)]
            lists.nvlist_lookup_string.argtypes = [pointer, text, ctypes.POINTER(text)]
            lists.nvlist_free.argtypes = [pointer]
            lists.nvlist_free.restype = None
        except (OSError, AttributeError) as problem:
            raise Unavailable(str(problem)) from problem
        return calls, asked, lists


def _listener(inbox: Inbox, asked: ctypes.PyDLL, lists: ctypes.PyDLL) -> Callable[[int, int], int]:
    def heard(event: int, cookie: int) -> int:
        try:
            if asked.sysevent_get_subclass_name(event) != _SUBCLASS:
                return 0  # somebody's ping
            attributes = ctypes.c_void_p()
            if asked.sysevent_get_attr_list(event, ctypes.byref(attributes)) or not attributes:
                return inbox.put(None, None)
            try:
                return inbox.put(_text(lists, attributes, b"zonename"), _text(lists, attributes, b"newstate"))
            finally:
                lists.nvlist_free(attributes)
        except Exception:
            return inbox.put(None, None)

    return heard


def _text(lists: ctypes.PyDLL, attributes: ctypes.c_void_p, name: bytes) -> bytes | None:
    """A copy: the original goes with the list."""
    found = ctypes.c_char_p()
    return found.value if lists.nvlist_lookup_string(attributes, name, ctypes.byref(found)) == 0 else None


def _worked(what: str, error: int) -> None:
    if error in _NEVER:
        raise Unavailable(f"{what}: {os.strerror(error)}: not root, or not the global zone")
    if error:
        raise OSError(error, f"{what}: {os.strerror(error)}")
