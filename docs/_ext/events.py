"""The event stream: its envelope and the fields of each topic, as Markdown, from zonehookd/bus/announcements.py."""

from __future__ import annotations

from pydantic import BaseModel

from docs._ext import schema
from zonehookd.bus.announcements import TOPICS, Announcement
from zonehookd.bus.follow import LostData
from zonehookd.bus.messages import NoteRow, StepRow

_PARTS = (StepRow, NoteRow)  # what the fields of a topic hold


def envelope() -> str:
    return _fields(Announcement)


def topics() -> str:
    """A heading and a table for each topic, then for the parts."""
    told = [f"### `{topic}`\n\n{_about(shape)}\n\n{_fields(shape)}" for topic, shape in TOPICS.items()]
    parts = [f"### {shape.__name__}\n\n{_about(shape)}\n\n{_fields(shape)}" for shape in _PARTS]
    return "\n".join([*told, *parts])


def lost() -> str:
    return _fields(LostData)


def _about(shape: type[BaseModel]) -> str:
    return " ".join((shape.__doc__ or "").split())


def _fields(shape: type[BaseModel]) -> str:
    rows = ((f"`{each.name}`", each.type, each.meaning) for each in schema.fields(schema.of(shape)))
    return schema.table(("field", "type", "meaning"), rows)
