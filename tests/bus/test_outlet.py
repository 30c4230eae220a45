"""One socket of the event stream: whoever subscribes and leaves all the time does not keep the loop from others."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import zmq

from zonehookd.bus.announcements import PULSE
from zonehookd.bus.outlet import _TOGETHER_MAX, Outlet

TIMES = 5 * _TOGETHER_MAX
PATIENCE_S = 60.0


def test_who_comes_and_goes_all_the_time_takes_his_turns(tmp_path: Path) -> None:
    turn, joined_in = 0, Counter[int]()

    def joined() -> None:
        joined_in[turn] += 1

    async def story() -> None:
        nonlocal turn
        with zmq.Context() as ours, zmq.Context() as theirs:
            outlet = Outlet(ours, 100, joined)
            endpoint = f"ipc://{tmp_path / 'events.sock'}"
            outlet.socket.bind(endpoint)
            with theirs.socket(zmq.XSUB) as restless:
                restless.setsockopt(zmq.LINGER, 0)
                restless.connect(endpoint)
                for _ in range(TIMES):
                    for word in (b"\x01", b"\x00"):
                        restless.send(word + PULSE.encode())
                outlet.watch(asyncio.get_running_loop())
                async with asyncio.timeout(PATIENCE_S):
                    while sum(joined_in.values()) < TIMES:
                        turn += 1
                        await asyncio.sleep(0)
                    while outlet.subscribers:
                        await asyncio.sleep(0)
            outlet.close(linger_ms=0)

    asyncio.run(story())
    assert max(joined_in.values()) <= _TOGETHER_MAX
