"""Views into calls, and what comes back into answers. A view is sent once: what a worker was shown, it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zonehookd.engine.abroad import Answer, AnyView
from zonehookd.engine.look import Look
from zonehookd.errors import PluginFailed, last_of
from zonehookd.foreign.faults import Fault
from zonehookd.foreign.worker import Worker
from zonehookd.model.subject import Subject
from zonehookd.plugin.contract import ZoneView
from zonehookd.wire import views as wire
from zonehookd.wire.messages import CALL_MAX_BYTES, Call, Result, Shown, SubjectAnswer
from zonehookd.wire.steps import received


class Plans:
    """Asks one worker, and knows what it was shown."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._sent: dict[Subject, AnyView] = {}

    async def ask(self, views: Sequence[AnyView], look: Look, deadline_s: float) -> Mapping[Subject, Answer]:
        """Raises Fault; then the worker is to be ended. More than a frame holds is asked for in several calls, each of
        which has the deadline."""
        shown = [self._shown(view, look) for view in views]
        sizes = [len(each.model_dump_json()) for each in shown] if _perhaps_large(views) else []
        if sum(sizes) > CALL_MAX_BYTES // 2 and len(views) > 1:
            middle = len(views) // 2
            first = await self.ask(views[:middle], look, deadline_s)
            return {**first, **await self.ask(views[middle:], look, deadline_s)}
        wide = look.wide
        result = await self._worker.call(
            lambda number: Call(id=number, deadline_s=deadline_s, wide=wide, subjects=shown), look, deadline_s
        )
        for view in views:
            if wire.gone(view):
                self._sent.pop(view.subject, None)
            else:
                self._sent[view.subject] = view
        return _answers(self._worker, [view.subject for view in views], result)

    def _shown(self, view: AnyView, look: Look) -> Shown:
        same = self._sent.get(view.subject) == view
        name = self._worker.spec.name
        records = [wire.record_sent(each, name) for each in look.store.of(view.subject)]
        return Shown(subject=str(view.subject), view=None if same else wire.sent(view), records=records)


def _perhaps_large(views: Sequence[AnyView]) -> bool:
    """A zone's view is a few KiB; networks and gateways hold all zones that are theirs."""
    return any(not isinstance(view, ZoneView) for view in views)


def _answers(worker: Worker, asked: Sequence[Subject], result: Result) -> Mapping[Subject, Answer]:
    """Raises Fault for an answer to what was not asked."""
    name = worker.spec.name
    left = {str(each): each for each in asked}
    answers = {each: Answer() for each in asked}
    for said in result.plans:
        subject = left.pop(said.subject, None)
        if subject is None:
            fault = Fault("protocol", f"answers for {said.subject!r}, which was not asked, or twice")
            worker.break_off(fault)
            raise fault
        answers[subject] = _answer(name, subject, said)
    return answers


def _answer(name: str, subject: Subject, said: SubjectAnswer) -> Answer:
    if said.failed:
        return Answer(failed=f"plugin {name}: {last_of(said.failed)}")
    if said.blind:
        return Answer(blind=f"{name}: {last_of(said.blind)}")
    try:
        return Answer(received(said.steps, said.notes, name, subject))
    except PluginFailed as problem:
        return Answer(failed=f"plugin {name}: {problem}")
