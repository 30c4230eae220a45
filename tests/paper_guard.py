"""The real guard over a paper engine: what the daemon joins, without its clock and its sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from paper import Engine, PaperCommands, T

from zonehookd.bus.messages import GuardedRow, Request
from zonehookd.config import GuardSection
from zonehookd.engine.survey import Survey
from zonehookd.errors import CommandTimedOut
from zonehookd.guard.answers import GuardAnswers
from zonehookd.guard.guard import Guard, Tools
from zonehookd.guard.standing import NAME, Standing, read
from zonehookd.host.process import Finished
from zonehookd.model.command import Change, Query
from zonehookd.model.event import Event
from zonehookd.model.gateway import Declaration
from zonehookd.model.guard import Verdict
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.subject import Subject


class Silent(PaperCommands):
    """One command hangs, until it is killed at its time limit."""

    silent: tuple[str, ...] = ()

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        if query_or_change.argv[: len(self.silent)] == self.silent:
            raise CommandTimedOut(query_or_change.argv, "was killed after 30 s")
        return await super().run(query_or_change, why=why, subject=subject)


def silence(ours: Engine, *command: str) -> None:
    """From now on; `ours.commands` as it was before makes it answer again."""
    ours.commands = commands = Silent(ours.world)
    commands.silent = command


class Guarded:
    """An engine and its guard. `heard`: every verdict; `lost`: each change of what is missed; `used_up`: who is not
    restored by itself any more; `said`: leave given."""

    def __init__(self, ours: Engine, **policy: Any) -> None:
        self.ours = ours
        self.policy = GuardSection(**policy)
        self.heard: list[Verdict] = []
        self.lost: list[Collection[str]] = []
        self.used_up: list[str] = []
        self.hints: list[Event] = []
        self.said: list[tuple[str, str, str, Collection[str]]] = []
        self.latest: dict[Subject, Outcome] = {}  # the paper engine keeps none
        self.state = ours.world.path(str(ours.config.paths.state))
        told = (lambda: self.policy, self.heard.append, self.lost.append, self.used_up.append)
        self.tools = Tools(self, ours._look, ours.store, ours.files, self.state, *told)
        self.guard = Guard(self.tools)
        self.guard.begin()
        self.answers = GuardAnswers(
            self.guard, self.tools, lambda *each: self.said.append(each), lambda brand: (False, "")
        )

    # -- what the guard needs of the dispatcher

    @property
    def declared(self) -> Declaration:
        return self.ours.declared

    @property
    def survey(self) -> Survey:
        return self.ours.survey

    def hint(self, event: Event) -> None:
        self.hints.append(event)

    async def settled(self) -> None:
        for _ in range(10):
            applied = await self.ours._apply()
            self.looked()
            if all(each.result is Result.NOOP for each in applied.values()):
                return

    # -- what the daemon does

    def look(self) -> None:
        self.ours.look()
        self.looked()

    def converge(self, rounds: int = 10) -> None:
        self.ours.converge(rounds)
        self.looked()

    def looked(self) -> None:
        assert self.ours.survey.site is not None
        self.guard.looked(self.ours.survey.site, 0.0, True, 0, 0)

    # -- what is asked

    def check(self, zone: str, operation: str = "uninstall") -> Verdict:
        return asyncio.run(self.guard.check(zone, operation))


def asked(guarded: Guarded, operation: str = "uninstall", zone: str = "edge") -> tuple[bool, str, list[str]]:
    """Whether it is allowed, the code, and NETWORK/ZONE of each dependent."""
    verdict = guarded.check(zone, operation)
    return verdict.allowed, verdict.code, [f"{each.network}/{each.zone}" for each in verdict.dependents]


def shown(guarded: Guarded) -> GuardedRow:
    """What `guard status` says of gateway edge."""
    answer = asyncio.run(guarded.answers.status(Request(verb="guard-status")))
    return next(row for row in answer.gateways if row.name == "edge")


def written(guarded: Guarded) -> dict[str, Standing]:
    """What the guard writes down by itself, once."""
    path = guarded.state / NAME
    path.unlink(missing_ok=True)

    async def once() -> None:
        keeping = asyncio.create_task(guarded.guard.run())
        guarded.guard.refresh()
        async with asyncio.timeout(60.0):
            while not path.exists():
                await asyncio.sleep(0.01)
        keeping.cancel()

    asyncio.run(once())
    return dict(read(path).gateways)


FREE = (True, "no-dependents", [])
