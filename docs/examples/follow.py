"""A subscriber to zonehookd's event stream, complete, with nothing but pyzmq. docs/events.md is the contract.

    python3 follow.py ENDPOINT [--key FILE] [TOPIC ...]

ENDPOINT is ipc:///var/run/zonehookd/events.sock, or tcp://ADDRESS:PORT with the FILE that `zonehookctl keys new` made.
Prints a line for each announcement, and says in its place what is missing. A daemon that goes is waited for.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import zmq

SILENT_MS = 15_000  # three pulses, unless [events] pulse_s says otherwise


class Numbers:
    """What has been heard, by the numbers: `missing` says what should have been heard before an announcement."""

    def __init__(self, topics: list[str]) -> None:
        self.topics = topics
        self.epoch = ""
        self.again = False  # the daemon has started anew since we listen: then we are owed everything from 1 on
        self.last: dict[str, int] = {}

    def missing(self, said: dict) -> Iterator[str]:
        if said["epoch"] != self.epoch:
            self.again = self.epoch != ""
            self.epoch, self.last = said["epoch"], {}
            if self.again:
                yield "the daemon has started again: ask it how things are"
        if said["topic"] != "pulse":
            yield from self.gap(said["topic"], said["seq"], said["seq"] - 1)
            return
        for topic, seq in said["data"]["seq"].items():
            if not self.topics or topic in self.topics:
                yield from self.gap(topic, seq, seq)

    def gap(self, topic: str, seq: int, owed: int) -> Iterator[str]:
        last = self.last.get(topic, 0 if self.again else owed)
        self.last[topic] = max(seq, last)
        if owed > last:
            yield f"lost {owed - last} of {topic}"


def follow(socket: zmq.Socket, topics: list[str]) -> Iterator[str]:
    numbers, listening, silent = Numbers(topics), False, False
    while True:
        if not silent and not socket.poll(SILENT_MS):
            silent = True
            yield "silent: no daemon is there, or it does not know our key; we go on waiting"
        topic, body = socket.recv_multipart()
        silent = False
        said = json.loads(body)
        yield from numbers.missing(said)
        if topic != b"pulse":
            yield f"{said['time']} {said['topic']} {json.dumps(said['data'])}"
        elif not listening:
            listening = True
            yield "listening: now ask the daemon how things are"


def use_key(socket: zmq.Socket, file: Path) -> None:
    keys = dict(re.findall(r'^\s*(server|public|secret)-key\s*=\s*"(\S{40})"', file.read_text(), re.MULTILINE))
    socket.curve_serverkey = keys["server"].encode()
    socket.curve_publickey = keys["public"].encode()
    socket.curve_secretkey = keys["secret"].encode()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("endpoint")
    arguments.add_argument("--key", type=Path)
    arguments.add_argument("topics", nargs="*", metavar="TOPIC")
    chosen = arguments.parse_intermixed_args()
    socket = zmq.Context().socket(zmq.SUB)
    socket.ipv6 = True  # too
    socket.heartbeat_ivl, socket.heartbeat_timeout = 10_000, 30_000  # ms: a host that vanished is noticed
    if chosen.key:
        use_key(socket, chosen.key)
    # The pulse last: when the first one comes, the others are in force too. "" is everything, the pulse as well.
    for topic in [*chosen.topics, "pulse"] if chosen.topics else [""]:
        socket.subscribe(topic)
    socket.connect(chosen.endpoint)
    for line in follow(socket, chosen.topics):
        print(line, flush=True)


if __name__ == "__main__":
    main()
