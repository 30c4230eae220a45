"""A plugin written in Python in its own process, talked to as the daemon does; each message, each way it goes wrong."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worker.driven import GOOD, Driven, place, shown, zone_view

TALKER = '''
"""Does what the name of the zone says."""
import asyncio, os, re, resource, sys, time

from zonehookd.errors import CannotObserve
from zonehookd.illumos.probe import Probe
from zonehookd.model.subject import zone as zone_subject
from zonehookd.plugin import Change, Note, Plan, Query, Record, Remember, WriteFile, ZonePlugin, nothing


def parsed(reply):
    return int(reply.stdout)


class Good(ZonePlugin):
    name = "good"
    after = ("vnic",)

    def concerns(self, zone, host):
        return zone.zone.name != "nothing"

    async def observe(self, zone, host):
        name = zone.zone.name
        if name.startswith("ask"):
            wide = Query(("count", "all"), lambda reply: {"web1": 1})
            return await host.ask(Query(("count", "one"), parsed, wide=wide, pick=lambda all: all["web1"]))
        if name == "long":
            return await host.ask(Query(("count", "one"), parsed, timeout_s=90))
        if name == "as-root":
            return await host.ask(Query(("count", "one"), parsed, user="root"))
        if name == "blind":
            raise CannotObserve("too dark")
        if name == "odd-name":
            raise CannotObserve("cannot read " + os.fsdecode(b"/etc/\\xff"))
        if name == "long-story":
            raise RuntimeError("and then " * 100_000)
        if name == "leave":
            sys.exit(3)
        if name == "break":
            return {}["nothing"]
        if name == "folder":
            return host.read_file(__import__("pathlib").Path("/"))
        if name == "recall":
            own = [f"{each.kind} {each.name}" for each in host.recall(zone.subject)]
            return own + [each.plugin for each in host.recall_all(zone.subject, "vnic")]
        if name == "recall-one":
            return [host.recall_one("card", "x"), host.recall_one("card", "x")]
        if name == "recall-other":
            return host.recall(zone_subject("web9"))
        if name == "probe":
            return host.answers("edge", [])
        if name == "limits":
            return [resource.getrlimit(each)[1] for each in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)]
        if name == "modules":
            return sorted({".".join(each.split(".")[:2]) for each in sys.modules})
        if name == "read":
            return sys.stdin.read()
        if name == "greedy":
            return len(bytes(1 << 30))
        if name == "print":
            print("to standard output")
            os.system("echo from a child; echo to standard error >&2")
        return (host.site, host.dialect.vnic_zone_field)

    def plan(self, zone, seen):
        match zone.zone.name:
            case "none":
                return None
            case "text":
                return Plan((WriteFile("/etc/x", "x", "a path that is text"),))
            case "words":
                return Plan((Change("dladm show-link", "arguments that are text"),))
            case "judge":
                return Plan((Change(("true",), "why", judge=lambda status, stderr: None),))
            case "patient":
                return Plan((Change(("true",), "it takes long", timeout_s=500),))
            case "silent":
                return Plan((Change(("true",), "why", silent=True),))
            case "note":
                return Plan(notes=(Note("maybe", "who knows"),))
            case "many":
                return Plan(tuple(Change(("true",), f"{each}") for each in range(1001)))
            case "large":
                return Plan((Change(("true",), "x" * (17 << 20)),))
            case "slow":
                time.sleep(600)
            case "spin":
                while True:
                    pass
            case "lock":
                print("nobody else gets a turn")
                re.match("(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock for years
            case "card":
                return Plan((Remember(Record("card", "x", zone.subject, "another", {"a": "b"}), "why"),))
        return nothing(str(seen))


'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One that goes on from test to test, whatever it was told."""
    folder = tmp_path_factory.mktemp("talker")
    with Driven(folder, path=place(folder, TALKER)) as worker:
        assert worker.begin() == {"v": 1, "type": "ready"}
        yield worker


def said(worker: Driven, name: str, **more: Any) -> str:
    """The one note, or why there is none."""
    answer = worker.result(shown(name, **more))[f"zone:{name}"]
    return str(answer["failed"] or answer["blind"] or answer["notes"][0]["text"])


def refused(folder: Path, text: str, **options: Any) -> list[str]:
    with Driven(folder, path=place(folder, text)) as worker:
        answer = worker.begin(**options)
        assert answer["type"] == "refused", answer
        lines: list[str] = answer["lines"]
        return lines


def test_it_says_who_it_is_and_plans(folder: Path) -> None:
    with Driven(folder, path=place(folder)) as worker:
        hello = worker.read()
        assert hello.pop("schema_of_options")["properties"]["colour"]["default"] == "red"
        assert hello == {
            **{"v": 1, "type": "hello", "instance": "one", "api": 1, "name": "good", "kind": "zone"},
            **{"after": [], "about": "Writes a card for each zone.", "moments": []},
        }
        worker.say(type="welcome", options={"colour": "blue"}, site="here", dialect={"vnic_zone_field": True})
        assert worker.read() == {"v": 1, "type": "ready"}
        (step,) = worker.result(shown())["zone:web1"]["steps"]
        assert (step["do"], step["content"], step["why"]) == ("write", "blue", "the card is wrong")
        Path(step["path"]).write_text("blue")
        again = worker.result({"subject": "zone:web1", "view": None})["zone:web1"]
        assert (again["steps"], again["notes"][0]["text"]) == ([], "the card is right")
        worker.say(type="stop")
        assert worker.ended() == 0


def test_it_starts_quickly_because_it_loads_nothing_of_the_daemon(talker: Driven) -> None:
    loaded = re.findall(r"'([^']+)'", said(talker, "modules"))
    assert "zonehookd.wire" in loaded
    assert not {"zonehookd.engine", "zonehookd.store", "zonehookd.bus", "zonehookd.daemon", "zonehookd.config"} & {
        *loaded
    }
    assert not {"click", "rich", "structlog", "prometheus_client", "tomlkit"} & {*loaded}


def test_what_is_nothing_to_it_is_left_out(talker: Driven) -> None:
    assert talker.result(shown("nothing"), shown("web1")).keys() == {"zone:web1"}


def test_what_does_not_change_it_is_told_once(talker: Driven) -> None:
    assert said(talker, "web1") == "('here', False)"


def test_what_is_gone_is_not_kept(talker: Driven) -> None:
    talker.result(shown("old"))
    talker.result(shown("old", "absent"))
    assert said(talker, "old", view=None) == "the daemon never said what zone:old is like"


@pytest.mark.parametrize(
    ("name", "answer", "why"),
    [
        ("blind", "blind", "too dark"),
        ("odd-name", "blind", r"cannot read /etc/\\udcff"),
        ("long-story", "failed", r"broke: RuntimeError\('(and then ){200,250}"),
        ("folder", "blind", "cannot read /: .*Is a directory"),
        ("leave", "failed", r"broke: SystemExit\(3\) \(.*/good/plugin.py:\d+\)"),
        ("break", "failed", r"broke: KeyError\('nothing'\) \(.*/good/plugin.py:\d+\)"),
        ("greedy", "failed", r"broke: MemoryError\(\) \(.*/good/plugin.py:\d+\)"),
        ("none", "failed", "plan returned NoneType, not a Plan"),
        ("text", "failed", "plan: path must be a Path, found '/etc/x'"),
        ("words", "failed", "plan: argv must be a tuple of words, found 'dladm show-link'"),
        ("judge", "failed", "plan: 'true': a judge of one's own cannot be sent"),
        (
            "patient",
            "failed",
            "plan: Change of which the why is 'it takes long': timeout_s: .* equal to 120, found 500",
        ),
        ("silent", "failed", "plan: 'true': silent is not for plugins in a process of their own"),
        ("note", "failed", "plan: the note 'who knows': kind: Input should be 'nothing', .*, found 'maybe'"),
        ("many", "failed", "plan: 1001 steps for one subject, and 1000 are the most"),
        ("long", "failed", '"count one": timeout_s: Input should be less than or equal to 60'),
        ("as-root", "failed", r'"count one": as whom a question is asked is for \[plugins.run.good\] user to say'),
        ("recall-other", "failed", "host.recall: zone:web9 is not among what was asked about"),
        ("probe", "failed", "host.answers: backends are not asked for plugins in a process of their own"),
    ],
)
def test_what_goes_wrong_with_one_zone_costs_that_zone(talker: Driven, name: str, answer: str, why: str) -> None:
    answers = talker.result(shown(name), shown("web1"))
    assert re.match(why, answers[f"zone:{name}"][answer]), answers[f"zone:{name}"]
    assert answers[f"zone:{name}"]["steps"] == []
    assert answers["zone:web1"]["notes"][0]["kind"] == "nothing"


def test_an_answer_that_is_too_large_is_no_answer_and_others_are(talker: Driven) -> None:
    answers = talker.result(shown("large"), shown("web1"))
    assert re.match(r"plan: its \d+ bytes do not fit into one message with the others", answers["zone:large"]["failed"])
    assert answers["zone:web1"]["notes"][0]["text"] == "('here', False)"


def test_where_it_broke_is_printed_once_a_call(talker: Driven) -> None:
    before = talker.printed().count("KeyError: 'nothing'")
    talker.result(shown("break"), shown("break"))
    assert talker.printed().count("KeyError: 'nothing'") == before + 1


def test_what_it_prints_goes_to_standard_error_and_it_has_no_input(talker: Driven) -> None:
    said(talker, "print")
    lines = talker.printed().splitlines()
    assert {"to standard output", "from a child", "to standard error"} <= {*lines}
    assert said(talker, "read") == ""


def test_it_has_limits(talker: Driven) -> None:
    assert said(talker, "limits") == "[0, 256]"


def answer(worker: Driven, ask: dict[str, Any], **reply: Any) -> None:
    worker.say(type="answer", id=ask["id"], ask=ask["ask"], **reply)


def test_a_question_is_asked_once_however_many_want_to_know(talker: Driven) -> None:
    number = talker.call(shown("ask1"), shown("ask2"))
    ask = talker.read()
    assert (ask["type"], ask["id"]) == ("ask", number)
    assert ask["question"] == {"what": "command", "argv": ["count", "one"], "stdin": "", "timeout_s": 30.0}
    answer(talker, ask, answer={"status": 0, "stdout": "7", "stderr": ""})
    assert [each["notes"][0]["text"] for each in talker.read()["plans"]] == ["7", "7"]


def test_a_wide_call_asks_for_the_walk_over_all(talker: Driven) -> None:
    talker.call(shown("ask1"), wide=True)
    ask = talker.read()
    assert ask["question"]["argv"] == ["count", "all"]
    answer(talker, ask, answer={"status": 0, "stdout": "", "stderr": ""})
    assert talker.read()["plans"][0]["notes"][0]["text"] == "1"


def test_what_cannot_be_answered_or_read_is_blind(talker: Driven) -> None:
    talker.call(shown("ask1"))
    answer(talker, talker.read(), error="count is not on the search path")
    assert talker.read()["plans"][0]["blind"] == "count is not on the search path"
    talker.call(shown("ask1"))
    answer(talker, talker.read(), answer={"status": 0, "stdout": "many", "stderr": ""})
    assert 'cannot read what "count one" printed: invalid literal' in talker.read()["plans"][0]["blind"]


def test_an_answer_that_nobody_waits_for_is_dropped(talker: Driven) -> None:
    talker.say(type="answer", id=0, ask=10_000, answer={})
    assert said(talker, "web1") == "('here', False)"


def record(kind: str, plugin: str) -> dict[str, Any]:
    return {"kind": kind, "name": "x", "owner": "zone:recall", "plugin": plugin, "facts": {}}


def test_records_of_a_zone_come_with_it(talker: Driven) -> None:
    records = [record("card", "good"), record("vnic", "vnic")]
    assert said(talker, "recall", records=records) == "['card x', 'vnic']"


def test_any_record_can_be_asked_for_without_awaiting(talker: Driven) -> None:
    talker.call(shown("recall-one"))
    ask = talker.read()
    assert ask["question"] == {"what": "record", "kind": "card", "name": "x"}
    answer(talker, ask, answer={"record": {**record("card", "good"), "facts": {"a": "b"}}})
    assert "facts={'a': 'b'}" in talker.read()["plans"][0]["notes"][0]["text"]
    talker.call(shown("recall-one"))
    answer(talker, talker.read(), answer={"record": None})
    assert talker.read()["plans"][0]["notes"][0]["text"] == "[None, None]"


def test_what_it_remembers_is_sent_by_kind_and_name(talker: Driven) -> None:
    (step,) = talker.result(shown("card"))["zone:card"]["steps"]
    assert step == {"do": "remember", "record": {"kind": "card", "name": "x", "facts": {"a": "b"}}, "why": "why"}


def test_who_asks_something_for_each_zone_asks_for_all_at_once(folder: Path) -> None:
    text = GOOD.replace('name = "good"', 'name = "good"\n    asks_each = True').replace(
        "return host.read_file(", "return await host.ask(Query((zone.zone.name,), lambda reply: reply.stdout)) or ("
    )
    with Driven(folder, path=place(folder, text.replace("import Plan,", "import Plan, Query,"))) as worker:
        assert worker.begin()["type"] == "ready"
        worker.call(shown("web1"), shown("web2"))
        asks = [worker.read(), worker.read()]
        assert [each["question"]["argv"] for each in asks] == [["web1"], ["web2"]]
        for ask in reversed(asks):
            answer(worker, ask, answer={"status": 0, "stdout": "red", "stderr": ""})
        assert [each["subject"] for each in worker.read()["plans"]] == ["zone:web1", "zone:web2"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("async def observe", "async def obseve", "plugin good: observe is missing (hint: is 'obseve' it?)"),
        ('name = "good"', 'name = "best"', "plugin good: its name is 'best' (hint: name it as its folder)"),
        ("class Good", "1 / 0\nclass Good", "plugin.py cannot be imported: ZeroDivisionError('division by zero')"),
        ("class Good", "def broken(:\nclass Good", "plugin.py cannot be imported: SyntaxError("),
    ],
)
def test_what_cannot_be_loaded_says_hello_and_is_refused(folder: Path, old: str, new: str, line: str) -> None:
    assert line in refused(folder, GOOD.replace(old, new))[0]


def test_wrong_options_are_refused_all_of_them(folder: Path) -> None:
    assert refused(folder, GOOD, color="blue", colour=3) == [
        "plugins.options.good.colour: input should be a valid string, found 3",
        "plugins.options.good.color: no such option, found 'blue' (did you mean 'colour'? there are: colour)",
    ]


def test_one_that_breaks_while_it_is_made_is_refused(folder: Path) -> None:
    text = GOOD + "\n    def __init__(self, options):\n        raise OSError('no card reader')\n"
    (line,) = refused(folder, text)
    assert re.match(r"plugin good: Good\(options\) raised OSError\('no card reader'\) \(.*/plugin.py:\d+\)", line)


@pytest.mark.parametrize("name", ["slow", "spin"])
def test_it_ends_with_the_daemon_whatever_it_does(folder: Path, name: str) -> None:
    with Driven(folder, path=place(folder, TALKER)) as worker:
        assert worker.begin()["type"] == "ready"
        worker.call(shown(name))
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.ended() == 0


def test_who_is_ended_in_a_call_shows_where_it_was(folder: Path) -> None:
    with Driven(folder, path=place(folder, TALKER)) as worker:
        assert worker.begin()["type"] == "ready"
        worker.call(shown("lock"))
        worker.wait_printed("nobody else gets a turn")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.ended() == -signal.SIGTERM
        assert re.search(r'/good/plugin.py", line \d+ in plan', worker.printed())


def test_a_daemon_of_another_version_is_not_worked_for(folder: Path) -> None:
    with Driven(folder, path=place(folder)) as worker:
        assert worker.begin()["type"] == "ready"
        worker.say(type="call", id=1, deadline_s=1.0, subjects=[shown()], colour="blue")
        assert worker.ended() == 76
        assert "the daemon says what this version does not know" in worker.printed()


def test_views_of_another_version_cost_the_zone(talker: Driven) -> None:
    view = {"zone": {"name": "odd"}}
    assert said(talker, "odd", view=view).startswith("the daemon sent no zone that this version knows")
    assert said(talker, "odd", view=zone_view("odd")) == "('here', False)"
