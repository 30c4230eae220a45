"""What is done about somebody's service, from what was seen of it: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from zonehookd.illumos import smf
from zonehookd.model import subject
from zonehookd.model.plan import Forget, Plan, Remember, describe
from zonehookd.plugin.served import Book, Seen, Server, Setting, Wanted, join, plan, runs
from zonehookd.plugin.served.book import Asked
from zonehookd.plugin.served.look import Judged
from zonehookd.plugin.served.server import ABSENT, Generation, digest
from zonehookd.plugin.served.steps import RETRY_S, SETTLE_S

SERVER = Server(
    name="named",
    where="edge",
    fmri="svc:/network/named:default",
    main=Path("/etc/named.conf"),
    config=Path("/var/z/named.conf"),
    include="include {path}\n",
    test=("/usr/sbin/named", "-t", "{path}"),
    data=(Path("/var/z/hosts"),),
)
LISTEN = {"config/listen": Setting("astring", ("int0", "int1"))}
ONE, TWO = Wanted("one\n", {Path("/var/z/hosts"): "a\n"}), Wanted("two\n", {Path("/var/z/hosts"): "a\n"})
NOW_S = 1000.0
MAIN = "# the admin's own\n"


@dataclass(frozen=True)
class Sight:
    """A service, what lies on disk, and our books; by default it runs with `ONE` under contract 7."""

    on_disk: Wanted | None = ONE
    state: str = "online"
    next_state: str = ""
    contract: int | None = 7
    book: Book = field(default_factory=lambda: good(ONE))
    candidate: Wanted | None = None
    tested: Judged | None = None
    said: str = ""
    rivals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    settings: Mapping[str, smf.Property] = field(default_factory=dict)
    changed: Mapping[Path, str | None] = field(default_factory=dict)

    def seen(self) -> Seen:
        there = self.on_disk
        files: dict[Path, str | None] = {SERVER.candidate: None, SERVER.main_candidate: None}
        files[SERVER.main] = SERVER.with_us(MAIN, SERVER.config) if there else MAIN
        files[SERVER.config] = there.generation(SERVER).config if there else None
        files |= there.files(SERVER) if there else dict.fromkeys(SERVER.data)
        if self.candidate is not None:
            files[SERVER.candidate] = self.candidate.generation(SERVER).config
            files[SERVER.main_candidate] = SERVER.with_us(files[SERVER.main], SERVER.candidate)
        files |= self.changed
        service = smf.Service(SERVER.fmri, self.state, self.next_state, self.contract)
        return Seen(subject.gateway("edge"), "named", self.book, service, files, self.settings, self.tested, self.said,
                    NOW_S, self.rivals)  # fmt: skip

    def told(self, wanted: Wanted | None = ONE) -> list[str]:
        """What is done about it, without the files and the books."""
        lines = [describe(step) for step in plan(SERVER, wanted, self.seen()).steps]
        return [line for line in lines if not line.startswith(("write", "remember", "forget", "zlogin", "remove"))]

    def codes(self, wanted: Wanted | None = ONE) -> list[str]:
        return [note.code for note in plan(SERVER, wanted, self.seen()).notes if note.kind != "nothing"]


def good(wanted: Wanted, /, **how: object) -> Book:
    book = Book(exists=True, good=wanted.generation(SERVER), contract="7", data=digest(wanted.files(SERVER)))
    return replace(book, **how)  # type: ignore[arg-type]


def asked(wanted: Wanted, state: str, age_s: float, **how: object) -> Book:
    """A restart with `wanted` was asked for so long ago, while the service was in that state under contract 7."""
    wish = Asked(wanted.generation(SERVER), digest(wanted.files(SERVER)), "7", state)
    return good(ONE, asked=wish, asked_s=NOW_S - age_s, **how)


def book_after(done: Plan) -> Book:
    return [Book.of(step.record) for step in done.steps if isinstance(step, Remember)][-1]


def svcadm(*words: str) -> str:
    return " ".join(["svcadm", "-z", "edge", *words, SERVER.fmri])


def test_at_rest_there_is_nothing_to_do() -> None:
    done = plan(SERVER, ONE, Sight().seen())
    assert done.steps == () and done.notes[0].kind == "nothing"
    assert runs(SERVER, ONE, Sight().seen()) and not runs(SERVER, TWO, Sight().seen())


def test_the_order_is_test_remember_swap_tell() -> None:
    lines = [describe(step) for step in plan(SERVER, TWO, Sight().seen()).steps]
    order = ["named.conf.candidate", "main-candidate", "named -t", "remember served", "/var/z/named.conf ",
             "svcadm -z edge restart", "rm -f", "rm -f"]  # fmt: skip
    assert len(lines) == len(order), lines
    assert all(word in line for word, line in zip(order, lines, strict=True)), lines
    book = book_after(plan(SERVER, TWO, Sight().seen()))
    assert book.asked is not None and book.asked.what == TWO.generation(SERVER)
    assert book.good == ONE.generation(SERVER), "what works is remembered until the new one is seen to work"


def test_a_record_keeps_what_is_put_into_it() -> None:
    book = good(
        Wanted("x", {}, LISTEN, frozenset({"dhcp"})), asked=Asked(ABSENT, "d", "9", "online"), bad={"digest": 'a "b"'},
        enabled=True, made_main=True, before={"config/listen": None, "config/x": Setting("astring", ())}, asked_s=1.25,
    )  # fmt: skip
    assert Book.of(book.to_record(SERVER, subject.gateway("edge"), "named")) == book
    assert Book.of(None) == Book()


def test_a_new_contract_is_the_proof() -> None:
    seen = replace(Sight(TWO, contract=8), book=asked(TWO, "online", 0.5)).seen()
    book = book_after(plan(SERVER, TWO, seen))
    assert book.asked is None and book.good == TWO.generation(SERVER) and book.contract == "8"


@pytest.mark.parametrize(
    ("age_s", "then"), [(0.5, []), (SETTLE_S + 1, [svcadm("restart")]), (-5.0, [svcadm("restart")])]
)
def test_a_restart_that_does_not_show_is_asked_for_again(age_s: float, then: list[str]) -> None:
    """Also when the clock was set back meanwhile."""
    sight = Sight(TWO, book=asked(TWO, "online", age_s))
    assert [line for line in sight.told(TWO) if "svcadm" in line] == then
    assert sight.codes(TWO) == ([] if then else ["asked"])


def test_a_foreign_restart_needs_none_of_ours_unless_the_files_were_changed() -> None:
    assert Sight(contract=9).told() == []
    assert book_after(plan(SERVER, ONE, Sight(contract=9).seen())).contract == "9"
    changed = Sight(contract=9, changed={SERVER.config: "graffiti"})
    assert changed.told()[-1] == svcadm("restart"), "it may have read the graffiti"
    assert Sight(changed={SERVER.config: "graffiti"}).told() == []


def test_one_on_its_way_is_waited_for() -> None:
    assert Sight(next_state="offline").told(TWO) == []
    assert Sight(next_state="offline").codes(TWO) == ["in-transition"]
    assert Sight(state="offline", contract=None).codes(TWO) == ["offline"]


def test_changes_within_the_pace_wait() -> None:
    young = Sight(book=good(ONE, asked_s=NOW_S - 0.2))
    assert young.told(TWO) == [] and young.codes(TWO) == ["paced"]


@pytest.mark.parametrize("leaving", [False, True])
def test_what_fails_its_test_is_not_tried_again(leaving: bool) -> None:
    sight = Sight(candidate=None if leaving else TWO, tested=Judged(False, "line 3: nonsense"))
    done = plan(SERVER, None if leaving else TWO, sight.seen())
    assert done.steps == () and [note.code for note in done.notes] == ["bad-config"]
    assert "line 3: nonsense" in done.notes[0].text


def test_what_passed_before_a_crash_is_not_tested_twice() -> None:
    assert Sight(candidate=TWO, tested=Judged(True)).told(TWO) == [svcadm("restart")]


def test_what_does_not_start_is_taken_back() -> None:
    failed = Sight(TWO, "maintenance", contract=None, book=asked(TWO, "online", 0.5), said="port 53: in use")
    done = plan(SERVER, TWO, failed.seen())
    assert [describe(step) for step in done.steps if "clear" in describe(step)] == [svcadm("clear")]
    assert any("/var/z/named.conf" in describe(step) for step in done.steps)
    assert [note.code for note in done.notes] == ["bad-config"] and "port 53: in use" in done.notes[0].text
    after = book_after(done)
    assert after.asked is not None and after.asked.what == ONE.generation(SERVER)
    back = replace(Sight(contract=9), book=after)
    assert back.told(TWO) == [] and back.codes(TWO) == ["bad-config"], "and stays out until it changes"
    three = Wanted("three\n", ONE.data)
    assert book_after(plan(SERVER, TWO, back.seen())).bad
    calm = replace(back, book=replace(book_after(plan(SERVER, TWO, back.seen())), asked_s=0.0))
    assert calm.told(three)[-1] == svcadm("restart")


def test_maintenance_that_lasts_is_somebody_elses() -> None:
    """What worked does not start any more: it is tried once, then left for its admin."""
    fallen = Sight(state="maintenance", contract=None)
    assert fallen.told() == [svcadm("clear")]
    once = book_after(plan(SERVER, ONE, fallen.seen()))
    given_up = replace(fallen, book=replace(once, asked_s=NOW_S - SETTLE_S - 1), said="no such interface")
    assert given_up.told() == [] and given_up.codes() == ["bad-config", "maintenance"]
    hint = plan(SERVER, ONE, given_up.seen()).notes[1].hint
    assert hint.endswith(svcadm("clear"))
    mended = replace(Sight(contract=12), book=book_after(plan(SERVER, ONE, given_up.seen())))
    assert mended.told() == [] and mended.codes() == []


def test_what_never_worked_is_tried_again_later_where_that_harms_nobody() -> None:
    book = Book(exists=True, good=ABSENT, bad={ONE.generation(SERVER).digest: "port 53: in use"}, enabled=True,
                asked_s=NOW_S - RETRY_S / 2)  # fmt: skip
    sight = Sight(None, "disabled", contract=None, book=book)
    assert sight.told() == [] and plan(SERVER, ONE, sight.seen()).notes[0].again_after_s == RETRY_S / 2
    late = replace(sight, book=replace(book, asked_s=NOW_S - RETRY_S))
    assert late.told()[-1] == svcadm("enable")
    foreign = replace(late, state="online", contract=3, book=replace(late.book, enabled=False))
    assert foreign.told() == [], "it serves somebody else, too"


def test_what_stopped_one_that_serves_nobody_else_is_looked_for_again() -> None:
    digest_ = ONE.generation(SERVER).digest
    book = good(ONE, wanted=digest_, bad={digest_: "no such interface"}, enabled=True, asked_s=NOW_S - RETRY_S / 2)
    stuck = Sight(state="maintenance", contract=None, book=book)
    assert stuck.told() == [] and plan(SERVER, ONE, stuck.seen()).notes[0].again_after_s == RETRY_S / 2
    late = replace(stuck, book=replace(book, asked_s=NOW_S - RETRY_S))
    assert late.told() == [svcadm("clear")]
    assert replace(late, book=replace(late.book, enabled=False)).told() == [], "an admin's own is left to him"


def test_what_failed_with_another_wish_is_tried_with_this_one() -> None:
    """Leaving failed, and so did what had run: the cause was gone with the configuration, and is there again."""
    failed = {each.digest: "it said nothing" for each in (ABSENT, ONE.generation(SERVER))}
    stuck = Sight(state="maintenance", contract=None, book=good(ONE, wanted=ABSENT.digest, bad=failed))
    assert stuck.told(None) == [] and stuck.codes(None) == ["bad-config", "maintenance"]
    assert stuck.told(ONE) == [svcadm("clear")]
    again = book_after(plan(SERVER, ONE, stuck.seen()))
    assert again.wanted == ONE.generation(SERVER).digest and not again.bad
    fallen = replace(stuck, book=replace(again, asked_s=NOW_S - SETTLE_S - 1))
    assert fallen.told(ONE) == [], "once for each wish"
    assert Book.of(again.to_record(SERVER, subject.gateway("edge"), "named")) == again


@pytest.mark.parametrize(
    ("main", "left", "state", "ours"),
    [
        ("", True, "online", True),  # the zone was created again over the old files
        ("# a word\n", True, "online", True),
        ("", False, "maintenance", True),
        ("zone its own\n", True, "online", False),
        ("zone its own\n", False, "maintenance", False),
        ("", False, "online", False),  # its admin's, by another main file
        ("zone its own\n", False, "disabled", True),
    ],
)
def test_who_enabled_it_is_seen_where_no_record_says_so(main: str, left: bool, state: str, ours: bool) -> None:
    server = replace(SERVER, starts=lambda text: "zone" in text)
    text = server.with_us(main, server.config) if left else main
    sight = Sight(ONE if left else None, state, book=Book(), changed={server.main: text})
    first = book_after(plan(server, ONE, sight.seen()))
    assert first.enabled is ours and first.made_main is (left and not main)
    running = replace(Sight(), book=good(ONE, enabled=first.enabled))
    assert running.told(None)[-1] == svcadm("disable" if ours else "restart")


def test_it_waits_for_a_rival_to_let_go() -> None:
    wanted = Wanted("two\n", ONE.data, claims=frozenset({"dhcp"}))
    taken = Sight(rivals={"edge svc:/network/other:default": frozenset({"dhcp"})})
    assert taken.told(wanted) == [] and taken.codes(wanted) == ["taken"]
    assert replace(taken, rivals={"edge svc:/network/other:default": frozenset({"names"})}).told(wanted)


def test_properties_are_set_and_set_back() -> None:
    wanted = Wanted(ONE.config, ONE.data, LISTEN)
    former = {"config/listen": smf.Property("astring", ("net0",))}
    lines = [describe(step) for step in plan(SERVER, wanted, Sight(settings=former).seen()).steps]
    assert any("setprop config/listen = astring:" in line and "(int0 int1)" in line for line in lines)
    told = [line for line in lines if "setprop" in line or "svcadm" in line]
    assert told[1:] == [svcadm("refresh"), svcadm("restart")] and len(told) == 3
    book = replace(good(wanted), before={"config/listen": Setting("astring", ("net0",))})
    now = {"config/listen": smf.Property("astring", ("int0", "int1"))}
    lines = [describe(step) for step in plan(SERVER, None, Sight(settings=now, book=book).seen()).steps]
    assert any("setprop config/listen = astring: net0" in line for line in lines)


def test_leaving_what_we_enabled_and_what_ran_before_us() -> None:
    assert Sight().told(None)[-1] == svcadm("restart")
    assert Sight(book=good(ONE, enabled=True)).told(None)[-1] == svcadm("disable")
    gone = Sight(None, "disabled", contract=None, book=good(ONE, good=ABSENT, enabled=True))
    assert isinstance(plan(SERVER, None, gone.seen()).steps[-1], Forget)


def test_data_are_a_hangup_and_a_restart_brings_them_along() -> None:
    other = Wanted(ONE.config, {Path("/var/z/hosts"): "b\n"})
    lines = [describe(step) for step in plan(SERVER, other, Sight().seen()).steps]
    assert ["hosts" in lines[0], "pkill -HUP -c 7" in lines[1], lines[2]] == [
        True,
        True,
        f"remember served {SERVER.key}",
    ]
    both = Wanted(TWO.config, {Path("/var/z/hosts"): "b\n"})
    assert not any("HUP" in describe(step) for step in plan(SERVER, both, Sight().seen()).steps)


def test_what_is_not_ours_is_left_alone() -> None:
    foreign = Sight(None, book=Book(), changed={SERVER.data[0]: "10.0.0.1 precious\n"})
    assert foreign.codes() == ["foreign-file"] and foreign.told() == []
    broken = Sight(changed={SERVER.main: "# BEGIN zonehookd named\n"})
    assert broken.codes() == ["broken-block"] and broken.told() == []


def test_nothing_is_asked_of_a_zone_without_the_service() -> None:
    seen = replace(Sight().seen(), service=None)
    assert [note.code for note in plan(SERVER, ONE, seen).notes] == ["no-service"]
    assert isinstance(plan(SERVER, None, seen).steps[-1], Forget)
    assert plan(SERVER, None, replace(seen, book=Book())).steps == ()


def test_what_could_not_be_looked_at_is_left_alone() -> None:
    done = plan(SERVER, None, replace(Sight().seen(), unseen="not UTF-8"))
    assert done.steps == () and [note.code for note in done.notes] == ["unseen"] and "not UTF-8" in done.notes[0].text


def test_generations_differ_by_all_that_a_restart_reads() -> None:
    every = [Generation(), Generation(""), Generation("", LISTEN), Generation("", {}, frozenset({"dhcp"}))]
    assert len({each.digest for each in every}) == len(every)
    assert [Generation.from_text(each.to_text()) for each in every] == every
    assert join([plan(SERVER, ONE, Sight().seen()), Plan()]).notes[0].kind == "nothing"
