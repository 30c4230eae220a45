"""The zone channel through libsysevent, one layer below libzonecfg (zones sheet 2.6). Every call here may block.

Signatures are those of illumos-gate: usr/src/uts/common/sys/sysevent.h and usr/src/lib/libsysevent/libevchannel.c
(`sysevent_evc_*` return 0 or an errno value; a subscriber id has at most 15 characters; no EVCH_SUB_KEEP is asked for),
usr/src/lib/libsysevent/libsysevent.[ch] (`sysevent_get_*`: a name lies in the event; an attribute list is a copy, to be
freed, and NULL where there are none) and usr/src/uts/common/sys/nvpair.h (`nvlist_*`: a string lies in the list). What
is listened to, and the names of the attributes: zones sheet 2.1.

The heartbeat is an event of ours, without attributes, in a class of its own: who listens to zones asks for class
`status`, and never sees it. One of libzonecfg's pings would be taken as its own by a handle of libzonecfg that hangs in
this process (zones sheet 2.5), which is the case that this is here for. So all classes are subscribed to, and the event
comes back the way that zones' events come: same queue, same door, same callback. Nothing here waits for ever, so a
channel that does not answer is closed in good order, and may be opened again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time
from collections.abc import Callable

from zonehookd.sources.foreign import Foreign
from zonehookd.sources.inbox import Inbox
from zonehookd.sources.source import Unavailable

LIBRARY = "libsysevent.so.1"
LISTS = "libnvpair.so.1"
_CHANNEL, _CLASS, _SUBCLASS = b"com.sun:zones:status", b"status", b"change"
_ALL = b"register_all_classes"  # EC_ALL of sys/sysevent.h
_OURS = b"zonehookd"
_MAY_SLEEP = 2  # EVCH_SLEEP, as libzonecfg has it: for memory. For a place in a full channel it does not: EAGAIN
_PATIENCE_S = 2.0  # for a place in the queue, then for the way back; both within the deadline that zone_channel.py sets
_GRACE_S = 0.5  # a process that was stopped finds the time over at once, and the event on its way
_AGAIN_S = 0.02
_NO_FLAGS = 0  # no EVCH_CREAT: without the kernel's channel there is nothing to hear; no EVCH_SUB_KEEP: see the sheet
_NEVER = (errno.EPERM, errno.EACCES, errno.ENOENT)  # not root; not the global zone
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)  # event, cookie


class Libsysevent(Foreign):
    name = "libsysevent"

    def __init__(self, library: str = LIBRARY, lists: str = LISTS, patience_s: float = _PATIENCE_S) -> None:
        super().__init__(library)
        self._lists = lists
        self._patience_s = patience_s
        self._beats = 0
        self._awaited = b""
        self._returned = threading.Event()
        self._calls: ctypes.CDLL | None = None
        self._channel = ctypes.c_void_p()
        self._id = f"zonehook_{os.getpid() % 1_000_000}".encode()

    def open(self, inbox: Inbox) -> None:
        """From now on events arrive. Raises Unavailable, or OSError when it may go another time (32 subscribers)."""
        self.check()
        self._calls, asked, lists = self._load()
        self.callback = _CALLBACK(_listener(inbox, self._came_back, asked, lists))
        _worked("sysevent_evc_bind", self._calls.sysevent_evc_bind(_CHANNEL, ctypes.byref(self._channel), _NO_FLAGS))
        try:
            subscribed = self._calls.sysevent_evc_subscribe(
                self._channel, self._id, _ALL, self.callback, None, _NO_FLAGS
            )
            _worked("sysevent_evc_subscribe", subscribed)
        except BaseException:
            self.close()
            raise

    def beat(self) -> bool:
        """Returns when an event of ours has come back, and everything queued before it has been delivered.

        True: the channel was full for a while, so events were thrown away. Raises OSError when it stays full, or when
        nothing comes back.
        """
        assert self._calls is not None and self._channel
        self._beats += 1
        self._awaited = word = b"%s_%d" % (self._id, self._beats)
        self._returned.clear()
        waited, until = False, time.monotonic() + self._patience_s
        publish = self._calls.sysevent_evc_publish
        while error := publish(self._channel, _OURS, word, _OURS, self._id, None, _MAY_SLEEP):
            if error != errno.EAGAIN:
                raise OSError(error, f"sysevent_evc_publish: {os.strerror(error)}")
            if time.monotonic() > until:
                full = "the channel is full: a subscriber on this host does not take its events"
                raise OSError(error, f"sysevent_evc_publish: {full}")
            waited = True
            time.sleep(_AGAIN_S)
        if not any(self._returned.wait(seconds) for seconds in (self._patience_s, _GRACE_S)):
            raise OSError(errno.ETIME, f"sysevent_evc_publish: nothing came back within {self._patience_s:g} s")
        return waited

    def _came_back(self, word: bytes | None) -> None:
        """Called by the callback."""
        if word == self._awaited:
            self._returned.set()

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
            calls.sysevent_evc_publish.argtypes = [pointer, text, text, text, text, pointer, number]
            asked.sysevent_get_class_name.argtypes = [pointer]
            asked.sysevent_get_class_name.restype = text
            asked.sysevent_get_subclass_name.argtypes = [pointer]
            asked.sysevent_get_subclass_name.restype = text
            asked.sysevent_get_attr_list.argtypes = [pointer, ctypes.POINTER(pointer)]
            lists.nvlist_lookup_string.argtypes = [pointer, text, ctypes.POINTER(text)]
            lists.nvlist_free.argtypes = [pointer]
            lists.nvlist_free.restype = None
        except (OSError, AttributeError) as problem:
            raise Unavailable(str(problem)) from problem
        return calls, asked, lists


def _listener(
    inbox: Inbox, came_back: Callable[[bytes | None], None], asked: ctypes.PyDLL, lists: ctypes.PyDLL
) -> Callable[[int, int], int]:
    def heard(event: int, cookie: int) -> int:
        try:
            name, word = asked.sysevent_get_class_name(event), asked.sysevent_get_subclass_name(event)
            if name == _OURS:
                came_back(word)
                return 0
            if (name, word) != (_CLASS, _SUBCLASS):
                return 0  # somebody's ping, or of no zone's state
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
