"""Our record of one server: what it has read, what it was asked to, what it did not come up with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.plugin.served.server import ABSENT, Generation, Server, Setting

KIND = "served"


@dataclass(frozen=True, slots=True)
class Asked:
    """A restart (or enable, clear, disable) we asked for, and have not seen the end of.

    `contract` and `state` are those of before. Written before the files are, so a crash in between is found by the
    files. `at_s`: wall clock, seconds.
    """

    what: Generation
    data: str
    contract: str
    state: str


@dataclass(frozen=True, slots=True)
class Book:
    """`good`: what the server was last seen to run with, under `contract`; None: nothing of ours yet. `data`: digest
    of the data files it has read. `bad`: digest -> the server's words, for what it did not come up with while `wanted`,
    a digest, was what was wanted ("": not known).

    `asked_s`: when we last asked, wall clock. `enabled`: it served nobody before us: it was disabled, or could not
    start. `former`: digest of what the main file was without us then; "": not known. `made_main`: there was no main
    file. `before`: the properties we set, as they were; None: not there.
    `silent`: digest of what it was told to read, and neither read nor complained of: perhaps we were killed before.
    """

    exists: bool = False
    good: Generation | None = None
    contract: str = ""
    data: str = ""
    asked: Asked | None = None
    asked_s: float = 0.0
    bad: Mapping[str, str] = field(default_factory=dict)
    wanted: str = ""
    enabled: bool = False
    former: str = ""
    made_main: bool = False
    before: Mapping[str, Setting | None] = field(default_factory=dict)
    silent: str = ""

    @property
    def loaded(self) -> Generation:
        """What the server runs with, as far as it concerns us."""
        return self.good or ABSENT

    @property
    def claims(self) -> frozenset[str]:
        """What it has, or may have got since we last looked."""
        return self.loaded.claims | (self.asked.what.claims if self.asked else frozenset())

    def age_s(self, now_s: float) -> float:
        """Seconds since we last asked; a clock that was set back makes it long ago."""
        age_s = now_s - self.asked_s
        return age_s if age_s >= 0 else float("inf")

    def works(self, contract: str) -> Book:
        """What was asked for is so, under this contract."""
        assert self.asked is not None
        book = self.without_bad(self.asked.what)
        return replace(book, good=self.asked.what, contract=contract, data=self.asked.data, asked=None, silent="")

    def fails(self, why: str) -> Book:
        assert self.asked is not None
        return replace(self, asked=None, silent="", bad={**self.bad, self.asked.what.digest: why})

    def without_bad(self, what: Generation) -> Book:
        """It may be tried again."""
        return replace(self, bad={key: why for key, why in self.bad.items() if key != what.digest})

    def to_record(self, server: Server, owner: Subject, plugin: str) -> Record:
        facts = {
            "good": self.good.to_text() if self.good else "",
            "contract": self.contract,
            "data": self.data,
            "asked_s": repr(self.asked_s),
            "bad": json.dumps(dict(self.bad), sort_keys=True),
            "wanted": self.wanted,
            "enabled": "yes" if self.enabled else "",
            "made_main": "yes" if self.made_main else "",
            **({"former": self.former} if self.former else {}),
            **({"silent": self.silent} if self.silent else {}),
            "before": json.dumps(
                {name: [each.type, *each.values] if each else None for name, each in self.before.items()},
                sort_keys=True,
            ),
        }
        if self.asked is not None:
            facts |= {
                "asked": self.asked.what.to_text(),
                "asked_data": self.asked.data,
                "asked_contract": self.asked.contract,
                "asked_state": self.asked.state,
            }
        return Record(KIND, server.key, owner, plugin, facts)

    @staticmethod
    def of(record: Record | None) -> Book:
        if record is None:
            return Book()
        facts = record.facts
        asked = None
        if "asked" in facts:
            asked = Asked(
                Generation.from_text(facts["asked"]),
                facts["asked_data"],
                facts["asked_contract"],
                facts["asked_state"],
            )
        before = {
            name: Setting(words[0], tuple(words[1:])) if words else None
            for name, words in json.loads(facts["before"]).items()
        }
        return Book(
            exists=True,
            good=Generation.from_text(facts["good"]) if facts["good"] else None,
            contract=facts["contract"],
            data=facts["data"],
            asked=asked,
            asked_s=float(facts["asked_s"]),
            bad=json.loads(facts["bad"]),
            wanted=facts.get("wanted", ""),
            enabled=bool(facts["enabled"]),
            former=facts.get("former", ""),
            made_main=bool(facts["made_main"]),
            before=before,
            silent=facts.get("silent", ""),
        )
