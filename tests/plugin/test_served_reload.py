"""What is done about a server that reloads: it lets go of nobody, and says itself which digest it has read. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from zonehookd.errors import CannotObserve, CommandNotFound
from zonehookd.illumos import smf
from zonehookd.model import subject
from zonehookd.model.command import Query, Reply
from zonehookd.model.plan import Plan, Remember, describe
from zonehookd.plugin.served import ABSENT, GENERATION, TOP, Book, Reload, Seen, Server, Wanted, observe, plan, runs
from zonehookd.plugin.served.book import Asked
from zonehookd.plugin.served.look import Judged
from zonehookd.plugin.served.server import Generation, digest

ASK: Query[str] = Query(("ask",), lambda reply: reply.stdout)
WORDS: Query[str] = Query(("words",), lambda reply: reply.stdout)
SERVER = Server(
    name="webd",
    where="edge",
    fmri="svc:/network/webd:default",
    main=Path("/etc/webd.conf"),
    config=Path("/var/z/webd.conf"),
    include=f"include {{path}}\n{TOP}",
    test=("/usr/sbin/webd", "-t", "{path}"),
    reload=Reload(lambda contract, why: smf.signal("edge", contract, "HUP", oldest=True, why=why), ASK, WORDS),
    beside=True,
)
ONE = Wanted(f"one {GENERATION}\n", top="top one\n")
TWO = Wanted(f"two {GENERATION}\n", top="top one\n")
NOW_S = 1000.0
MAIN = "# the admin's own\n"
TOLD = "zlogin -n edge 'pkill -HUP -o -c 7'"


def mark(wanted: Wanted) -> str:
    return wanted.generation(SERVER).digest


def good(what: Wanted, /, **how: Any) -> Book:
    return replace(
        Book(exists=True, good=what.generation(SERVER), contract="7", data=digest(what.files(SERVER))), **how
    )


def asked(what: Wanted, age_s: float, **how: Any) -> Book:
    return good(ONE, asked=Asked(what.generation(SERVER), digest({}), "7", "online"), asked_s=NOW_S - age_s, **how)


@dataclass(frozen=True)
class Sight:
    """By default it runs with `ONE` under contract 7, which lies on disk, too."""

    on_disk: Wanted | None = ONE
    state: str = "online"
    contract: int | None = 7
    runs: str | None = field(default_factory=lambda: mark(ONE))
    book: Book = field(default_factory=lambda: good(ONE))
    candidate: Wanted | None = None
    tested: Judged | None = None
    said: str = ""
    server: Server = SERVER

    def seen(self) -> Seen:
        files: dict[Path, str | None] = {SERVER.candidate: None, SERVER.main_candidate: None}
        files[SERVER.main] = MAIN
        files[SERVER.config] = None
        if self.on_disk is not None:
            there = self.on_disk.generation(SERVER)
            files[SERVER.main] = SERVER.main_for(there, MAIN, SERVER.config)
            files[SERVER.config] = there.config
        if self.candidate is not None:
            there = self.candidate.generation(SERVER)
            files[SERVER.candidate] = there.config
            files[SERVER.main_candidate] = SERVER.main_for(there, files[SERVER.main], SERVER.candidate)
        service = smf.Service(SERVER.fmri, self.state, "", self.contract)
        return Seen(subject.gateway("edge"), "webd", self.book, service, files, {}, self.tested, self.said, NOW_S,
                    runs=self.runs)  # fmt: skip

    def plan(self, wanted: Wanted | None = ONE) -> Plan:
        return plan(self.server, wanted, self.seen())

    def told(self, wanted: Wanted | None = ONE) -> list[str]:
        lines = [describe(step) for step in self.plan(wanted).steps]
        return [line for line in lines if "pkill" in line or "svcadm" in line]

    def codes(self, wanted: Wanted | None = ONE) -> list[str]:
        return [note.code for note in self.plan(wanted).notes if note.kind != "nothing"]


def book_after(done: Plan) -> Book:
    return [Book.of(step.record) for step in done.steps if isinstance(step, Remember)][-1]


def svcadm(verb: str) -> str:
    return f"svcadm -z edge {verb} {SERVER.fmri}"


def test_at_rest_there_is_nothing_to_do() -> None:
    assert Sight().plan().steps == () and runs(SERVER, ONE, Sight().seen())
    assert not runs(SERVER, ONE, replace(Sight(), runs="").seen())
    assert not runs(SERVER, TWO, Sight().seen())


def test_a_change_is_tested_remembered_swapped_and_told_by_signal() -> None:
    lines = [describe(step) for step in Sight().plan(TWO).steps]
    order = ["webd.conf.candidate", "/etc/webd.conf.zonehookd-candidate", "webd -t /etc/webd.conf.zonehookd-candidate",
             "remember served", "write /var/z/webd.conf ", "pkill -HUP -o -c 7", "rm -f", "rm -f"]  # fmt: skip
    assert len(lines) == len(order), lines
    assert all(word in line for word, line in zip(order, lines, strict=True)), lines


def test_what_stands_in_the_main_file_itself_is_a_change_too() -> None:
    other = replace(ONE, top="top two\n")
    assert mark(other) != mark(ONE)
    lines = [describe(step) for step in Sight().plan(other).steps]
    assert any("write /etc/webd.conf in" in line for line in lines) and lines[-3] == TOLD
    assert "top two\n" in (SERVER.main_for(other.generation(SERVER), MAIN, SERVER.config) or "")
    assert Generation.from_text(other.generation(SERVER).to_text()) == other.generation(SERVER)


def test_it_has_read_it_when_it_says_so() -> None:
    done = Sight(TWO, runs=mark(TWO), book=asked(TWO, 0.3)).plan(TWO)
    book = book_after(done)
    assert book.asked is None and book.good == TWO.generation(SERVER)
    early = Sight(TWO, book=asked(TWO, 0.3))
    assert early.told(TWO) == [] and early.codes(TWO) == ["asked"], "the same contract proves nothing"
    blind = Sight(TWO, runs=None, book=asked(TWO, 0.3))
    assert blind.told(TWO) == [] and blind.codes(TWO) == ["asked"]


def test_what_it_does_not_read_is_taken_back_with_its_words() -> None:
    late = Sight(TWO, book=asked(TWO, 4.0, wanted=mark(TWO)), said="bind() failed")
    done = late.plan(TWO)
    lines = [describe(step) for step in done.steps]
    assert [note.code for note in done.notes] == ["bad-config"] and "bind() failed" in done.notes[0].text
    assert any("write /var/z/webd.conf " in line for line in lines) and late.told(TWO) == [], "it never let go of it"
    book = book_after(done)
    assert book.bad == {mark(TWO): "bind() failed"} and book.good == ONE.generation(SERVER)
    after = Sight(book=book)
    assert after.told(TWO) == [] and after.codes(TWO) == ["bad-config"]
    three = Wanted("three\n")
    assert book_after(after.plan(three)).bad == {}, "something else is wanted"


def test_what_it_was_silent_about_is_told_once_more() -> None:
    """We may have been killed before it was told."""
    silent = Sight(TWO, book=asked(TWO, 4.0, wanted=mark(TWO)))
    assert silent.told(TWO) == [TOLD] and silent.codes(TWO) == []
    book = book_after(silent.plan(TWO))
    assert Book.of(book.to_record(SERVER, subject.gateway("edge"), "webd")) == book
    again = replace(silent, book=replace(book, asked_s=NOW_S - 4.0))
    assert again.told(TWO) == [] and again.codes(TWO) == ["bad-config"]
    assert "said nothing" in again.plan(TWO).notes[0].text


def test_how_long_it_may_take_is_the_servers_own() -> None:
    assert SERVER.reload is not None
    slow = replace(SERVER, reload=replace(SERVER.reload, settle_s=6.0))
    assert Sight(TWO, book=asked(TWO, 4.0), server=slow).codes(TWO) == ["asked"]


def test_the_first_time_is_a_restart_unless_it_knows_the_signal_anyway() -> None:
    fresh = Sight(None, book=Book(), runs="")
    assert fresh.told() == [svcadm("restart")]
    assert SERVER.reload is not None
    always = replace(SERVER, reload=replace(SERVER.reload, always=True))
    assert replace(fresh, server=always).told() == [TOLD]
    assert replace(fresh, state="disabled", contract=None, runs=None).told() == [svcadm("enable")]


def test_one_that_cannot_be_told_any_more_is_restarted() -> None:
    """Its master died: its workers say the right digest, and will say it for ever."""
    assert SERVER.reload is not None
    deaf = replace(SERVER, reload=replace(SERVER.reload, hears=False))
    there = Sight(server=deaf)
    assert there.told() == [svcadm("restart")]
    waits = replace(there, book=book_after(there.plan()))
    assert waits.told() == [] and waits.codes() == ["asked"], "what the workers say is no proof"
    again = Sight(contract=8, book=waits.book)
    assert again.told() == [] and book_after(again.plan()).contract == "8"


def test_with_books_lost_it_is_told_nothing_and_never_restarted() -> None:
    """It says what it has read: so it was told by us, and knows the signal."""
    lost = Sight(book=Book())
    assert lost.told() == [] and lost.codes() == []
    book = book_after(lost.plan())
    assert (book.good, book.contract, book.enabled) == (ONE.generation(SERVER), "7", False)
    starting = replace(SERVER, starts=lambda main: "listen" in main)
    assert book_after(replace(lost, server=starting).plan()).enabled, "without us it serves nobody"
    assert replace(lost, book=book).plan().steps == ()
    assert lost.told(TWO) == [TOLD]


def test_somebody_elses_restart_needs_none_of_ours() -> None:
    """Also one in a new contract that answers late."""
    assert Sight(contract=9).told() == [] and book_after(Sight(contract=9).plan()).contract == "9"
    late = Sight(contract=9, runs="")
    assert late.told() == [] and late.codes() == ["asked"]
    done = Sight(contract=9, book=replace(book_after(late.plan()), asked_s=NOW_S - 0.5))
    assert done.told() == [] and book_after(done.plan()).asked is None


def test_one_that_runs_with_something_else_is_told() -> None:
    """Somebody reloaded it with graffiti in our file, or without our lines."""
    assert Sight(runs="0123456789abcdef").told() == [TOLD]
    assert Sight(runs="").told() == [TOLD]


def test_a_change_that_leaves_the_basis_is_only_written() -> None:
    first, second = replace(ONE, basis="b"), replace(TWO, basis="b")
    sight = Sight(first, runs=mark(first), book=good(first))
    lines = [describe(step) for step in sight.plan(second).steps]
    assert sight.told(second) == [] and any("webd -t" in line for line in lines)
    assert book_after(sight.plan(second)).good == second.generation(SERVER)
    assert Sight(second, runs=mark(first), book=good(second)).plan(second).steps == ()


def test_leaving_is_a_reload_without_us() -> None:
    lines = [describe(step) for step in Sight().plan(None).steps]
    assert lines[-3] == TOLD and any("rm -f /var/z/webd.conf'" in line for line in lines)
    gone = good(ONE, asked=Asked(ABSENT, digest({}), "7", "online"), asked_s=NOW_S - 0.3)
    assert Sight(None, runs="", book=gone).told(None) == []
    assert any("forget served" in describe(step) for step in Sight(None, runs="", book=gone).plan(None).steps)
    assert Sight(book=good(ONE, enabled=True)).told(None) == [svcadm("disable")]


def test_one_that_is_disabled_without_us_need_not_come_up_with_what_is_left() -> None:
    """haproxy calls a file without a listener, such as the delivered one, a failure (services sheet 6.3)."""
    for judged in (None, Judged(False, "no listener")):
        unfit = Sight(book=good(ONE, enabled=True), tested=judged)
        lines = [describe(step) for step in unfit.plan(None).steps]
        assert unfit.told(None) == [svcadm("disable")] and unfit.codes(None) == []
        assert not any(" -t " in line for line in lines)


def test_what_its_admin_has_added_since_is_served_on_without_us() -> None:
    """A delivered main file may have an example in it: as it was before us, it says nothing."""
    server = replace(SERVER, serves=lambda main: "own" in main)
    first = Sight(None, "disabled", None, None, Book(), server=server)
    former = book_after(first.plan()).former
    assert (
        former and Book.of(good(ONE, former=former).to_record(server, subject.gateway("edge"), "webd")).former == former
    )
    as_it_was = Sight(book=good(ONE, enabled=True, former=former), server=server)
    assert as_it_was.told(None) == [svcadm("disable")]
    other = good(ONE, enabled=True, former="0123456789abcdef")
    assert Sight(book=other, server=server).told(None) == [TOLD]
    assert any(" -t " in describe(each) for each in Sight(book=other, server=server).plan(None).steps)
    assert Sight(book=other).told(None) == [svcadm("disable")], "changed, and serves nobody all the same"
    assert SERVER.reload is not None
    halves = Sight(book=other, server=replace(server, reload=replace(SERVER.reload, leaves=False)))
    assert halves.told(None) == [svcadm("restart")]
    gone = good(ONE, former="0123456789abcdef", asked=Asked(ABSENT, digest({}), "6", "online"), asked_s=NOW_S - 0.3)
    lines = [describe(step) for step in replace(halves, on_disk=None, runs=None, book=gone).plan(None).steps]
    assert lines[-1].startswith("forget served"), "under another contract, and nobody is there who could say so"


def test_leaving_asks_nothing_of_a_main_file_that_has_no_place_for_us() -> None:
    def nowhere(main: str | None, mark: str, body: str) -> str:
        raise ValueError("no place in it")

    odd = replace(SERVER, embed=replace(SERVER.embed, put=nowhere))
    sight = Sight(server=odd)
    assert sight.codes() == ["broken-block"] and "no place in it" in sight.plan().notes[0].text
    assert sight.told(None) == [TOLD]


def test_what_is_left_to_do_after_its_test_comes_before_it_is_told() -> None:
    tidy = replace(SERVER, tidy=lambda why: smf.refresh("edge", SERVER.fmri, why=why))
    lines = [describe(step) for step in Sight(server=tidy).plan(TWO).steps]
    test = next(number for number, line in enumerate(lines) if "webd -t" in line)
    assert lines[test + 1] == svcadm("refresh") and lines[-3] == TOLD


# -- looking -----------------------------------------------------------------------------------------------------------


class Host:
    """A host whose answers are given by the first word of a command; an Exception is raised."""

    def __init__(self, record: Any, answers: Mapping[str, object]) -> None:
        self._record, self._answers = record, answers
        self.asked: list[str] = []

    async def ask(self, query: Query[Any]) -> Any:
        words = query.argv[-1].split() if query.argv[0] == "zlogin" else list(query.argv)
        self.asked.append(words[0])
        answer = self._answers[words[0]]
        if isinstance(answer, Exception):
            raise answer
        return answer if not isinstance(answer, Reply) else query.parse(answer)

    def recall(self, _: object) -> list[Any]:
        return [self._record] if self._record is not None else []

    def recall_all(self, _: object, __: str) -> list[Any]:
        return []


def looked(book: Book, server: Server = SERVER, **answers: object) -> tuple[Seen, list[str]]:
    record = book.to_record(SERVER, subject.gateway("edge"), "webd") if book.exists else None
    there = Sight(ONE if book.exists else None).seen()
    given: dict[str, object] = {
        "svcs": {SERVER.fmri: there.service}, "sh": there.files, "ask": mark(ONE), "words": "no such port", **answers,
    }  # fmt: skip
    host = Host(record, given)
    return asyncio.run(observe(server, TWO, subject.gateway("edge"), "webd", host)), host.asked  # type: ignore[arg-type]


def test_it_is_asked_what_it_runs_and_what_it_said_where_that_counts() -> None:
    seen, asked_for = looked(good(ONE))
    assert seen.runs == mark(ONE) and "words" not in asked_for
    seen, _ = looked(asked(TWO, 0.3))
    assert seen.said == "no such port", "it has not read what it was told to"
    seen, asked_for = looked(Book())
    assert seen.runs == "" and "ask" not in asked_for, "nothing of ours lies there"
    seen, _ = looked(good(ONE), ask=CannotObserve("somebody else answers"))
    assert seen.runs is None and not seen.unseen


def test_a_program_that_is_not_installed_is_named_with_its_package() -> None:
    """In a zone a shell says so; in the global zone nothing is run at all."""
    lies = Sight(candidate=TWO).seen().files
    nowhere = CannotObserve("webd is not on the search path")
    nowhere.__cause__ = CommandNotFound(("webd",), "is not on the search path")
    packed = replace(SERVER, package="TRIBwebd")
    for said in (Reply(127, "", "sh: line 1: /usr/sbin/webd: not found\n"), nowhere):
        seen, _ = looked(good(ONE), **{"sh": lies, "/usr/sbin/webd": said})
        done = plan(packed, TWO, seen)
        assert done.steps == () and [note.code for note in done.notes] == ["not-installed"]
        assert "webd is not installed in zone edge: there is no /usr/sbin/webd" in done.notes[0].text
        assert "install TRIBwebd there" in done.notes[0].hint and done.notes[0].again_after_s
    seen, _ = looked(good(ONE), **{"sh": lies, "/usr/sbin/webd": Reply(127, "", "a file is missing\n")})
    assert "exited 127" in seen.unseen


@pytest.mark.parametrize("said", ["line 3: no", "[warn] much\nline 3: no\n"])
def test_of_its_test_only_what_counts_is_kept(said: str) -> None:
    def heard(text: str) -> str:
        return "\n".join(line for line in text.splitlines() if "[warn]" not in line)

    candidate = Sight(candidate=TWO).seen().files
    fussy: Callable[[str], str] = heard
    seen, _ = looked(good(ONE), replace(SERVER, heard=fussy), sh=candidate, **{"/usr/sbin/webd": Reply(1, "", said)})
    assert seen.tested == Judged(False, "line 3: no")
