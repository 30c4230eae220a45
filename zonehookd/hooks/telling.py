"""What a hook is told of a zone: the zone as plugins are shown it, and what is about this moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zonehookd.engine.attach import Attached
from zonehookd.hooks.moments import REFUSING, Moment
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin.contract import ZoneView
from zonehookd.wire import views

VERSION = 1
_SHOWN = ("zone", "attachments", "refusals", "left_alone")


def about(zone: Zone, placed: Attached) -> Mapping[str, Any]:
    """The zone, its NICs on our networks, and in short the names of the networks and its addresses there."""
    view = ZoneView(zone, placed.attachments, placed.refusals, placed.left_alone, {})
    shown = views.sent(view)
    return {
        **{key: shown[key] for key in _SHOWN},
        "networks": sorted({each.network.name for each in placed.attachments}),
        "addresses": [str(address) for each in placed.attachments for address in each.addresses],
    }


def nothing_known(zone: str) -> Mapping[str, Any]:
    """Of a zone that no look has seen yet."""
    return about(Zone(zone, ZoneState.UNKNOWN), Attached())


def gone(before: Mapping[str, Any]) -> Mapping[str, Any]:
    """The zone as it was, but for its state."""
    return {**before, "zone": {**before["zone"], "state": ZoneState.ABSENT.value, "zoneid": None}}


def message(
    hook: str, moment: Moment, about: Mapping[str, Any], at: float, cause: str, tries: int, deadline_s: float
) -> dict[str, Any]:
    """The object on a program's standard input; functions are given the same."""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return {
        "v": VERSION,
        "hook": hook,
        "moment": moment,
        "may_refuse": moment in REFUSING,
        "cause": cause,
        "when": when,
        "try": tries,
        "deadline_s": round(deadline_s, 3),
        **about,
    }


def text(told: Mapping[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False) + "\n"
