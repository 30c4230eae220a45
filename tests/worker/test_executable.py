"""Executables as plugins: described once, run once a call, and ended with their worker; or speaking the wire itself."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from worker.driven import Driven, shown

DESCRIBED = {
    **{"api": 1, "name": "good", "kind": "zone", "after": ["vnic"], "about": "Does as it is told."},
    "options": {"colour": {"default": "red", "about": "of the card"}},
}
# Does what the option says, in the words of a shell; its input lies beside it.
SCRIPT = """#!/bin/sh
here=$(dirname "$0")
case $1 in
describe) cat "$here/described" ;;
plan) echo run >>"$here/runs"; cat >"$here/input"; . "$here/plan" ;;
esac
"""


def executable(folder: Path, plan: str = "echo '{\"plans\": []}'", described: dict[str, Any] | str = DESCRIBED) -> Path:
    place = folder / "good"
    place.mkdir(exist_ok=True)
    (place / "described").write_text(described if isinstance(described, str) else json.dumps(described))
    (place / "plan").write_text(plan)
    (place / "plugin").write_text(SCRIPT)
    (place / "plugin").chmod(0o755)
    return place


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driven, Path]]:
    folder = tmp_path_factory.mktemp("talker")
    place = executable(folder)
    with Driven(folder, shape="executable", path=place) as worker:
        assert worker.begin(colour="blue") == {"v": 1, "type": "ready"}
        yield worker, place


def refused(folder: Path, described: dict[str, Any] | str, **options: Any) -> list[str]:
    with Driven(folder, shape="executable", path=executable(folder, described=described)) as worker:
        frame = worker.begin(**options)
        assert frame["type"] == "refused", frame
        lines: list[str] = frame["lines"]
        return lines


def test_it_says_who_it_is(tmp_path: Path) -> None:
    with Driven(tmp_path, shape="executable", path=executable(tmp_path)) as worker:
        hello = worker.read()
        assert hello["schema_of_options"]["properties"]["colour"] == {
            **{"type": "string", "default": "red", "description": "of the card"}
        }
        assert (hello["name"], hello["kind"], hello["after"]) == ("good", "zone", ["vnic"])
        assert (hello["api"], hello["about"], hello["instance"]) == (1, "Does as it is told.", "one")


def test_it_is_run_once_for_all_and_told_all(talker: tuple[Driven, Path]) -> None:
    worker, place = talker
    answer = {"subject": "zone:web2", "steps": [{"do": "block", "path": "/etc/hosts", "body": "x\n", "why": "wanted"}]}
    (place / "answer").write_text(json.dumps({"plans": [answer]}))
    (place / "plan").write_text('cat "$here/answer"')
    (place / "runs").unlink(missing_ok=True)
    web1, web2 = shown("web1", records=[{"kind": "block"}]), shown("web2")
    answers = worker.result(web1, web2)
    assert (place / "runs").read_text() == "run\n"
    given = json.loads((place / "input").read_text())
    subjects = given.pop("subjects")
    assert given == {"v": 1, "options": {"colour": "blue"}, "site": "here", "dialect": {"vnic_zone_field": False}}
    assert subjects == [web1, {**web2, "records": []}]
    assert answers.keys() == {"zone:web2"} and answers["zone:web2"]["steps"][0]["do"] == "block"


def test_what_it_is_not_shown_again_it_is_still_told(talker: tuple[Driven, Path]) -> None:
    worker, place = talker
    (place / "plan").write_text("echo '{\"plans\": []}'")
    worker.result(shown("web1"))
    worker.result({"subject": "zone:web1", "view": None})
    assert json.loads((place / "input").read_text())["subjects"] == [shown("web1", records=[])]
    worker.result(shown("web1", "absent"))
    answer = worker.result({"subject": "zone:web1", "view": None})["zone:web1"]
    assert answer["failed"] == "the daemon never said what zone:web1 is like"


@pytest.mark.parametrize(
    ("plan", "key", "said"),
    [
        ("echo too dark >&2; exit 75", "blind", "too dark"),
        ("exit 75", "blind", "it cannot look now"),
        ("echo no card >&2; exit 3", "failed", "plan exited 3: no card"),
        ("exit 3", "failed", "plan exited 3: without a word"),
        ("kill -SEGV $$", "failed", "plan was ended by SIGSEGV: without a word"),
        ("echo done", "failed", "plan printed no JSON: Expecting value: line 1 column 1 (char 0); it begins: done"),
        ("true", "failed", "plan printed nothing, where JSON was expected"),
        (
            'echo \'{"plans": [{"subject": "x"}]}\'',
            "failed",
            "plan answers in plans.0 for 'x', which was not asked about",
        ),
        ("head -c 20000000 /dev/zero", "failed", "plan printed more than 4194304 bytes"),
    ],
)
def test_what_goes_wrong_costs_the_call(talker: tuple[Driven, Path], plan: str, key: str, said: str) -> None:
    worker, place = talker
    (place / "plan").write_text(plan)
    answers = worker.result(shown("web1"), shown("web2"))
    assert [each[key] for each in answers.values()] == [said, said]


def test_what_it_says_beside_is_printed(talker: tuple[Driven, Path]) -> None:
    worker, place = talker
    (place / "plan").write_text("echo by the way >&2; echo '{\"plans\": []}'")
    assert worker.result(shown()) == {}
    worker.wait_printed("by the way\n")


def test_a_program_that_goes_is_not_run(talker: tuple[Driven, Path]) -> None:
    worker, place = talker
    (place / "plugin").rename(place / "aside")
    answer = worker.result(shown())["zone:web1"]
    (place / "aside").rename(place / "plugin")
    assert "cannot be run: No such file or directory" in answer["failed"]


def test_a_child_that_keeps_its_output_open_holds_up_nobody_and_ends_with_the_worker(tmp_path: Path) -> None:
    plan = 'sleep 600 & echo $! >"$here/child"; echo \'{"plans": []}\''
    place = executable(tmp_path, plan)
    with Driven(tmp_path, shape="executable", path=place) as worker:
        assert worker.begin()["type"] == "ready"
        assert worker.result(shown()) == {}
        child = int((place / "child").read_text())
        assert os.getpgid(child) == worker.process.pid, "so the daemon ends it with the worker"
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.ended() == 0
        ends_s = time.monotonic() + 30.0
        while _runs(child):
            assert time.monotonic() < ends_s, "and without a daemon it goes too"
            time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("described", "options", "said"),
    [
        ("hello", {}, "plugin good: describe printed no JSON: "),
        ({**DESCRIBED, "name": "better"}, {}, "plugin good: describe: its name is 'better'"),
        (
            DESCRIBED,
            {"color": "blue"},
            "plugins.options.good.color: no such option, found 'blue' (did you mean 'colour'?)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, described: Any, options: dict[str, Any], said: str) -> None:
    (line,) = refused(tmp_path, described, **options)
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho what >&2; exit 9\n", "plugin good: describe exited 9: what"),
        ("#!/bin/sh\nsleep 600\n", "did not finish within 5 s and was stopped"),
        ("#!/nowhere/sh\n", "No such file or directory"),
        ("no program at all", "cannot be run: Exec format error"),
    ],
)
def test_what_cannot_describe_itself_is_refused(tmp_path: Path, script: str, said: str) -> None:
    place = executable(tmp_path)
    (place / "plugin").write_text(script)
    with Driven(tmp_path, shape="executable", path=place) as worker:
        frame = worker.begin()
        assert frame["type"] == "refused" and said in frame["lines"][0], frame


# Speaks the wire with nothing of ours but this page of documentation: messages.py.
SERVER = """#!{python}
import json, os, resource, sys, zmq

if sys.argv[1] == "describe":
    print(json.dumps({{"api": 1, "name": "good", "kind": "zone", "speaks": "zeromq"}}))
    sys.exit()
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(os.environ["ZONEHOOKD_ENDPOINT"])
instance = os.environ["ZONEHOOKD_INSTANCE"]
say = lambda type, **more: socket.send_json({{"v": 1, "type": type, **more}})
say("hello", instance=instance, api=1, name="good", kind="zone")
socket.recv_json()
say("ready")
call = socket.recv_json()
note = {{"kind": "nothing", "text": f"files: {{resource.getrlimit(resource.RLIMIT_NOFILE)[0]}}"}}
say("result", id=call["id"], plans=[{{"subject": each["subject"], "notes": [note]}} for each in call["subjects"]])
sys.stdin.read()
"""


def test_one_that_speaks_the_wire_takes_our_place_with_our_limits(tmp_path: Path) -> None:
    place = executable(tmp_path)
    (place / "plugin").write_text(SERVER.format(python=sys.executable))
    with Driven(tmp_path, shape="executable", path=place) as worker:
        assert worker.begin() == {"v": 1, "type": "ready"}
        assert worker.result(shown())["zone:web1"]["notes"][0]["text"] == "files: 256"
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.ended() == 0
