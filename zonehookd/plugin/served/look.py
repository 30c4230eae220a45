"""Looking at a server: its files, its service, and what its own test says of a candidate that lies there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zonehookd.errors import CannotObserve, CommandNotFound
from zonehookd.host.doors import HostReader
from zonehookd.illumos import smf
from zonehookd.illumos.zlogin import GLOBAL, inside, must_succeed
from zonehookd.model.command import Query, Reply
from zonehookd.model.subject import Subject
from zonehookd.plugin import where as files_of
from zonehookd.plugin.served.book import KIND, Book
from zonehookd.plugin.served.server import ABSENT, Generation, Server, Wanted, digest

MAINTENANCE = "maintenance"
RUNS = ("online", "degraded")
_COMMAND_NOT_FOUND = 127  # the status of a shell, as `zlogin` runs one (zones sheet 7)
_LOG_LINES = 20
_SAID_LINES = 4
_SAID_MAX = 600


@dataclass(frozen=True, slots=True)
class Judged:
    """What the server's own test said of the candidate on disk. `fit`, or its words. `missing`: there is no such
    program to say anything."""

    fit: bool
    said: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """`files`: main, ours, candidates and data, by path; None: not there. `said`: the last words of a server that is in
    maintenance. `now_s`: wall clock."""

    subject: Subject
    plugin: str
    book: Book = field(default_factory=Book)
    service: smf.Service | None = None
    files: Mapping[Path, str | None] = field(default_factory=dict)
    settings: Mapping[str, smf.Property] = field(default_factory=dict)
    tested: Judged | None = None
    said: str = ""
    now_s: float = 0.0
    rivals: Mapping[str, frozenset[str]] = field(default_factory=dict)  # other servers of ours there, and their claims
    unseen: str = ""
    runs: str | None = None


async def observe(server: Server, wanted: Wanted | None, subject: Subject, plugin: str, host: HostReader) -> Seen:
    """Asks nothing at all where nothing is wanted and our books know of nothing.

    What cannot be seen is `unseen`, and nothing is planned: a main file in a foreign encoding must not keep a gateway
    from being set up.
    """
    try:
        return await _observe(server, wanted, subject, plugin, host)
    except CannotObserve as problem:
        return Seen(subject, plugin, unseen=str(problem))


async def _observe(server: Server, wanted: Wanted | None, subject: Subject, plugin: str, host: HostReader) -> Seen:
    record = next((each for each in host.recall(subject) if (each.kind, each.name) == (KIND, server.key)), None)
    book = Book.of(record)
    seen = Seen(subject, plugin, book, now_s=time.time())
    if wanted is None and record is None:
        return seen
    paths = (server.main, server.config, server.candidate, server.main_candidate, *server.data)
    services, files = await asyncio.gather(
        host.ask(smf.services(server.where, [server.fmri])), files_of.read_files(server.where, paths, host)
    )
    service = services.get(server.fmri)
    names = sorted({*book.before, *(wanted.settings if wanted else ())})
    settings: Mapping[str, smf.Property] = {}
    if names and service is not None:
        settings = await host.ask(smf.properties(server.where, server.fmri, *names))
    tested = None
    if _lies_there(server, ABSENT if wanted is None else wanted.generation(server), files):
        tested = await _judged(server, host)
    said = ""
    if service is not None and service.state == MAINTENANCE:
        said = await host.ask(last_words(server))
    runs = await _runs(server, book, service, files, host)
    told = server.reload.words if server.reload is not None else None
    if runs is not None and book.asked is not None and runs != book.asked.what.digest and told is not None:
        said = said or await host.ask(told)
    others = {each.name: Book.of(each).claims for each in host.recall_all(subject, KIND) if each.name != server.key}
    return Seen(subject, plugin, book, service, files, settings, tested, said, seen.now_s, others, runs=runs)


async def _judged(server: Server, host: HostReader) -> Judged:
    try:
        return await host.ask(test(server))
    except CannotObserve as problem:
        if isinstance(problem.__cause__, CommandNotFound):
            return Judged(False, missing=True)
        raise


async def _runs(
    server: Server, book: Book, service: smf.Service | None, files: Mapping[Path, str | None], host: HostReader
) -> str | None:
    if server.reload is None or service is None or service.state not in RUNS:
        return None
    main = files[server.main]
    try:
        if not book.exists and server.without_us(main) == main:
            return ""  # it never heard of us
    except ValueError:
        return None  # what is ours in there cannot be told, and nothing will be planned
    if not isinstance(server.reload.runs, Query):
        return server.reload.runs
    try:
        return await host.ask(server.reload.runs)
    except CannotObserve:
        return None


def _lies_there(server: Server, target: Generation, files: Mapping[Path, str | None]) -> bool:
    """The candidate on disk is what is wanted now: it was left by a test that failed, or by a crash."""
    try:
        main = server.main_for(target, files[server.main], server.candidate)
    except ValueError:
        return False
    there = server.whole or files[server.candidate] == target.config
    return there and files[server.main_candidate] == (main or "")


def test(server: Server) -> Query[Judged]:
    """The server's own test of the candidate. An exit status that is no verdict raises CannotObserve."""
    argv = inside(server.where, server.tested(server.main_candidate))

    def parse(reply: Reply) -> Judged:
        if reply.status in server.wrong:
            return Judged(False, words(server.heard(reply.stderr or reply.stdout)))
        if server.where != GLOBAL and reply.status == _COMMAND_NOT_FOUND and "not found" in reply.stderr:
            return Judged(False, missing=True)
        must_succeed(server.where, argv, reply)
        return Judged(True)

    return Query(argv, parse)


def last_words(server: Server) -> Query[str]:
    """What the service wrote into its log last, without the lines of the restarter itself (services sheet 3.8)."""
    service, _, instance = server.fmri.removeprefix("svc:/").rpartition(":")
    log = f"/var/svc/log/{service.replace('/', '-')}:{instance}.log"
    argv = inside(server.where, ("tail", f"-{_LOG_LINES}", log))

    def parse(reply: Reply) -> str:
        if reply.status != 0:  # it has no log yet
            return ""
        said = [line for line in reply.stdout.splitlines() if line.strip() and not line.startswith("[ ")]
        return words("\n".join(said[-_SAID_LINES:]))

    return Query(argv, parse)


def runs(server: Server, wanted: Wanted, seen: Seen) -> bool:
    """The server runs with just this, as far as was seen."""
    book, service = seen.book, seen.service
    return (
        service is not None
        and service.state in RUNS
        and not service.next_state
        and book.asked is None
        and book.contract == contract_of(service)
        and book.loaded.digest == wanted.generation(server).digest
        and (server.reload is None or seen.runs == book.loaded.digest)
        and book.data == digest(wanted.files(server))
    )


def contract_of(service: smf.Service) -> str:
    return "" if service.contract is None else str(service.contract)


def words(text: str) -> str:
    """On one line, and no longer than fits into a message."""
    said = " / ".join(line.strip() for line in text.splitlines() if line.strip())[:_SAID_MAX]
    return "".join(each if each.isprintable() else "?" for each in said)  # it may be read at a terminal
