"""What is to be told: from what was told before and how it is now, whatever was seen in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonehookd.hooks import book
from zonehookd.hooks.moments import MOMENTS, Moment, Owed, Stage, done, due, merged, next_call, stage, tried, words
from zonehookd.model.record import Record
from zonehookd.model.zone import Zone, ZoneState

THERE, MADE = Stage(), Stage(made=True)


def up(run: str = "b/1") -> Stage:
    return Stage(made=True, run=run)


@pytest.mark.parametrize(
    ("told", "now", "moments"),
    [
        (None, None, ()),
        (None, THERE, ("before-create",)),
        (None, MADE, ("before-create", "after-create")),
        (None, up(), ("before-create", "after-create", "after-start")),
        (THERE, MADE, ("after-create",)),
        (MADE, MADE, ()),
        (MADE, up(), ("after-start",)),
        (up(), up(), ()),
        (up(), MADE, ("after-stop",)),
        (up(), up("b/2"), ("after-stop", "after-start")),
        (up(), up("c/1"), ("after-stop", "after-start")),  # the same zone id after a boot of the host
        (up(), None, ("after-stop", "after-delete")),
        (MADE, None, ("after-delete",)),
    ],
)
def test_from_what_was_told_to_what_is(told: Stage | None, now: Stage | None, moments: Sequence[Moment]) -> None:
    assert tuple(due(told, now)) == moments


@pytest.mark.parametrize(
    ("state", "told", "expected"),
    [
        (ZoneState.CONFIGURED, None, THERE),
        (ZoneState.INSTALLED, up(), MADE),
        (ZoneState.READY, up(), MADE),  # of the next run: the one that was told is over
        (ZoneState.RUNNING, None, up("b/1")),
        (ZoneState.SHUTTING_DOWN, up("b/0"), up("b/0")),  # it is not over before it is over
        (ZoneState.DOWN, None, THERE),
        (ZoneState.UNKNOWN, up(), "unsure"),
        (ZoneState.MOUNTED, up(), "unsure"),
        (ZoneState.ABSENT, up(), None),
    ],
)
def test_how_far_a_zone_has_come(state: ZoneState, told: Stage | None, expected: Stage | str | None) -> None:
    assert stage(Zone("web1", state, 1), told, made=False, boot="b") == expected


def test_nothing_is_concluded_of_a_zone_in_trouble() -> None:
    assert stage(Zone("web1", ZoneState.INSTALLED, trouble="cannot be read"), up(), made=False, boot="b") == "unsure"


def owe(*each: tuple[Moment, int]) -> tuple[Owed, ...]:
    return tuple(Owed(moment, float(at), {"a": tries}) for at, (moment, tries) in enumerate(each))


@pytest.mark.parametrize(
    ("owed", "new", "left"),
    [
        ((), "after-start", ["after-start"]),
        ([("after-start", 0)], "after-stop", []),  # of that run it never heard
        ([("after-start", 1)], "after-stop", ["after-stop"]),
        ([("after-stop", 1)], "after-start", ["after-stop", "after-start"]),
        ([("after-stop", 1), ("after-start", 0)], "after-stop", ["after-stop"]),
        ([("after-stop", 1), ("after-start", 1)], "after-start", ["after-stop", "after-start"]),
        ([("before-create", 0), ("after-create", 0), ("after-start", 0)], "after-delete", []),
        ([("before-create", 1)], "after-delete", ["after-delete"]),
        ([("after-delete", 0), ("before-create", 0), ("after-start", 0)], "after-delete", ["after-delete"]),
        ([("after-create", 3), ("after-stop", 2)], "after-delete", ["after-stop", "after-delete"]),
        ([("after-delete", 4)], "before-create", ["after-delete", "before-create"]),
        ([("after-start", 0)], "reconnect", ["reconnect", "after-start"]),
    ],
)
def test_what_is_owed_when_more_has_happened(owed: list[tuple[Moment, int]], new: Moment, left: list[Moment]) -> None:
    assert [each.moment for each in merged(owe(*owed), Owed(new, 99.0, {"a": 0}))] == left


def test_each_hook_has_debts_of_its_own() -> None:
    owed = merged((Owed("after-start", 1.0, {"a": 0, "b": 2}),), Owed("after-stop", 2.0, {"a": 0, "b": 0}))
    assert [(each.moment, dict(each.hooks)) for each in owed] == [("after-stop", {"b": 0})]


def test_one_that_is_not_done_holds_up_no_other() -> None:
    owed = (Owed("after-create", 1.0, {"b": 1, "a": 1}), Owed("after-start", 2.0, {"a": 0, "b": 0}))
    entry, hook = next_call(owed) or pytest.fail("nothing to call")
    assert (entry.moment, hook) == ("after-create", "a"), "by name"
    entry, hook = next_call(owed, lambda entry, hook: hook != "a") or pytest.fail("nothing to call")
    assert (entry.moment, hook) == ("after-create", "b")
    owed = done(owed, entry, "b")
    entry, hook = next_call(owed, lambda entry, hook: entry.moment != "after-create") or pytest.fail("nothing to call")
    assert (entry.moment, hook) == ("after-start", "b"), "a has still to be told of the creation"


def test_arguments() -> None:
    assert [words(moment) for moment in ("before-start", "after-delete", "reconnect")] == [
        ("start", "before"),
        ("delete", "after"),
        ("reconnect", "begin"),
    ]


def kept(told: Stage | None, owed: Sequence[Owed]) -> tuple[Stage | None, tuple[Owed, ...]]:
    """As it is read from the books by the next daemon."""
    record: Record | None = book.record("web1", book.Page(told, owed, {"zone": {"name": "web1"}}))
    if record is None:
        return None, ()
    page = book.pages([record])["web1"]
    return page.told, tuple(page.owed)


NOWS = st.sampled_from([None, MADE, up("b/1"), up("b/2"), up("b/3")])
DOES = st.sampled_from(["ok", "later", "crash-before", "crash-after"])


@settings(derandomize=True, deadline=None, max_examples=1000)
@given(st.lists(st.tuples(NOWS, st.lists(DOES, max_size=4)), max_size=12))
def test_whatever_happens_a_hook_ends_up_knowing_how_it_is(story: list[tuple[Stage | None, list[str]]]) -> None:
    """A hook that says later, and a daemon that is killed before or after a call: in the end the last thing it was told
    is how the zone is, a start or a creation it was told of is told to be over, and debts stay few."""
    told: Stage | None = None
    owed: tuple[Owed, ...] = ()
    heard: list[Moment] = []
    at = 0.0

    def call(what: str) -> bool:
        nonlocal owed, told
        found = next_call(owed)
        if found is None:
            return False
        entry, hook = found
        if what != "crash-before":
            heard.append(entry.moment)
        if what.startswith("crash"):
            told, owed = kept(told, owed)
        else:
            owed = done(owed, entry, hook) if what == "ok" else tried(owed, entry, hook)
        return True

    for now, calls in story:
        for moment in due(told, now):
            at += 1.0
            owed = merged(owed, Owed(moment, at, {"a": 0}))
        told = now
        assert len(owed) <= 5
        told, owed = kept(told, owed) if calls[:1] == ["crash-before"] else (told, owed)
        for what in calls:
            call(what)
    while call("ok"):
        pass
    runs = [each for each in heard if each in ("after-start", "after-stop")]
    lives = [each for each in heard if each.endswith(("create", "delete"))]
    now = story[-1][0] if story else None
    assert (runs[-1:] == ["after-start"]) == bool(now and now.run)
    assert (lives[-1:] in (["before-create"], ["after-create"])) == (now is not None)


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_is_written_down_is_read_again(moment: Moment) -> None:
    owed = [Owed(moment, 7.5, {"a": 3, "b": 1}, {"zone": {"name": "web1"}}, missed=True)]
    record = book.record("web1", book.Page(up(), owed, {"x": 1}))
    assert record is not None
    page = book.pages([record])["web1"]
    assert page.told == up() and page.about == {"x": 1}
    assert list(page.owed) == ([] if moment == "reconnect" else owed), "all are told of it at each start anyway"


def test_who_was_about_to_be_told_counts_as_told() -> None:
    """The daemon may have been killed while the hook ran: what undoes it is told, too."""
    _, owed = kept(up(), [Owed("after-start", 1.0, {"a": 0})])
    assert [each.moment for each in merged(owed, Owed("after-stop", 2.0, {"a": 0}))] == ["after-stop"]


def test_a_page_of_another_version_is_a_fresh_one() -> None:
    record = book.record("web1", book.Page(up(), (), {}))
    assert record is not None
    odd = replace(record, facts={**record.facts, "owed": '[{"moment": "after-dinner"}]', "about": "}"})
    assert book.pages([odd])["web1"] == book.Page(up(), (), {})
