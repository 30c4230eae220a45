"""Keeps a card per zone, well or ill: one word in a file says how it behaves, from its import on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import sys
import time
from pathlib import Path

from zonehookd.plugin import (
    Change,
    HostReader,
    Note,
    Plan,
    PluginOptions,
    Query,
    Record,
    Remember,
    RemoveFile,
    WriteFile,
    ZonePlugin,
    ZoneView,
    nothing,
)

_LONG_S = 3600
_MODE = Path("/var/chameleon/mode")
_SLEEP = "/bin/sleep"


def _how() -> str:
    return _MODE.read_text().strip() if _MODE.exists() else "good"


if _how() == "slow-start":
    time.sleep(_LONG_S)
if _how() == "dies-at-start":
    os.abort()
if _how() == "import-error":
    raise ImportError("there is no such thing")


class Chameleon(ZonePlugin[str | None]):
    name = "chameleon"
    after = ("vnic",) if _how() != "ring" else ("vnic", "chameleon")

    class Options(PluginOptions):
        cards: Path = Path("/var/chameleon/cards")
        colour: str = "green"

    options: Options

    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        match _how():
            case "hang":
                await asyncio.sleep(_LONG_S)
            case "deaf":
                ctypes.CDLL(None).signal(signal.SIGTERM, signal.SIG_IGN.value)  # from any thread
                time.sleep(_LONG_S)
            case "abort":
                os.abort()
            case "segfault":
                ctypes.string_at(0)
            case "exit":
                os._exit(0)
            case "sys-exit":
                sys.exit(3)
            case "child":
                _child(own_session=True)
            case "children":
                for _ in range(50):
                    _child(own_session=False)
                await asyncio.sleep(_LONG_S)
            case "flood":
                for _ in range(256):
                    os.write(1, b"x" * (1 << 20))
                    os.write(2, b"y\n" * (1 << 19))
            case "leak":
                _hoard()
            case "asks":
                for number in range(100_000):
                    await host.ask(Query(("/bin/echo", str(number)), lambda reply: reply.stdout))
            case "slow-command":
                await host.ask(Query((_SLEEP, str(_LONG_S)), lambda reply: reply.stdout))
            case "raises":
                raise RuntimeError("a bug of its own")
        return host.read_file(self._card(zone))

    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        match _how():
            case "spin":
                while True:
                    pass
            case "holds-the-lock":  # a match that never ends keeps every thread of the process from running
                re.match(r"(a+)+$", "a" * 64 + "b")
            case "many":
                return Plan(tuple(WriteFile(self._card(zone), str(n), "too many") for n in range(1_000_000)))
            case "big":
                return Plan((WriteFile(self._card(zone), "x" * (100 << 20), "too big"),))
            case "for-ever":
                return Plan((Change(("/bin/true",), "it claims to do something, and does nothing"),))
            case "theft":
                theirs = Record("vnic", f"{zone.zone.name}_0", zone.subject, "vnic")
                return Plan(
                    (Remember(theirs, "it shall be mine"), WriteFile(Path("/etc/stolen"), "x", "for all zones"))
                )
            case "slow-step":
                return Plan((Change((_SLEEP, str(_LONG_S)), "it takes its time", timeout_s=5.0),))
            case "bad-note":
                return Plan(notes=(Note("never", "this kind is not known"),))  # type: ignore[arg-type]
            case "no-plan":
                return "this is no plan"  # type: ignore[return-value]
        text = f"{self.options.colour} {zone.zone.name}\n"
        if zone.zone.absent:
            gone = RemoveFile(self._card(zone), "its zone is gone")
            return Plan((gone,)) if seen is not None else nothing("no card")
        if seen == text:
            return nothing("the card is right")
        return Plan((WriteFile(self._card(zone), text, "the card is missing or outdated"),))

    def _card(self, zone: ZoneView) -> Path:
        return self.options.cards / zone.zone.name


def _child(*, own_session: bool) -> None:
    """It keeps every pipe of ours open, and outlives us if it can."""
    if os.fork() == 0:
        if own_session:
            os.setsid()
        time.sleep(_LONG_S)
        os._exit(0)


def _hoard() -> None:
    kept = []
    while True:
        kept.append(bytearray(8 << 20))
        time.sleep(0.01)
