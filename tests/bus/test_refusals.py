"""What zonehookctl cannot do ends as one JSON object for programs: every command that has --json, and a few more."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import zmq.asyncio
from click.testing import CliRunner, Result

from docs._ext import command_line
from zonehookd.bus.control import ControlServer, Handler
from zonehookd.bus.messages import Request, SourceRow, StatusReply, Verb
from zonehookd.cli.ending import ERROR_CODES, EXIT_CODES
from zonehookd.cli.main import main
from zonehookd.errors import NotFound, ZonehookError

SAID = "there is no 'a'\nnowhere"
HINT = "there are: b"
MORE = {"plugin try": ["--zone", "a"], "guard permit": ["a"]}  # what click itself cannot say that it must be given
ALONE = {"keys list", "plugin options"}  # they ask no daemon
BY_FILES = {"brand status"}  # answered by the host's files where there is none
NEITHER_YES_NOR_NO = {"guard check"}


def _json_commands() -> Iterator[click.Context]:
    for context in command_line.walk(click.Context(main, info_name="zonehookctl")):
        options = [name for each in context.command.params for name in each.opts]
        if "--json" in options and not isinstance(context.command, click.Group):
            yield context


COMMANDS = {context.command_path.removeprefix("zonehookctl "): context.command for context in _json_commands()}


def _words(name: str) -> list[str]:
    """The command with all that it must be given."""
    given = [*name.split(), *MORE.get(name, ())]
    for each in COMMANDS[name].params:
        if each.required:
            value = each.type.choices[0] if isinstance(each.type, click.Choice) else "10m"
            given += [each.opts[0], value] if isinstance(each, click.Option) else [value]
    return given


def _invoked(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="zonehookctl")


class Ctl:
    """zonehookctl, with a configuration of its own and no keys."""

    def __init__(self, at: Path) -> None:
        self.run = at / "run"
        (at / "zones").mkdir()
        (at / "zones" / "index").write_text("global:installed:/\n")
        self.config = at / "z.toml"
        self.config.write_text(
            f'[paths]\nrun = "{self.run}"\nstate = "{at}"\nzones = "{at}/zones"\n[events]\nkeys = "{at}/keys"\n'
        )

    def __call__(self, *words: str) -> Result:
        return _invoked("--config", str(self.config), "--timeout", "30", *words)

    def error(self, *words: str) -> dict[str, Any]:
        """What a program is told; the same is told a person."""
        done, plain = self(*words, "--json"), self(*words)
        assert done.stdout == "" == plain.stdout, "no pipe takes it for an answer"
        said = json.loads(done.stderr.splitlines()[-1])
        assert [*said] == ["error"] and [*said["error"]] == ["code", "message", "hint", "exit"]
        error: dict[str, Any] = said["error"]
        assert error["exit"] == done.exit_code == plain.exit_code != 0 and done.exit_code in EXIT_CODES
        assert error["code"] in ERROR_CODES and error["message"] and error["message"] in plain.stderr
        assert "Traceback" not in plain.stderr
        return error


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(tmp_path)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ctl]:
    """With a daemon's socket behind which everything is refused."""
    ctl = Ctl(tmp_path_factory.mktemp("refusing"))

    async def refuse(request: Request) -> list[Any]:
        raise NotFound(SAID, hint=HINT)

    with answering(ctl, refuse):
        yield ctl


@contextmanager
def answering(ctl: Ctl, handler: Handler) -> Iterator[None]:
    """A daemon's socket, and one who answers every verb."""
    ctl.run.mkdir()
    bound, loops = threading.Event(), []

    async def serve() -> None:
        context = zmq.asyncio.Context()
        server = ControlServer(context, ctl.run / "control.sock", dict.fromkeys(get_args(Verb), handler))
        running = asyncio.ensure_future(server.run())
        loops.append((asyncio.get_running_loop(), running))
        bound.set()
        try:
            await asyncio.gather(running, return_exceptions=True)
        finally:
            server.close()
            context.term()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    bound.wait()
    try:
        yield
    finally:
        loop, running = loops[0]
        loop.call_soon_threadsafe(running.cancel)
        thread.join()


def test_the_walk_finds_the_commands() -> None:
    assert len(COMMANDS) > 30 and {"status", "guard check", "plugin try", "keys list", "events"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_what_the_daemon_refuses(refusing: Ctl, name: str) -> None:
    error = refusing.error(*_words(name))
    if name not in ALONE:
        status = 64 if name in NEITHER_YES_NOR_NO else 1
        assert error == {"code": "not-found", "message": SAID, "hint": HINT, "exit": status}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in BY_FILES])
def test_a_daemon_that_is_not_there(ctl: Ctl, name: str) -> None:
    error = ctl.error(*_words(name))
    if name not in ALONE | NEITHER_YES_NOR_NO | {"brand disable"}:
        assert (error["code"], error["exit"]) == ("no-daemon", 3) and "start it: " in error["hint"]


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_usage(ctl: Ctl, name: str) -> None:
    error = ctl.error(*name.split(), "--no-such-option")
    assert (error["code"], error["exit"]) == ("usage", 64) and "--no-such-option" in error["message"]
    assert error["hint"] == f"zonehookctl {name} --help"


def test_what_click_says_before_it_knows_of_a_command(ctl: Ctl) -> None:
    assert ctl.error("nosuch")["exit"] == 64
    done = _invoked("--timeout", "soon", "status", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "usage" and done.exit_code == 64


def test_commands_whose_answers_are_no_json_obey_the_one_before_the_verb(ctl: Ctl, tmp_path: Path) -> None:
    for words, status in ((["keys", "revoke", "a"], 1), (["import", "zap", str(tmp_path / "nowhere")], 1)):
        done = ctl("--json", *words)
        assert json.loads(done.stderr)["error"]["exit"] == done.exit_code == status and done.stdout == ""
    assert "{" not in ctl("keys", "revoke", "--", "--json").stderr, "a name, and no option"


def test_what_nobody_foresaw(refusing: Ctl) -> None:
    """A name that is no text: the traceback, and then the object."""
    done = refusing("explain", "\udcff", "--json")
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert (error["code"], error["exit"], done.exit_code, done.stdout) == ("internal", 1, 1, "")
    assert "Traceback" in done.stderr and "SerializationError" in error["message"]


@pytest.mark.parametrize("words", [["--json"], []])
def test_interrupted(ctl: Ctl, words: list[str]) -> None:
    """By Ctrl-C, while nobody answers."""
    ctl.run.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(ctl.run / "control.sock"))
        silent.listen()
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # whoever started us
        program = [sys.executable, "-c", f"{heard}; from zonehookd.cli.main import main; main()"]
        argv = [*program, "--config", str(ctl.config), "--timeout", "60", "status", *words]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            try:
                silent.settimeout(60)
                silent.accept()[0].close()  # whether anybody is there
                silent.accept()[0].close()  # the question itself
                asking.send_signal(signal.SIGINT)
                out, err = asking.communicate(timeout=60)
            finally:
                asking.kill()
    assert (asking.returncode, out) == (1, "")
    last = err.splitlines()[-1]
    if words:
        assert json.loads(last)["error"] == {"code": "interrupted", "message": "Aborted!", "hint": "", "exit": 1}
    else:
        assert last == "Aborted!"


def test_a_verdict_is_an_answer_and_no_error(ctl: Ctl) -> None:
    done = ctl("guard", "check", "global", "uninstall", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1 and answer["code"] == "no-daemon" and not answer["allowed"] and "error" not in answer


@pytest.mark.parametrize(
    "news, status",
    [({}, 0), ({"ready": False}, 1), ({"blind": "no zoneadm"}, 1), ({"without_gate": ["sparse: edited"]}, 1)],
)
def test_a_source_that_is_down_is_shown_and_no_trouble(ctl: Ctl, news: dict[str, Any], status: int) -> None:
    down = SourceRow(name="zone-channel", up=False, text="libzonecfg is not there")
    none: dict[str, Any] = dict.fromkeys(("zones", "networks", "attachments", "working", "waiting", "routes"), 0)
    text = dict.fromkeys(("version", "blind", "config", "config_error", "rebuilt"), "")
    said = {**none, **text, "uptime_s": 1.0, "unserved": 0, "trouble": [], "without_gate": [], "ready": True, **news}

    async def answer(request: Request) -> StatusReply:
        return StatusReply(sources=[down], last_full_look_s=1.0, **said)

    with answering(ctl, answer):
        done = ctl("status")
        assert done.exit_code == status and "source zone-channel: down: libzonecfg is not there" in done.stdout


def test_every_code_of_ours_is_told() -> None:
    def codes(kind: type[ZonehookError]) -> Iterator[str]:
        yield kind.code
        for each in kind.__subclasses__():
            yield from codes(each)

    assert {*codes(ZonehookError)} | {"usage", "bad-request", "internal", "interrupted"} == {*ERROR_CODES}
