"""Our own libzonecfg and libsysevent, of the same ABI as the real ones, steered by tests."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

NATIVE = Path(__file__).with_name("native")
CHANGE, PING, BARE, NAMELESS, FOREIGN = range(5)
_FLAGS = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"]


class _Fake(ctypes.Structure):
    """`struct fake` of native/kernel.h, which says what each means."""

    _fields_ = [
        (name, ctypes.c_longlong)
        for name in (
            *("refuse", "refuse_sub", "lose_pings", "changes", "last_words", "no_memory", "stuck", "keep", "full"),
            *("calls", "again", "longest_ns", "total_ns", "slow", "thrown", "dropped", "pings"),
            *("binds", "unbinds", "bound", "lists", "strangers", "trespasses"),
        )
    ]


class ForeignLibrary:
    """One library, loaded for one test: a copy is a library of its own, with its own state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls = ctypes.CDLL(str(path))
        self._calls.fake_publish.argtypes = [ctypes.c_char_p] * 3 + [ctypes.c_int] * 2
        self._calls.fake_flood.argtypes = [ctypes.c_long, ctypes.c_long]
        self._fake = _Fake.in_dll(self._calls, "fake")

    def set(self, **values: int) -> None:
        for name, value in values.items():
            setattr(self._fake, name, value)

    def __getitem__(self, name: str) -> int:
        value: int = getattr(self._fake, name)
        return value

    def publish(self, zone: str | bytes, new: str, old: str = "ready", zoneid: int = 1, kind: int = CHANGE) -> bool:
        name = zone if isinstance(zone, bytes) else zone.encode()
        return bool(self._calls.fake_publish(name, new.encode(), old.encode(), zoneid, kind))

    def flood(self, events: int, zones: int) -> None:
        """As fast as the callback returns."""
        assert self._calls.fake_flood(events, zones)

    def die(self) -> None:
        self._calls.fake_die()

    def timing(self) -> str:
        calls = max(1, self["calls"])
        mean_us, worst_us = self["total_ns"] / calls / 1e3, self["longest_ns"] / 1e3
        return f"{calls} callbacks, mean {mean_us:.1f} us, worst {worst_us:.0f} us, {self['slow']} over 10 ms"


def build(folder: Path) -> Path:
    for name in ("libzonecfg", "libsysevent"):
        subprocess.run(["cc", *_FLAGS, "-o", str(folder / f"{name}.so.1"), str(NATIVE / f"{name}.c")], check=True)
    return folder


def load(built: Path, name: str, folder: Path) -> ForeignLibrary:
    return ForeignLibrary(Path(shutil.copy(built / f"{name}.so.1", folder / f"{name}.so.1")))
