"""The socket to a worker: whoever fills it does not keep the loop from others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import zmq
import zmq.asyncio

from zonehookd.foreign.line import Line
from zonehookd.wire.messages import FromWorker, Ready

FRAMES = 300
PATIENCE_S = 60.0


def test_a_flood_of_messages_leaves_everybody_else_their_turns(tmp_path: Path) -> None:
    turns, taken_in = 0, list[int]()

    def take(frame: FromWorker) -> None:
        assert isinstance(frame, Ready)
        taken_in.append(turns)

    async def ticks() -> None:
        nonlocal turns
        while len(taken_in) < FRAMES:
            turns += 1
            await asyncio.sleep(0)

    async def story() -> None:
        with zmq.asyncio.Context() as ours, zmq.Context() as theirs:
            line = Line(ours, tmp_path / "line.sock", "")
            with theirs.socket(zmq.DEALER) as worker:
                worker.setsockopt(zmq.LINGER, 0)
                worker.connect(line.endpoint)
                for _ in range(FRAMES):
                    worker.send(Ready().model_dump_json().encode())
                reading = asyncio.ensure_future(line.read(take))
                async with asyncio.timeout(PATIENCE_S):
                    await ticks()
                assert not (tmp_path / "line.sock").exists(), "nobody else can connect"
                reading.cancel()
                await asyncio.wait([reading])
            line.close()

    asyncio.run(story())
    assert len(set(taken_in)) == FRAMES, "between any two messages the loop went round"
