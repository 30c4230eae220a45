"""The event stream as a subscriber hears it, with what was lost said in its place."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import zmq
from pydantic import Field

from zonehookd.bus.announcements import PULSE, Announcement, Data
from zonehookd.bus.client import NoDaemon
from zonehookd.bus.keys import ClientKey

_HEARTBEAT_MS, _DEAD_MS = 10_000, 30_000


class LostData(Data):
    """Nobody sends this: it is made here, where announcements are missing."""

    topic: ClassVar[str] = "lost"
    of: str = Field(description="the topic; empty: any")
    count: int | None = Field(description="how many; null: nobody knows")
    reason: Literal["gap", "restart"] = Field(
        description="gap: this subscriber was too slow, or his connection broke; restart: the daemon has started again"
    )


class Missed:
    """Keeps the numbers: says what is missing before each announcement that is heard. `topics`: names of those that
    were subscribed to, none: all."""

    def __init__(self, topics: tuple[str, ...] = ()) -> None:
        self._topics = topics
        self._epoch = ""
        self._seen: dict[str, int] = {}  # topic -> the last number that we know of
        self._from_start = False  # whether this epoch was ours from its first announcement on

    def before(self, heard: Announcement) -> list[LostData]:
        lost = []
        if heard.epoch != self._epoch:
            self._from_start = self._epoch != ""
            self._epoch, self._seen = heard.epoch, {}
            if self._from_start:
                lost.append(LostData(of="", count=None, reason="restart"))
        if heard.topic != PULSE:
            return lost + self._gap(heard.topic, heard.seq, heard.seq - 1)
        for topic, seq in heard.data["seq"].items():
            if not self._topics or topic in self._topics:
                lost += self._gap(topic, seq, seq)
        return lost

    def _gap(self, topic: str, seq: int, should: int) -> list[LostData]:
        """`should`: the number that must have been heard by now. Of what was said before we came nothing is lost."""
        seen = self._seen.get(topic, 0 if self._from_start else should)
        self._seen[topic] = max(seq, seen)
        return [LostData(of=topic, count=should - seen, reason="gap")] if should > seen else []


def follow(
    endpoint: str,
    key: ClientKey | None = None,
    topics: tuple[str, ...] = (),
    *,
    silence_s: float | None = None,
    answer_s: float | None = None,
) -> Iterator[Announcement]:
    """Whatever is announced from now on, on these topics (none: on all), and ``lost`` where something is missing: for
    ever, or until nothing came for `silence_s` seconds. A daemon that goes is waited for.

    Raises NoDaemon when nobody is heard at all for `answer_s`: over TCP, also when the key is not known there.
    """
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        if key is not None:
            socket.setsockopt(zmq.CURVE_SERVERKEY, key.server)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, key.public)
            socket.setsockopt(zmq.CURVE_SECRETKEY, key.secret)
        if endpoint.startswith("tcp:"):
            socket.setsockopt(zmq.IPV6, 1)
            socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)  # a host that vanished is noticed
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _DEAD_MS)
        for topic in (*topics, PULSE) if topics else ("",):  # the pulse last: when it comes, all of them are in force
            socket.subscribe(topic)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as problem:
            raise NoDaemon(f"cannot connect to {endpoint!r}: {problem}", hint="tcp://HOST:PORT") from problem
        if answer_s is not None and not socket.poll(int(answer_s * 1000)):
            hint = "does it listen there, and does it know this key? there: zonehookctl keys list" if key else ""
            raise NoDaemon(f"nothing heard from {endpoint} within {answer_s:g} s", hint=hint)
        yield from _heard(socket, Missed(topics), math.inf if silence_s is None else silence_s)


def _heard(socket: zmq.Socket[bytes], missed: Missed, silence_s: float) -> Iterator[Announcement]:
    """The pulse is no announcement: it neither breaks a silence, nor is it passed on."""
    until = time.monotonic() + silence_s
    while (left := until - time.monotonic()) > 0:
        if not socket.poll(None if left == math.inf else math.ceil(left * 1000)):
            continue
        said = Announcement.model_validate_json(socket.recv_multipart()[1])
        told = [_as_announcement(said, lost) for lost in missed.before(said)]
        for each in told if said.topic == PULSE else [*told, said]:
            yield each
            until = time.monotonic() + silence_s


def _as_announcement(heard: Announcement, lost: LostData) -> Announcement:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    data: dict[str, Any] = lost.model_dump(mode="json")
    return Announcement(topic=lost.topic, time=now, epoch=heard.epoch, seq=0, data=data)
