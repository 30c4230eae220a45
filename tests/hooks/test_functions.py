"""Small functions as hooks: what they may ask for, whom they are called for, what they answer; and in their worker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from zonehookd.engine.attach import Attached
from zonehookd.errors import PluginRefused
from zonehookd.hooks import functions, telling
from zonehookd.hooks.moments import MOMENTS
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.plugin import finding, hooking, on
from zonehookd.plugin.finding import Found
from zonehookd.wire.messages import Call, HookAnswer, HookMoment, Welcome
from zonehookd.worker.moments import Moments

HEAD = "from zonehookd.plugin import Later, Never, on\n"


def file(root: Path, text: str) -> Found:
    path = root / "10-f.py"
    path.write_text(HEAD + text)
    return Found("hook-10-f", "hook", path)


def tell(
    root: Path, text: str, moment: str = "after-start", *, brand: str = "sparse", options: Any = None, **about: Any
) -> HookAnswer:
    """What a file with this text answers about zone web1."""

    async def run() -> HookAnswer:
        work = Moments(file(root, text))
        await work.load()
        await work.begin(Welcome(options=options or {}, site="paper", dialect={}))
        zone = Zone("web1", ZoneState.RUNNING, 7, config=ZoneConfig(brand, True, ()))
        shown = {**telling.about(zone, Attached()), **about}
        told = telling.message("10-f.py", moment, shown, 0.0, "look", 2, 5.0)  # type: ignore[arg-type]
        call = Call(id=1, deadline_s=5.0, moment=HookMoment(moment=moment, zone="web1", about=told))
        answer = (await work.work(call, None)).moment  # type: ignore[arg-type]
        assert answer is not None
        return answer

    return asyncio.run(run())


def test_a_function_gets_what_it_names(tmp_path: Path) -> None:
    text = f"""
@on("after-start", "after-stop")
def f(zone, moment, networks, addresses, options, tries, cause, when, deadline_s, attachments, refusals, log):
    with open({str(tmp_path / "out")!r}, "a") as out:
        print(zone.name, zone.state, zone.zoneid, moment, networks, addresses, file=out)
        print(options, tries, cause, deadline_s, file=out)
    log("done")
"""
    answer = tell(tmp_path, text, networks=["dmz"], addresses=["10.1.0.5/24"], options={"server": "ns1"})
    assert answer == HookAnswer(word="done")
    out = "web1 running 7 after-start ('dmz',) ('10.1.0.5/24',)\n{'server': 'ns1'} 2 look 5.0\n"
    assert (tmp_path / "out").read_text() == out


@pytest.mark.parametrize(
    ("rule", "called"),
    [
        ('"after-start"', True),
        ('"after-stop"', False),
        ('"after-start", zone="web*"', True),
        ('"after-start", zone=("db*", "web1")', True),
        ('"after-start", zone="db*"', False),
        ('"after-start", brand="sparse"', True),
        ('"after-start", brand="lx"', False),
        ('"after-start", network="dmz"', True),
        ('"after-start", network="dm?"', True),
        ('"after-start", network="back"', False),
        ('"after-start", network="dmz", zone="db*"', False),
    ],
)
def test_whom_it_is_called_for(tmp_path: Path, rule: str, called: bool) -> None:
    answer = tell(tmp_path, f'@on({rule})\ndef f(): return Never("it was called")\n', networks=["dmz"])
    assert (answer.word == "never") == called


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("pass", HookAnswer(word="done")),
        ('return Later(30, "not yet")', HookAnswer(word="later", text="not yet", again_after_s=30)),
        ("raise Later()", HookAnswer(word="later", text="not now")),
        ('raise Never("no")', HookAnswer(word="never", text="no")),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_its_words(tmp_path: Path, kind: str, body: str, answer: HookAnswer) -> None:
    assert tell(tmp_path, f'@on("after-start")\n{kind} f(zone): {body}\n') == answer


def test_all_else_is_a_failure_with_its_place(tmp_path: Path) -> None:
    answer = tell(tmp_path, '@on("after-start")\ndef f(): 1 / 0\n')
    assert answer.word == "failed" and "ZeroDivisionError" in answer.text and "10-f.py:3" in answer.text
    answer = tell(tmp_path, '@on("after-start")\ndef f(): return "done"\n')
    assert answer.word == "failed" and "is no answer (hint: nothing, Later or Never)" in answer.text


def test_one_after_the_other_up_to_the_first_that_is_not_done(tmp_path: Path) -> None:
    text = """
@on("after-start")
def first(): pass
@on("after-start")
def second(): raise Later(5)
@on("after-start")
def third(): raise Never("it is not called")
"""
    assert tell(tmp_path, text).word == "later"


def test_rules_add_up(tmp_path: Path) -> None:
    text = '@on("after-stop")\n@on("after-start", zone="web*")\ndef f(): raise Never("called")\n'
    assert tell(tmp_path, text).word == "never"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n", "it has no function with @on (hint: from zonehookd.plugin import on"),
        ('@on("after-boot")\ndef f(): pass\n', "there is no moment 'after-boot' (hint: did you mean"),
        ("@on()\ndef f(): pass\n", "on() wants a moment"),
        ('@on("after-start")\ndef f(zome): pass\n', "f: nobody gives 'zome' (hint: did you mean 'zone'?)"),
        ('@on("after-start")\ndef f(zone, /): pass\n', "positional only"),
        ("import nothing_of_that_name\n", "cannot be imported: ModuleNotFoundError"),
        ("def f(:\n", "cannot be imported: SyntaxError"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_cure(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(PluginRefused) as refused:
        asyncio.run(Moments(file(tmp_path, text)).load())
    assert complaint in str(refused.value) and "10-f.py" in str(refused.value)


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    found = file(tmp_path, '@on("after-stop", "before-start")\ndef f(): pass\n@on("after-stop")\ndef g(): pass\n')
    found.path.write_text('"""Keeps the names.\n\nLong."""\n' + found.path.read_text())
    said = asyncio.run(Moments(found).load())
    assert said.moments == ("before-start", "after-stop") and said.about == "Keeps the names." and said.kind is None


def test_defaults_and_everything_else_are_an_authors_own() -> None:
    @on("after-start")
    def f(zone: object, verbose: bool = False, **rest: object) -> None: ...

    assert [rule.moments for rule in hooking.rules_of(f)] == [("after-start",)]


def test_the_moments_are_the_same_everywhere() -> None:
    assert hooking.MOMENTS == MOMENTS


def test_each_file_has_a_worker_of_its_own() -> None:
    long = "50-" + "tell-the-monitoring-and-the-address-book-" * 2
    names = ["10-f.py", "10.f.py", "10-F.py", "10+f.py", f"{long}a.py", f"{long}b.py"]
    workers = [functions._worker(each) for each in names]
    assert workers[0] == "hook-10-f" and len(set(workers)) == len(names)
    assert all(finding.is_name(each) for each in workers)
