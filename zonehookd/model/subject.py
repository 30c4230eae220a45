"""What a look is about: one zone, one network or one gateway. Each has one worker: its steps never overlap."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["network", "gateway", "zone"]


class Subject(NamedTuple):
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def zone(name: str) -> Subject:
    return Subject("zone", name)


def network(name: str) -> Subject:
    return Subject("network", name)


def gateway(name: str) -> Subject:
    return Subject("gateway", name)
