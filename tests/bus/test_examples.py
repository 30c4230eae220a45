"""The two example subscribers against a real publisher: they print, count what they lost, and outlive a restart."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

from subscribing import Program, Running, key_file, until, wait_for_pulses

from zonehookd.bus.announcements import BlindData, DaemonData

Start = Callable[..., Running]
Example = Callable[..., Program]
BURST, QUEUE, TEXT = 3_000, 500, "x" * 2_000


def said(line: str) -> tuple[str, dict[str, object]]:
    _, topic, data = line.split(" ", 2)
    return topic, json.loads(data)


def test_every_announcement_is_a_line(running: Start, example: Example) -> None:
    here = running()
    follower = example(here.endpoint)
    assert follower.line() == "listening: now ask the daemon how things are"
    here.do(lambda: here.publisher.say(BlindData(error='a "quoted" word, "seq":7, and ünïcödé')))
    here.do(lambda: here.publisher.say(DaemonData(ready=True)))
    assert said(follower.line()) == ("blind", {"error": 'a "quoted" word, "seq":7, and ünïcödé'})
    assert said(follower.line()) == ("daemon", {"ready": True})


def test_only_what_was_subscribed_to_is_printed_and_counted(running: Start, example: Example) -> None:
    here = running(pulse_s=0.05)
    follower = example(here.endpoint, "daemon")
    follower.line()
    for number in range(3):
        here.do(lambda number=number: here.publisher.say(BlindData(error=str(number))))
    here.do(lambda: here.publisher.say(DaemonData(ready=True)))
    assert said(follower.line()) == ("daemon", {"ready": True})
    wait_for_pulses(here.endpoint, 3)  # they say how many there were of the other topic
    here.do(lambda: here.publisher.say(DaemonData(ready=False)))
    assert said(follower.line()) == ("daemon", {"ready": False})


def test_a_stopped_subscriber_says_exactly_how_many_it_lost(running: Start, example: Example) -> None:
    here = running(queue=QUEUE, pulse_s=0.1)
    follower = example(here.endpoint, "blind")
    follower.line()
    follower.process.send_signal(signal.SIGSTOP)
    for number in range(BURST):
        here.do(lambda number=number: here.publisher.say(BlindData(error=f"{number} {TEXT}")))
    follower.process.send_signal(signal.SIGCONT)
    heard = lost = 0
    while heard + lost < BURST:
        line = follower.line()
        if line.startswith("lost "):
            lost += int(line.split()[1])
            assert line.endswith(" of blind")
        else:
            heard += 1
            assert str(said(line)[1]["error"]).split()[0] == str(heard + lost - 1), "each in its place"
    assert heard + lost == BURST and lost > 0 and heard > QUEUE // 2
    here.do(lambda: here.publisher.say(BlindData(error="after")))
    assert said(follower.line()) == ("blind", {"error": "after"})


def test_a_restart_is_said_and_lived_through(running: Start, example: Example) -> None:
    first = running()
    follower = example(first.endpoint)
    follower.line()
    first.do(lambda: first.publisher.say(BlindData(error="before")))
    assert said(follower.line()) == ("blind", {"error": "before"})
    first.close()
    second = running()
    until(second.subscribers, "it is connected again")
    assert follower.line() == "the daemon has started again: ask it how things are"
    second.do(lambda: second.publisher.say(BlindData(error="after")))
    assert said(follower.line()) == ("blind", {"error": "after"})


def test_over_tcp_with_a_key(running: Start, example: Example, folder: Path) -> None:
    file = key_file(folder, "dashboard")
    here = running(listen="127.0.0.1:0")
    follower = example(here.remote_endpoint, "--key", str(file), "daemon")
    assert follower.line() == "listening: now ask the daemon how things are"
    assert here.came == ["dashboard"] and here.subscribers("tcp") == 1
    here.do(lambda: here.publisher.say(DaemonData(ready=True)))
    assert said(follower.line()) == ("daemon", {"ready": True})
