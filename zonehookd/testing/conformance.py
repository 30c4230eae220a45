"""What every plugin must keep, whatever it does. Each rule is a short play on a host of its own."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zonehookd.errors import PluginFailed
from zonehookd.model.plan import Plan, describe
from zonehookd.model.subject import Subject
from zonehookd.plugin.contract import AnyPlugin
from zonehookd.testing import watched
from zonehookd.testing.builders import AnyView
from zonehookd.testing.harness import Harness, NotSettled
from zonehookd.wire import steps as steps_on_wire
from zonehookd.wire import views as views_on_wire
from zonehookd.wire.messages import SubjectAnswer

Make = Callable[[], Harness]  # a plugin on a fresh host
_CRASHES_MAX = 200  # crashes that are played; a plugin with more steps is played at some of them


class NotConforming(AssertionError):
    """Each line: a rule, and what was seen instead."""


def conforms(
    plugin: type[AnyPlugin] | Path | str | Make, *views: AnyView, without: Sequence[str] = (), **options: Any
) -> None:
    """Raises NotConforming with all rules that are broken.

    `plugin`: its class or folder, or a function that makes a Harness over a fresh host, with the files and answers the
    plugin needs. `views`: the subjects it works on; take those it does something for. `without`: rules by name, of a
    plugin that has a reason.
    """
    is_make = callable(plugin) and not isinstance(plugin, type)
    make: Make = plugin if is_make else lambda: Harness(plugin, **options)  # type: ignore[assignment,arg-type]
    unknown = set(without) - RULES.keys()
    if unknown:
        raise ValueError(f"no such rules: {', '.join(sorted(unknown))}; there are: {', '.join(RULES)}")
    if not views:
        raise ValueError("give at least one subject that the plugin does something for: zone('web1', …)")
    broken = [f"{name}: {said}" for name, rule in RULES.items() if name not in without for said in rule(make, views)]
    if broken:
        raise NotConforming("\n".join(broken))


def _pure(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """plan is pure: the same subjects on the same host give the same plan, also when the plugin is begun anew."""
    harness = make().given(*views)
    first = harness.plan().said
    for which, again in (("the second time", harness), ("begun anew", harness.restarted())):
        if (other := again.plan().said) != first:
            yield f"planned otherwise {which}: {_difference(first, other)}"
            return


def _quiet(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """Nothing is changed while planning: no file, no record, no command."""
    harness = make().given(*views)
    yield from _touched(harness, "for what is there")
    with contextlib.suppress(NotSettled):  # said by `settled`
        yield from _touched(harness.settle().gone(), "for what is gone")


def _touched(harness: Harness, phase: str) -> Iterator[str]:
    before, ran = harness.host.standing(), len(harness.host.ran)
    with watched.acts() as acts:
        harness.plan()
    if acts:
        yield f"planning {phase}: {', '.join(dict.fromkeys(acts))}; that is for a step of the plan"
    elif harness.host.standing() != before or len(harness.host.ran) != ran:
        yield f"planning {phase} changed the host; that is for a step of the plan"


def _settled(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """Once its steps are carried out it has nothing left to do, and no step fails."""
    harness = make().given(*views)
    try:
        harness.settle()
    except NotSettled as problem:
        yield f"{problem}"


def _cleared(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """Once a subject is gone, so is all that was made for it: files are as before, and no record is left."""
    harness = make()
    files = dict(harness.host.everything())
    records = harness.host.records
    try:
        harness.given(*views).settle().gone().settle()
    except NotSettled as problem:
        yield f"gone, and never done: {problem}"
        return
    for path, content in harness.host.everything().items():
        if files.get(path, "") != content:  # lines taken out of a file that was not there before leave an empty one
            yield f"{path} is {'changed' if path in files else 'left behind'}"
    yield from (f"{path} is lost" for path in files.keys() - harness.host.everything().keys())
    fresh, now = (host.told(harness.host.questions) for host in (make().host, harness.host))
    for argv, stdin in (each for each in fresh if fresh[each] != now[each]):
        yield f"{shlex.join(argv)} answers otherwise than before: {now[argv, stdin]!r}, not {fresh[argv, stdin]!r}"
    left = [f"{each.kind} {each.name}" for each in harness.host.records if each not in records]
    if left:
        yield f"records are left behind: {', '.join(left)}"


def _crash(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """Killed after any of its steps and begun anew, it comes to the same end, building and clearing away."""
    for what, play in _PLAYS.items():
        whole = _played(make, views, play)
        if whole is None:
            return  # said by `settled` and `cleared`
        total = len(whole.done)
        for after in range(0, total, max(1, total // _CRASHES_MAX)):
            harness = play(make, views)
            harness.done.clear()
            while len(harness.done) < after and harness.apply(steps_max=after - len(harness.done)).steps:
                pass
            yield from _same_end(harness.restarted(), whole, f"{what}, killed after step {after}")


def _failing(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """A command that fails once is no more than a delay."""
    for what, play in _PLAYS.items():
        whole = _played(make, views, play)
        if whole is None:
            return
        if not whole.host.ran:
            continue
        begun = play(make, views)
        for number in range(len(begun.host.ran), len(whole.host.ran)):
            harness = play(make, views)
            harness.host.fail_at = number
            yield from _same_end(harness, whole, f"{what}, command {number + 1} failed once")


def _same_end(harness: Harness, whole: Harness, when: str) -> Iterator[str]:
    try:
        harness.settle()
    except NotSettled as problem:
        yield f"{when}: {problem}"
        return
    one, other = harness.host, whole.host
    if one.standing() != other.standing():
        yield f"{when}: it comes to another end than undisturbed"
    asked = {**one.questions, **other.questions}
    if one.told(asked) != other.told(asked):
        yield f"{when}: commands answer otherwise in the end than undisturbed"


def _built(make: Make, views: Sequence[AnyView]) -> Harness:
    return make().given(*views)


def _cleared_away(make: Make, views: Sequence[AnyView]) -> Harness:
    return make().given(*views).settle().gone()


_PLAYS = {"building": _built, "clearing away": _cleared_away}


def _played(make: Make, views: Sequence[AnyView], play: Callable[[Make, Sequence[AnyView]], Harness]) -> Harness | None:
    """To its end, with `done` since the play begins; None when it has none."""
    try:
        harness = play(make, views)
        harness.done.clear()
        return harness.settle()
    except NotSettled:
        return None


def _unseen(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """*Could not look* is never *is not there*: where nothing can be seen, nothing is planned."""
    harness = make().given(*views)
    harness.host.deaf = True
    planned = harness.plan()
    if harness.host.unanswered:
        for each, plan in planned.said.items():
            if plan.steps and each not in planned.blind:
                yield f"{each}: planned {describe(plan.steps[0])!r} although the host answered nothing"


def _wire(make: Make, views: Sequence[AnyView]) -> Iterator[str]:
    """What it is shown and what it plans can be sent, and mean the same on the other side."""
    harness, other = make(), make()
    try:
        there = [_over(view) for view in views]
    except PluginFailed as problem:
        yield str(problem)
        return
    here, elsewhere = harness.given(*views).plan().said, other.given(*there).plan().said
    if here != elsewhere:
        yield f"planned otherwise for what was sent: {_difference(here, elsewhere)}"
    for each, plan in here.items():
        try:
            sent, notes = steps_on_wire.sent(plan)
            answer = SubjectAnswer(subject=str(each), steps=sent, notes=notes)
            arrived = SubjectAnswer.model_validate_json(answer.model_dump_json())
            steps_on_wire.received(arrived.steps, arrived.notes, harness.name, each)
        except (PluginFailed, ValueError) as problem:
            yield f"{each}: {problem}"
        else:
            if arrived != answer:
                yield f"{each}: the plan that arrives is another"


def _over(view: AnyView) -> AnyView:
    """As it arrives on the other side. Raises PluginFailed."""
    return views_on_wire.received(view.subject.kind, json.loads(json.dumps(views_on_wire.sent(view))))


def _difference(one: Mapping[Subject, Plan], other: Mapping[Subject, Plan]) -> str:
    """The first thing that is in one of them only."""
    for each in {**one, **other}:
        mine, theirs = (_told(plans.get(each, Plan())) for plans in (one, other))
        if mine != theirs:
            return f"{each}: {mine or 'nothing'}, then {theirs or 'nothing'}"
    return "in what no line of the plan shows, such as the text of a file" if one != other else "nothing"


def _told(plan: Plan) -> str:
    return "; ".join([*(describe(step) for step in plan.steps), *(note.text for note in plan.notes)])


RULES: Mapping[str, Callable[[Make, Sequence[AnyView]], Iterator[str]]] = {
    "pure": _pure,
    "quiet": _quiet,
    "settled": _settled,
    "cleared": _cleared,
    "crash": _crash,
    "failing": _failing,
    "unseen": _unseen,
    "wire": _wire,
}
