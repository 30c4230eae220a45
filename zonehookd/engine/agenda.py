"""What is to be looked at: what was heard since the last look, and which subjects are due when, and since when.

Bounded by the subjects there are, whatever is heard. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from zonehookd.engine import views
from zonehookd.engine.backoff import Backoff
from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.correlation import Correlation
from zonehookd.model.event import Event
from zonehookd.model.subject import Subject

POLL = "poll"  # the source that announces nothing: it only makes us look


@dataclass(slots=True)
class Heard:
    """Hints that wait for a look, each with when it first came. `anything`: something changed, a survey tells what;
    `everything`: look at all subjects; `announced`: somebody other than the poll said so. `cause` is what was about no
    zone in particular, first of all; the poll only if there was nothing else."""

    zones: dict[str, float] = field(default_factory=dict)
    anything: float | None = None
    everything: float | None = None
    announced: bool = False
    cause: Correlation | None = None

    def __bool__(self) -> bool:
        return bool(self.zones or self.anything or self.everything)

    def hear(self, event: Event, now: float, correlation: Correlation) -> bool:
        """False: it only joins others that wait."""
        if not correlation.change and (self.cause is None or not self.announced):
            self.cause = correlation
        self.announced = self.announced or event.source != POLL
        if event.everything:
            new = self.everything is None
            self.everything = self.everything or now
        elif event.zone is None:
            new = self.anything is None
            self.anything = self.anything or now
        else:
            new = event.zone not in self.zones
            self.zones.setdefault(event.zone, now)
        return new

    def put_back(self, earlier: Heard) -> None:
        """Nothing was learnt from them."""
        self.zones = {**self.zones, **earlier.zones}
        self.everything = earlier.everything or self.everything
        self.anything = earlier.anything or self.anything
        self.announced = self.announced or earlier.announced
        self.cause = earlier.cause or self.cause


class Agenda:
    """`backoffs` of subjects that did not end well: who has new reasons to change is not counted as unsettled."""

    def __init__(self, backoffs: Mapping[Subject, Backoff]) -> None:
        self.heard = Heard()
        self._backoffs = backoffs
        self._due_at: dict[Subject, float] = {}
        self._due_since: dict[Subject, float] = {}
        self._because: dict[Subject, Subject] = {}

    def take(self) -> Heard:
        """What was heard until now; from here on it is gathered anew."""
        heard, self.heard = self.heard, Heard()
        return heard

    # -- who is due

    def gather(
        self,
        site: Site,
        former: Site | None,
        heard: Heard,
        changed: Collection[str],
        everybody: Collection[Subject],
        busy: Collection[Subject],
        since: float,
        now: float,
    ) -> list[Subject]:
        """Subjects to plan now: zones that were heard of or have `changed`, what is related to them in this site and in
        the `former` one, who was due, and `everybody` in a full look. `since` is when a look was asked for. Who is
        `busy` keeps its place, and is due when its work is done."""
        due: dict[Subject, float] = dict.fromkeys(everybody, since)
        for name in changed:
            due[subject.zone(name)] = heard.zones.get(name, since)
        for name, at in heard.zones.items():
            if name in site.zones:
                due[subject.zone(name)] = at
        for each, at in self._due_at.items():
            if at <= now:
                due.setdefault(each, self._due_since.get(each, at))
        news = set(changed) | heard.zones.keys()
        for each in [one for one in due if one.kind == "zone"]:
            for known in (former, site):  # where it was, and where it is
                for other in views.related(known, each.name) if known else ():
                    if other not in due:
                        due[other] = now
                        self._because[other] = each
                    if other in self._backoffs and other.name != each.name and each.name in news:
                        self._backoffs[other].heard()  # a gateway is not unsettled because zones behind it come and go
        for each, at in due.items():
            self._due_since[each] = min(at, self._due_since.get(each, at))
            if each in busy:
                self._due_at[each] = now
        return [each for each in due if each not in busy]

    def begin(self, each: Subject, now: float) -> float:
        """It is looked at now; returns since when it was due."""
        self._due_at.pop(each, None)
        return self._due_since.pop(each, now)

    def later(self, each: Subject, at: float) -> None:
        """Due at that time, unless it is sooner: a hint that came meanwhile is not put off by a failure."""
        self._due_at[each] = min(at, self._due_at.get(each, at))

    def anew(self, each: Subject, at: float) -> None:
        """Due at that time, whatever was said before."""
        self._due_at[each] = at

    def also(self, each: Subject, at: float, because: Subject) -> None:
        """Due at that time, unless it is due anyway."""
        if each not in self._due_at:
            self._due_at[each] = at
            self._because[each] = because

    def waits_since(self, each: Subject, at: float) -> None:
        self._due_since[each] = at

    def because(self, each: Subject) -> Subject | None:
        """For whose sake it is looked at; None: for its own, or because everybody is. Asked once for each look."""
        return self._because.pop(each, None)

    def hinted(self, each: Subject) -> bool:
        """It was heard of since the last look began."""
        return each.kind == "zone" and each.name in self.heard.zones

    def forget(self, each: Subject) -> None:
        self._because.pop(each, None)
        self._due_at.pop(each, None)
        self._due_since.pop(each, None)

    # -- when

    def next_at(self, busy: Collection[Subject], otherwise: float) -> float:
        """When the next subject that nobody works on is due."""
        return min([*(at for each, at in self._due_at.items() if each not in busy), otherwise])

    def anybody_by(self, at: float) -> bool:
        return any(due_at <= at for due_at in self._due_at.values())

    def waiting(self, busy: Collection[Subject], now: float) -> tuple[int, float]:
        """How many wait, and for how long the oldest does, in seconds."""
        since = [at for each, at in self._due_since.items() if each not in busy]
        since += self.heard.zones.values()
        return len(since), max((now - at for at in since), default=0.0)
