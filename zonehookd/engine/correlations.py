"""Which change a subject is in: opened by a hint or by what a look finds, closed when nothing is left to do."""

from __future__ import annotations

from dataclasses import replace

from zonehookd.model import subject
from zonehookd.model.correlation import NONE, Correlation, Ids
from zonehookd.model.event import Event
from zonehookd.model.subject import Subject


class Correlations:
    """Bounded by the subjects that something is to be done about."""

    def __init__(self) -> None:
        self._ids = Ids()
        self._open: dict[Subject, Correlation] = {}

    def hinted(self, event: Event) -> Correlation:
        """Of a hint: the change of its zone, begun by it or open already; of no zone in particular, a cause."""
        words = " ".join(word for word in (event.source, event.kind, event.zone) if word)
        if event.zone is None or event.everything:
            new = self._ids.new()
            return Correlation(cause=new, heard=words)
        return self._begin(subject.zone(event.zone), None, words)

    def look(self, cause: Correlation | None) -> Correlation:
        """Of a new look, which nobody but the clock may have asked for."""
        new = self._ids.new()
        return replace(cause, look=new) if cause else Correlation(cause=new, look=new, heard="full look")

    def of(self, each: Subject) -> Correlation:
        return self._open.get(each, NONE)

    def planned(self, each: Subject, cause: Correlation, because: Subject | None) -> Correlation:
        """The change that a look has found something to do or to say about. `cause`: of the look; `because`: the
        subject for whose sake this one was looked at, where there is one."""
        root = self._open.get(because, cause) if because is not None else cause
        mine = replace(self._begin(each, root, root.heard), look=cause.look)
        self._open[each] = mine
        return mine

    def close(self, each: Subject) -> None:
        self._open.pop(each, None)

    def _begin(self, each: Subject, root: Correlation | None, words: str) -> Correlation:
        mine = self._open.get(each)
        if mine is None:
            new = self._ids.new()
            mine = self._open[each] = Correlation(new, root.cause if root else new, heard=words)
        return mine
