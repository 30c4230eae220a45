"""docs/events.md is the contract: what goes over the wire is what stands there, to the last field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import zmq
from pydantic import BaseModel
from subscribing import PATIENCE_S, Running

from docs._ext import events, schema
from zonehookd.bus.announcements import (
    BODY_MAX_BYTES,
    PULSE,
    TOPICS,
    Announcement,
    BlindData,
    DaemonData,
    Data,
    HookData,
    OutcomeData,
)
from zonehookd.bus.follow import LostData
from zonehookd.bus.messages import NoteRow, StepRow
from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.command import Change
from zonehookd.model.correlation import Correlation
from zonehookd.model.event import Event
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome, Result, StepResult
from zonehookd.model.plan import Note

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "events.md").read_text()
SHAPES: list[type[BaseModel]] = [Announcement, LostData, StepRow, NoteRow, *TOPICS.values()]
SITE = Site(Declaration(), zones={})
STEP = Change(("dladm", "create-vnic", "web1_0"), why="web1_0 is missing")
NOTE = Note("waiting", "gateway edge: its zone is installed", code="gateway-shut", hint="boot it")
OUTCOME = Outcome(
    subject.zone("web1"),
    Result.FAILED,
    (StepResult("vnic", STEP, False, 0.25, "no such link"),),
    (NOTE,),
    "a step failed",
    waited_s=0.02,
    seconds=0.3,
    correlation=Correlation("c1", "c0", "l1", "an event"),
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_is_documented(shape: type[BaseModel]) -> None:
    fields = list(schema.fields(schema.of(shape)))
    made = "\n".join((events.envelope(), events.topics(), events.lost()))
    assert {each.name for each in fields} == set(shape.model_fields)
    for each in fields:
        assert each.meaning, f"{shape.__name__}.{each.name} has no description"
        assert f"| `{each.name}` | {each.type}".replace("  ", " ") in made
    assert shape.__doc__


def test_the_page_shows_what_is_made() -> None:
    assert re.findall(r"^```\{made\} (\w+)$", PAGE, re.MULTILINE) == ["announcement", "lost", "topics"]
    assert re.findall(r"^### `(\w+)`$", events.topics(), re.MULTILINE) == list(TOPICS)
    assert "64 KiB" in PAGE and BODY_MAX_BYTES == 64 << 10
    example = PAGE.split("    pulse\n")[1].split("\n\n")[0]
    shown = json.loads("".join(line.strip() for line in example.splitlines()))
    assert list(shown) == list(Announcement.model_fields)
    assert TOPICS[PULSE].model_validate(shown["data"]) and set(shown["data"]["seq"]) == set(TOPICS) - {PULSE}


def test_no_topic_is_the_beginning_of_another() -> None:
    assert not [pair for pair in permutations([*TOPICS, "lost"], 2) if pair[1].startswith(pair[0])]
    assert all(re.fullmatch("[a-z]+", topic) for topic in TOPICS)
    assert {each.topic: each for each in _leaves(Data)} == {**TOPICS, "lost": LostData}


def _leaves(shape: type[Data]) -> Iterator[type[Data]]:
    for each in shape.__subclasses__():
        yield each
        yield from _leaves(each)


class Wire:
    """The bytes, as any subscriber gets them."""

    def __init__(self, here: Running) -> None:
        self._here = here
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.subscribe("")
        self._socket.connect(here.endpoint)
        self.pulse = self.next()

    def next(self) -> tuple[bytes, bytes]:
        assert self._socket.poll(PATIENCE_S * 1000)
        topic, body = self._socket.recv_multipart()
        return topic, body

    def after(self, what: Callable[[], object]) -> tuple[str, dict[str, Any]]:
        """What is said next but pulses."""
        self._here.do(what)
        while (said := self.next())[0] == PULSE.encode():
            pass
        return said[0].decode(), json.loads(said[1])

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
def wire(running: Callable[..., Running]) -> Iterator[tuple[Running, Wire]]:
    here = running()
    made = Wire(here)
    yield here, made
    made.close()


def test_what_listeners_are_told_goes_over_the_wire_as_documented(wire: tuple[Running, Wire]) -> None:
    here, ear = wire
    speak = here.publisher
    told: dict[str, Callable[[], object]] = {
        "event": lambda: speak.hinted(Event("zone-channel", "running", "web1", change="c1"), new=True),
        "look": lambda: speak.looked(SITE, 0.1234567, True, 3, 0),
        "blind": lambda: speak.blind("zoneadm list: exited 1"),
        "outcome": lambda: speak.ended(OUTCOME),
        "hook": lambda: speak.say(HookData(hook="dns", zone="web1", moment="after-start", result="ok", seconds=0.1)),
        "source": lambda: speak.source_down("zone-channel", "ended", final=False),
        "daemon": lambda: speak.say(DaemonData(ready=True)),
    }
    assert set(told) == set(TOPICS) - {PULSE}
    for topic, tell in told.items():
        for seq in (1, 2):
            frame, said = ear.after(tell)
            assert list(said) == list(Announcement.model_fields), "in this order"
            assert (frame, said["topic"], said["seq"], said["epoch"]) == (topic, topic, seq, speak.epoch)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["time"]) and said["v"] == 1
            assert set(said["data"]) == set(TOPICS[topic].model_fields), "every field, always"
            TOPICS[topic].model_validate(said["data"], strict=True)
    said = ear.after(told["outcome"])[1]["data"]
    assert (said["kind"], said["name"], said["result"], said["change"], said["cause"]) == (
        "zone", "web1", "failed", "c1", "c0",
    )  # fmt: skip
    assert said["steps"][0]["step"] == "dladm create-vnic web1_0" and said["notes"][0]["code"] == "gateway-shut"


def test_what_is_no_news_is_not_said(wire: tuple[Running, Wire]) -> None:
    here, ear = wire
    speak = here.publisher
    here.do(lambda: speak.hinted(Event("poll", "poll"), new=True))
    here.do(lambda: speak.looked(SITE, 0.1, False, 0, 0))
    here.do(lambda: speak.ended(Outcome(subject.zone("web1"), Result.NOOP)))
    assert ear.after(lambda: speak.blind("x"))[0] == "blind"


def test_a_pulse_comes_when_one_subscribes(wire: tuple[Running, Wire]) -> None:
    topic, body = wire[1].pulse
    assert topic == b"pulse" and b" " not in body
    said = TOPICS[PULSE].model_validate(json.loads(body)["data"])
    assert said.model_dump() == {"seq": dict.fromkeys(set(TOPICS) - {PULSE}, 0), "every_s": 5.0}


def test_what_would_be_too_long_is_cut(wire: tuple[Running, Wire]) -> None:
    here, ear = wire
    assert (
        ear.after(lambda: here.publisher.say(BlindData(error="y" * BODY_MAX_BYTES)))[1]["data"]["error"] == "y" * 1000
    )
    steps = [StepRow(plugin="nat", step="x" * 100, why="y")] * 1000
    long = OutcomeData(kind="zone", name="web1", result="changed", steps=steps, seconds=1, waited_s=1, change="c1")
    data = ear.after(lambda: here.publisher.say(long))[1]["data"]
    assert (data["steps"], data["left_out"], data["name"], data["change"]) == ([], 1000, "web1", "c1")


def test_a_later_daemon_may_say_more() -> None:
    text = '{"v":1,"topic":"new","time":"","epoch":"e","seq":1,"more":1,"data":{"even":"more"}}'
    assert Announcement.model_validate_json(text).data == {"even": "more"}
