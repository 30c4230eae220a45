"""What hooks were told, in our books: one record a zone. It is written before a hook is called and after all were, so
who is killed in between tells it once more, and never forgets it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zonehookd.hooks.moments import Owed, Stage
from zonehookd.model import subject
from zonehookd.model.record import HOOK, Record

PLUGIN = "hooks"  # in the books, which want a name for whoever wrote a record
_owed: TypeAdapter[list[Owed]] = TypeAdapter(list[Owed])


@dataclass(frozen=True, slots=True)
class Page:
    """Of one zone. `told` None: nothing yet, or that it is gone. `about`: the zone as it was seen last."""

    told: Stage | None = None
    owed: Sequence[Owed] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def record(zone: str, page: Page) -> Record | None:
    """Facts: there, made, run, owed, about. None: nothing is to be remembered; what each start tells anew is not."""
    owed = [each for each in page.owed if each.moment != "reconnect"]
    if page.told is None and not owed:
        return None
    facts = {
        "there": "yes" if page.told is not None else "",
        "made": "yes" if page.told is not None and page.told.made else "",
        "run": page.told.run if page.told is not None else "",
        "owed": _owed.dump_json(owed).decode(),
        "about": json.dumps(dict(page.about)),
    }
    return Record(HOOK, zone, subject.zone(zone), PLUGIN, facts)


def pages(records: Iterable[Record]) -> Mapping[str, Page]:
    """By zone. A record of an older version counts as one of a zone about which all has been told."""
    found: dict[str, Page] = {}
    for each in records:
        facts = each.facts
        told = Stage(bool(facts.get("made")), facts.get("run", "")) if facts.get("there") else None
        try:
            owed = tuple(_maybe_tried(each) for each in _owed.validate_json(facts.get("owed", "[]")))
            about = json.loads(facts.get("about", "{}"))
        except (ValidationError, ValueError):
            owed, about = (), {}
        found[each.name] = Page(told, owed, about)
    return found


def _maybe_tried(owed: Owed) -> Owed:
    """Whoever wrote it may have been killed while a hook ran."""
    return replace(owed, hooks={hook: max(1, tries) for hook, tries in owed.hooks.items()})
