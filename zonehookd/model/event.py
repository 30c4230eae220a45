"""A hint where to look. It carries no truth: the look finds that."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`zone` None: something changed, a survey tells what. `everything`: look at all subjects, changed or not."""

    source: str
    kind: str  # a word for metrics and for people: "running", "files", "poll", "reload"
    zone: str | None = None
    everything: bool = False
    text: str = ""  # of `subscribed`: by which way, for people
    change: str = ""  # said by the dispatcher: id of the change it is part of, or of the cause that it is
