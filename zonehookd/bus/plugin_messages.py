"""Answers of the control socket about plugins."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class PluginRow(BaseModel):
    """`where`: in the daemon, or in a worker of its own; the rest is about a worker. `state`: ready, starting, refused
    (its code or its options must change first), restarting, or open (it failed again and again, and rests). `error`:
    what is wrong now. `restarts`: since the daemon started, for whatever reason."""

    name: str
    kind: str
    after: list[str]
    options: dict[str, Any]
    about: str
    where: Literal["daemon", "worker"] = "daemon"
    shape: str = "folder"
    state: Literal["ready", "starting", "refused", "restarting", "open"] = "ready"
    pid: int | None = None
    restarts: int = 0
    required: bool = True
    user: str = ""
    error: str = ""


class PluginReloadReply(BaseModel):
    """What takes the place of the worker before. Where it does not come up, the answer is an error."""

    plugin: PluginRow
    text: str
