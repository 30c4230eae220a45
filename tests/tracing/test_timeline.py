"""What the timeline holds of a change, and what it lets go."""

from __future__ import annotations

import asyncio
import time

from zonehookd.engine.correlations import Correlations
from zonehookd.model import subject
from zonehookd.model.command import Change
from zonehookd.model.correlation import CURRENT, Correlation, Ids
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result, StepResult
from zonehookd.model.plan import Note
from zonehookd.tracing.timeline import Timeline

WEB = subject.zone("web1")
TAG = Correlation("c1", "c0", "l1", "zone-files files")
MAKE = Change(("dladm", "create-vnic", "web1_0"), "web1_0 is missing")


def outcome(result: Result, *steps: StepResult, seconds: float = 1.0, **about: object) -> Outcome:
    return Outcome(WEB, result, steps, seconds=seconds, correlation=TAG, **about)  # type: ignore[arg-type]


def test_a_change_is_an_event_a_look_steps_and_its_end() -> None:
    line = Timeline()
    line.hinted(Event("zone-channel", "running", zone="web1", change="c1"), True)
    steps = (StepResult("vnic", MAKE, True, 0.2), StepResult("zone_address", MAKE, False, 0.3, "no such zone"))
    line.ended(outcome(Result.FAILED, *steps, waited_s=0.25))
    line.ended(outcome(Result.CHANGED, StepResult("zone_address", MAKE, True, 0.1)))
    line.ended(outcome(Result.NOOP, seconds=0.01))
    entries = line.of(WEB)
    assert [(each.what, each.result) for each in entries] == [
        ("event", "heard"),
        ("look", "done"),
        ("plugin vnic", "done"),
        ("plugin zone_address", "failed"),
        ("look", "done"),
        ("plugin zone_address", "done"),
        ("settled", "done"),
    ]
    assert {each.change for each in entries} == {"c1"}
    assert entries[1].text == "after 0.25 s: 2 steps" and entries[1].seconds == 0.5
    assert entries[3].text == "dladm create-vnic web1_0: no such zone"
    first, second = entries[2:4]
    assert first.at <= second.at, "one step follows the other"
    assert entries[-1].seconds is not None and entries[-1].seconds >= 1.25, "from the first look's hint on"


def test_a_look_that_finds_nothing_and_that_nobody_asked_for_is_no_entry() -> None:
    line = Timeline()
    line.ended(Outcome(WEB, Result.NOOP))
    assert line.of(WEB) == ()


def test_what_it_waits_for_is_said() -> None:
    line = Timeline()
    note = Note("waiting", "waiting for gateway edge: its zone is installed")
    line.ended(outcome(Result.NOOP, notes=(Note("nothing", "all well"), note)))
    assert [(each.result, each.text) for each in line.of(WEB)] == [("waiting", f"after 0 s: {note.text}")]


def test_it_is_bounded_by_subject_and_over_all_and_counts_what_goes() -> None:
    line = Timeline(of_one=3, of_all=5)
    for number in range(5):
        line.hinted(Event("test", f"{number}", zone="web1"), True)
    assert [each.text for each in line.of(WEB)] == ["test: 2", "test: 3", "test: 4"] and line.forgotten(WEB) == 2
    for number in range(4):
        line.hinted(Event("test", f"{number}", zone=f"other{number}"), True)
    assert len(line.of(WEB)) == 1, "the zone that nothing was heard of for longest gives way"
    for number in range(4, 9):
        line.hinted(Event("test", f"{number}", zone=f"other{number}"), True)
    assert line.of(WEB) == () and line.of(subject.zone("other8"))


def test_others_add_entries_under_the_change_that_is_being_made() -> None:
    line = Timeline()

    async def hook(change: str) -> None:
        CURRENT.set(Correlation(change, change))
        line.add("web1", "hook 50-dns", time.monotonic() - 2.0, 2.0, "done", "after start")

    asyncio.run(hook("c7"))
    line.add("web1", "hook 60-mail", time.monotonic(), 0.1, "failed", "after start: exit 3")
    first, second = line.of(WEB)
    assert (first.change, second.change) == ("c7", "c7"), "else under the last one of the zone"
    assert 1.5 < time.time() - first.at < 60.0


def test_ids_sort_by_time_and_never_repeat() -> None:
    ids = Ids()
    many = [ids.new() for _ in range(5000)]
    assert many == sorted(set(many)) and {len(each) for each in many} == {9}
    time.sleep(0.002)
    assert Ids().new() > many[0]


def test_a_change_stays_open_until_it_is_settled_and_its_cause_goes_along() -> None:
    known = Correlations()
    first = known.hinted(Event("zone-channel", "running", zone="edge"))
    assert known.hinted(Event("zone-channel", "uninitialized", zone="edge")).change == first.change
    look = known.look(None)
    gateway = known.planned(subject.gateway("edge"), look, subject.zone("edge"))
    member = known.planned(WEB, look, subject.gateway("edge"))
    assert gateway.change != first.change and gateway.cause == member.cause == first.change
    assert member.heard == "zone-channel running edge" and member.look == look.look
    known.close(subject.zone("edge"))
    assert known.hinted(Event("zone-channel", "running", zone="edge")).change > first.change
