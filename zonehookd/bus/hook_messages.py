"""The wire, of hooks: which there are, what they ask for, and what came of their last call."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class HookCallRow(BaseModel):
    """`result`: ok, later, never, failed or timeout. `ended`: unix seconds."""

    zone: str
    moment: str
    result: str
    text: str = ""
    seconds: float
    ended: float


class HookRow(BaseModel):
    """`moments`: what it asks for; empty: every one; None: it was never up, so nobody knows. `trouble`: why it cannot
    be called now. `calls`: by their result, since the daemon's start. `owed`: moments it is still to be told of."""

    name: str
    shape: Literal["program", "functions"]
    moments: list[str] | None
    trouble: str = ""
    calls: dict[str, int]
    owed: int
    last: HookCallRow | None = None


class OwedHookRow(BaseModel):
    """Something that a hook was told of and is not done with. `since`: unix seconds; `tries`: calls so far."""

    hook: str
    zone: str
    moment: str
    since: float
    tries: int
    text: str = ""


class HooksReply(BaseModel):
    """`fault`: why the folder cannot be read. `held`: zone -> why its links are not made."""

    folder: str
    enabled: bool
    fault: str = ""
    hooks: list[HookRow]
    owed: list[OwedHookRow]
    held: dict[str, str]
