"""A bug that the words of one zone bring out in us costs that zone, and takes nothing from it."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures import Admin, Build

from zonehookd.engine import survey


def test_a_zone_that_cannot_be_placed_keeps_all_it_has(
    admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = engine(dmz="10.1.0.0/24")
    admin.by_address("web1", "web1_0", "10.1.0.11/24")
    ours.converge()
    whole = survey.attach_zone

    def broken(zone: Any, declared: Any) -> Any:
        if zone.name == "web1":
            raise KeyError("provision")
        return whole(zone, declared)

    monkeypatch.setattr(survey, "attach_zone", broken)
    ours.redeclare({"dmz": {"cidr": "10.1.0.0/24"}})  # or what was placed before would be used again
    admin.by_address("web2", "web2_0", "10.1.0.12/24")
    ours.converge()
    assert {"web1_0", "web2_0"} <= set(admin.links())
    (note,) = ours.notes()
    assert (note.object, note.code) == ("web1", "unreadable") and "internal error: KeyError('provision')" in note.text


def test_nobody_knows_where_such_a_zone_is_attached(
    admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it counts among those who may depend on a gateway, as one does that cannot be read."""
    ours = engine(dmz="10.1.0.0/24")
    admin.by_address("web1", "web1_0", "10.1.0.11/24")
    monkeypatch.setattr(survey, "attach_zone", lambda zone, declared: 1 // 0)
    ours.look()
    assert ours.survey.site is not None
    zone = ours.survey.site.zones["web1"]
    assert zone.unread and not zone.damaged, "zoneadm reads it"
