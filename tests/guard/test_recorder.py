"""When the file is written that answers without the daemon."""

from __future__ import annotations

import asyncio

from fixtures import Admin
from paper_guard import Guarded

from zonehookd.guard.standing import NAME, read
from zonehookd.model.record import KEPT


def test_what_a_step_kept_is_in_it_before_the_next_full_look(guarded: Guarded, admin: Admin) -> None:
    """A gateway renamed after that, while nobody runs, is known by its files."""
    record = guarded.ours.store.one(KEPT, "edge")
    assert record is not None
    site, path = guarded.ours.survey.site, guarded.state / NAME
    assert site is not None

    async def files(there: str) -> None:
        async with asyncio.timeout(60.0):
            while not path.exists() or read(path).gateways["edge"].files != there:
                await asyncio.sleep(0.01)

    async def kept_in_between() -> None:
        running = asyncio.create_task(guarded.guard.run())
        await files("/zones/edge")
        guarded.ours.store.forget(record.kind, record.name)
        guarded.guard.looked(site, 0.0, False, 0, 0)
        await files("")
        guarded.ours.store.remember(record)
        guarded.guard.looked(site, 0.0, False, 0, 0)
        await files("/zones/edge")
        running.cancel()

    asyncio.run(kept_in_between())
