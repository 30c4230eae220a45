"""What the event socket says: one message per announcement, and for each topic the shape of its `data`.

This is the contract that docs/events.md shows; the page is made from it. Within version 1 fields and topics may be
added, and nothing is taken away or changes its type, unit or meaning.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from zonehookd.bus.messages import SubjectRow

PULSE = "pulse"
BODY_MAX_BYTES = 64 << 10  # of one announcement: what a slow subscriber can cost is that, times `[events] queue`
_TEXT_MAX = 1000  # of each text of an announcement that is too long


class Announcement(BaseModel):
    """The second frame. Keys stand in this order, `data` last, without blanks between them."""

    model_config = ConfigDict(extra="ignore")  # a later daemon may say more
    v: Literal[1] = Field(1, description="version of this contract")
    topic: str = Field(description="the first frame once more")
    time: str = Field(description="when it was said: RFC 3339, UTC, milliseconds")
    epoch: str = Field(description="one start of the daemon: another epoch, and all sequence numbers begin at 1 again")
    seq: int = Field(description="number of the announcement among those of its topic and epoch, from 1, without gaps")
    data: dict[str, Any] = Field(description="by topic, below")


class Data(BaseModel):
    """What all of them are: said strictly."""

    model_config = ConfigDict(extra="forbid")
    topic: ClassVar[str]

    def short(self) -> Self:
        """For a message that would be too long: its texts cut."""
        texts = {name: value[:_TEXT_MAX] for name, value in self if isinstance(value, str)}
        return self.model_copy(update=texts)


class EventData(Data):
    """A hint where to look was heard: nothing has been looked at yet, and it may turn out to be nothing."""

    topic = "event"
    source: str = Field(description="who heard it: zone-channel, zone-files, health, or a part of the daemon")
    kind: str = Field(
        description="its word: a state of the zone, as the kernel has it; echo, that zone once more, a moment later; "
        "anything or missed, about zones whose names are not known; files, reload, …"
    )
    zone: str | None = Field(description="the zone it is about; null: any")
    change: str = Field("", description="id of the change it belongs to, as in the log and in `timeline`; may be empty")


class LookData(Data):
    """A look at the host is over, and something is to be done."""

    topic = "look"
    seconds: float = Field(description="how long it took")
    full: bool = Field(description="whether every subject was looked at")
    planned: int = Field(description="how many subjects something is to be done for")


class BlindData(Data):
    """A look failed as a whole, so nothing was planned."""

    topic = "blind"
    error: str = Field(description="why, for people")


class OutcomeData(SubjectRow, Data):
    """What became of one subject: a zone, a network or a gateway. Not said where there was nothing to do."""

    topic = "outcome"
    seconds: float = Field(description="from the start of the look to the end of the last step")
    waited_s: float = Field(description="from the first hint to the start of the look, in seconds")
    change: str = Field("", description="id of the change, the same in the log, the audit log and `timeline`")
    cause: str = Field("", description="id of the change that set this one off, where that is another one")
    look: str = Field("", description="id of the look that planned it")
    left_out: int = Field(
        0, description="steps and notes left out because the announcement would be too long; `explain` has them"
    )

    def short(self) -> Self:
        return super().short().model_copy(
            update={"steps": [], "notes": [], "left_out": len(self.steps) + len(self.notes)}
        )  # fmt: skip


class SourceData(Data):
    """An event source came or went."""

    topic = "source"
    name: str = Field(description="zone-channel, zone-files, poll or health")
    up: bool = Field(description="whether it is heard now")
    by: str = Field("", description="by which way, where there are several")
    reason: str = Field("", description="why it is down")


class DaemonData(Data):
    """The daemon itself."""

    topic = "daemon"
    ready: bool = Field(description="true: every subject was looked at since the start, and what was due is done")


class HookData(Data):
    """A hook in hooks.d was called, and its call is over."""

    topic = "hook"
    hook: str = Field(description="its file's name")
    zone: str = Field(description="the zone it was told of")
    moment: str = Field(description="before-create, after-start, reconnect, …")
    result: str = Field(description="ok, later, never, failed or timeout")
    text: str = Field("", description="its reason, or what it failed by")
    seconds: float = Field(description="how long the call took")


class PulseData(Data):
    """Every `every_s` seconds, and at once when somebody subscribes to it. Whoever has less than `seq` says has lost
    the rest."""

    topic = PULSE
    seq: dict[str, int] = Field(description="the latest sequence number of every other topic; 0: none yet")
    every_s: float = Field(description="seconds to the next, at most")


TOPICS: dict[str, type[Data]] = {
    each.topic: each
    for each in (EventData, LookData, OutcomeData, BlindData, HookData, SourceData, DaemonData, PulseData)
}
