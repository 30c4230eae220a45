"""The pages on the contract and the wire are right: examples are the code's own, and the worker in C does its work."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from guide import File, steps

from docs._ext import plugins
from zonehookd.illumos.dladm import Dialect
from zonehookd.model.subject import Subject
from zonehookd.testing import gone, zone
from zonehookd.wire import messages, views
from zonehookd.wire.steps import received
from zonehookd.worker.program import described

ROOT = Path(__file__).resolve().parents[2]
WEB1 = zone("web1", "running", "dmz", "10.1.0.5/24")
PATIENCE_MS = 30_000


def test_each_example_is_what_the_code_sends() -> None:
    assert plugins.on_page() == plugins.examples(), "python -m docs._ext.plugins writes them anew"


def test_each_message_and_each_step_has_one() -> None:
    shown = [json.loads(each) for each in plugins.examples().values()]
    both = (messages.from_worker, messages.to_worker)
    known = {name for each in both for name in each.json_schema()["discriminator"]["mapping"]}
    assert {each["type"] for each in shown if "type" in each} == known
    done = messages.from_worker.json_schema()["$defs"]["SubjectAnswer"]["properties"]["steps"]["items"]
    assert {each["do"] for each in shown if "do" in each} == set(done["discriminator"]["mapping"])


def test_the_sample_of_the_guide_is_short() -> None:
    files = {each.path: each.text for each in steps("guide.md") if isinstance(each, File)}
    for name in ("plugin.py", "plugin"):
        assert len(files[f"/export/plugins/hosts/{name}"].splitlines()) < 40


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The worker in C."""
    program = tmp_path_factory.mktemp("hosts") / "plugin"
    source = ROOT / "docs" / "examples" / "worker.c"
    argv = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source), "-lzmq", "-lcjson"]
    subprocess.run(argv, check=True, timeout=60)
    return program


class Talk:
    """The daemon's end."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.socket = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        endpoint = f"ipc://{folder}/hosts.sock"
        self.socket.bind(endpoint)
        environ = {messages.ENDPOINT: endpoint, messages.INSTANCE: "today"}
        self.process = subprocess.Popen([program, "serve"], env=environ, stdin=subprocess.PIPE)
        self.who = b""

    def hear(self) -> Any:
        assert self.socket.poll(PATIENCE_MS), "it says nothing"
        self.who, text = self.socket.recv_multipart()
        return messages.from_worker.validate_json(text)

    def say(self, frame: messages.Frame) -> None:
        self.socket.send_multipart([self.who, frame.model_dump_json().encode()])

    def call(self, number: int, *shown: messages.Shown) -> messages.Result:
        self.say(messages.Call(id=number, deadline_s=10, subjects=list(shown)))
        result = self.hear()
        assert isinstance(result, messages.Result) and result.id == number
        return result

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.socket.close()


@pytest.fixture
def talk(program: Path, tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(program, tmp_path)
    yield talk
    talk.close()


def test_the_worker_in_c_describes_itself(program: Path) -> None:
    printed = subprocess.run([program, "describe"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert described("hosts", printed).speaks == "zeromq"


def test_the_worker_in_c_keeps_lines(talk: Talk) -> None:
    hello = talk.hear()
    assert (hello.instance, hello.name, hello.kind) == ("today", "hosts", "zone")
    talk.say(messages.Welcome(options={}, site="here", dialect=views.dialect_sent(Dialect())))
    assert isinstance(talk.hear(), messages.Ready)
    for number, view in enumerate((views.sent(WEB1), None)):  # shown, and then as before
        [answer] = talk.call(number, messages.Shown(subject="zone:web1", view=view)).plans
        [step] = received(answer.steps, answer.notes, "hosts", Subject("zone", "web1")).steps
        assert (step.body, step.why) == ("10.1.0.5\tweb1\n", "zone web1 is running")  # type: ignore[union-attr]
    [answer] = talk.call(3, messages.Shown(subject="zone:web1", view=views.sent(gone(WEB1)))).plans
    assert answer.steps[0].body == ""  # type: ignore[union-attr]
    talk.say(messages.Stop())
    assert talk.process.wait(30) == 0


def test_the_worker_in_c_ends_with_the_daemon(talk: Talk) -> None:
    talk.hear()
    assert talk.process.stdin is not None
    talk.process.stdin.close()
    assert talk.process.wait(30) == 0
