"""Who is asked whether it answers, and when; what it says speaks for nobody else."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TypeVar

import pytest

from zonehookd.host.process import Finished
from zonehookd.illumos.probe import AT_ONCE_MAX, Answer, Probe, probes
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.subject import Subject
from zonehookd.sources.health import Health

T = TypeVar("T")
PATIENCE_S = 60.0
FIRST = ip_address("10.0.0.0")
UP = "".join(f"{number} up\n" for number in range(128))


def backends(count: int, ports: int = 1) -> list[Probe]:
    return [Probe(FIRST + number, 1000 + port) for number in range(count) for port in range(ports)]


class Zone:
    """Answers what it is asked with `reply` of the number of the question, after a while; counts who is asked."""

    def __init__(self, reply: Callable[[int], Reply], seconds: float) -> None:
        self.asked: Counter[str] = Counter()
        self.questions = 0
        self._reply, self._seconds = reply, seconds

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        self.questions += 1
        self.asked.update(line.split()[2] for line in query_or_change.stdin.splitlines())
        reply = self._reply(self.questions)
        await asyncio.sleep(self._seconds)
        return Finished(reply, self._seconds)


def silent(_: int) -> Reply:
    return Reply(0, "", "")


def listen(health: Health, until: Callable[[], object]) -> None:
    """It asks until that is so."""
    asyncio.run(_listen(health, until))


async def _listen(health: Health, until: Callable[[], object]) -> None:
    task = asyncio.create_task(_all(health))
    async with asyncio.timeout(PATIENCE_S):
        while not until():
            await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait([task])


def test_who_does_not_answer_keeps_nobody_else_waiting() -> None:
    zone = Zone(silent, 0.02)
    health = Health(zone, soon_s=0.005, later_s=0.2)
    health.answers("edge", [*backends(1, ports=1000), *backends(300)])
    listen(health, lambda: len(zone.asked) == 300)
    most = 1000 // AT_ONCE_MAX  # as many questions as that one alone could fill
    assert zone.questions < most, "all others are asked before the one with a thousand ports has had its way"


def test_who_is_well_is_asked_together_with_others() -> None:
    zone = Zone(lambda _: Reply(0, UP, ""), 0.001)
    health = Health(zone, soon_s=0.005, later_s=0.2)

    async def play() -> None:
        task = asyncio.create_task(_all(health))
        for count in range(1, 31):  # they come one by one
            health.answers("edge", backends(count))
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.2)
        before = zone.questions
        await asyncio.sleep(0.6)
        assert zone.questions - before <= 5, f"{zone.questions - before} commands for three rounds"
        task.cancel()

    asyncio.run(play())


async def _all(health: Health) -> None:
    async for _ in health.events():
        pass


def test_no_process_to_be_had_is_no_end_of_asking() -> None:
    def once(number: int) -> Reply:
        if number == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return Reply(0, UP, "")

    health = Health(Zone(once, 0.0), soon_s=0.01, later_s=0.2)
    health.answers("edge", backends(1))
    listen(health, lambda: health.answers("edge", backends(1)))
    assert health.answers("edge", backends(1)) == {backends(1)[0]: Answer(True, "takes connections")}
    assert health.trouble("edge") == ""


def test_who_ends_while_asking_asks_again_when_started_again() -> None:
    zone = Zone(lambda _: Reply(0, UP, ""), 0.1)
    health = Health(zone, soon_s=0.01, later_s=0.2)
    health.answers("edge", backends(1))

    async def play() -> None:
        await _listen(health, lambda: zone.questions)
        assert not health.answers("edge", backends(1)), "it ended in the middle"
        await _listen(health, lambda: health.answers("edge", backends(1)))

    asyncio.run(play())
    assert zone.questions >= 2


def test_the_trouble_of_a_zone_is_a_line_and_no_book() -> None:
    health = Health(Zone(lambda _: Reply(1, "", "\x1b]0;mine\x07\n" * 100_000), 0.0), soon_s=0.01, later_s=0.2)
    health.answers("edge", backends(1))
    listen(health, lambda: health.trouble("edge"))
    trouble = health.trouble("edge")
    assert trouble and trouble.isprintable() and len(trouble) <= 300


def test_who_has_been_ill_for_long_is_asked_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonehookd.sources.health._PATIENT", 5)
    zone = Zone(lambda _: Reply(0, "0 refused\n", ""), 0.0)
    health = Health(zone, soon_s=0.01, later_s=0.4)
    health.answers("edge", backends(1))
    began = time.monotonic()
    listen(health, lambda: zone.questions >= 20)
    assert time.monotonic() - began > 0.3, "twenty at the first pace would have taken 0.2 s"


WEB1, WEB2 = Probe(FIRST, 80, "http", "/health", "shop.example.org"), Probe(FIRST + 1, 80)


@pytest.mark.parametrize("end", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\r"])
def test_a_backend_speaks_for_no_other(end: str) -> None:
    found = _parsed([WEB1, WEB2], f"1 up\n0 said HTTP/1.1 500 {end}1 refused\n")
    assert found[1] == Answer(True, "takes connections")
    assert not found[0].well and found[0].text.isprintable()


def test_what_a_backend_says_reaches_no_terminal_as_it_is() -> None:
    for said in ("HTTP/1.1 500 \x1b]0;mine\x07", "\x1b[2J", "HTTP/1.0 503 \x9b31m"):
        text = _parsed([WEB1], f"0 said {said}\r\n")[0].text
        assert text.isprintable(), repr(text)


def _parsed(targets: Sequence[Probe], stdout: str) -> list[Answer]:
    found = probes("edge", targets).parse(Reply(0, stdout, ""))
    return [found[each] for each in targets]
