"""What `follow` says is missing is missing: any losses, any topics, any restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subscribing import Running

from zonehookd.bus.announcements import PULSE, Announcement, BlindData, DaemonData
from zonehookd.bus.client import NoDaemon
from zonehookd.bus.follow import Missed, follow

NAMES = ("event", "look", "outcome")
MOVES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from((*NAMES, PULSE)), st.booleans()),  # said, and whether it comes through
        st.just(("restart", True)),
    ),
    max_size=60,
)


def announcement(topic: str, epoch: int, seq: int, data: dict[str, Any] | None = None) -> Announcement:
    return Announcement(topic=topic, time="", epoch=str(epoch), seq=seq, data=data or {})


@settings(derandomize=True, max_examples=300)
@given(before=st.integers(0, 5), moves=MOVES, topics=st.sampled_from(((), ("event",), ("look", "outcome"))))
def test_every_loss_is_counted_once(before: int, moves: list[tuple[str, bool]], topics: tuple[str, ...]) -> None:
    """After the last pulse that came through: heard and lost are all that was said of each topic."""
    missed = Missed(topics)
    epoch, numbers = 0, dict.fromkeys((*NAMES, PULSE), before)
    heard, lost, owed = (dict.fromkeys(NAMES, 0) for _ in range(3))
    restarts = 0

    def hear(said: Announcement) -> None:
        nonlocal restarts
        for each in missed.before(said):
            if each.reason == "restart":
                restarts += 1
            else:
                assert each.count is not None and each.count > 0
                lost[each.of] += each.count

    def pulse() -> Announcement:
        latest = {name: numbers[name] for name in NAMES}
        return announcement(PULSE, epoch, numbers[PULSE], {"seq": latest, "every_s": 1})

    hear(pulse())
    for topic, through in moves:
        if topic == "restart":  # of the epoch before nothing is known any more
            epoch, numbers = epoch + 1, dict.fromkeys(numbers, 0)
            for counts in (heard, lost, owed):
                counts.update(dict.fromkeys(NAMES, 0))
            continue
        numbers[topic] += 1
        if topic == PULSE and through:
            hear(pulse())
        elif topic != PULSE and (not topics or topic in topics):
            owed[topic] += 1
            if through:
                hear(announcement(topic, epoch, numbers[topic]))
                heard[topic] += 1
    hear(pulse())
    assert bool(restarts) == bool(epoch) and restarts <= epoch
    for name in NAMES:
        assert heard[name] + lost[name] == owed[name], name


def test_of_an_epoch_that_began_while_we_listened_everything_is_owed() -> None:
    missed = Missed()
    missed.before(announcement("event", 1, 40))
    (restart, gap) = missed.before(announcement("event", 2, 4))
    assert restart.reason == "restart" and (gap.of, gap.count) == ("event", 3)


def test_what_was_said_before_we_came_is_not_lost() -> None:
    missed = Missed()
    assert missed.before(announcement("event", 1, 40)) == []
    assert missed.before(announcement(PULSE, 1, 9, {"seq": {"event": 40, "look": 7}, "every_s": 5})) == []
    assert [each.count for each in missed.before(announcement("look", 1, 9))] == [1]


def test_a_silence_ends_it_and_a_pulse_is_no_news(running: Callable[..., Running]) -> None:
    here = running(pulse_s=0.05)
    assert list(follow(here.endpoint, silence_s=0.3, answer_s=60)) == []
    stream = follow(here.endpoint, topics=("daemon",), answer_s=60)
    here.do(lambda: here.publisher.say(BlindData(error="of another topic")))

    heard = Event()

    def speak() -> None:  # again and again: who subscribes is heard of a moment later
        while not heard.wait(0.05):
            here.do(lambda: here.publisher.say(DaemonData(ready=True)))

    speaker = Thread(target=speak)
    speaker.start()
    said = next(stream)
    heard.set()
    stream.close()
    speaker.join()
    assert (said.topic, said.data, said.epoch) == ("daemon", {"ready": True}, here.publisher.epoch)


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match="nothing heard from ipc"):
        list(follow(f"ipc://{tmp_path}/nobody.sock", answer_s=0.2))
    with pytest.raises(NoDaemon, match="cannot connect"):
        list(follow("tcp//nowhere", answer_s=0.2))
