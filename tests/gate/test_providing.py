"""Where the gate program comes from: a package's, else a compiler's; and what is there stays until a new one runs."""

from __future__ import annotations

import asyncio
import errno
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rig import compiled

from zonehookd.errors import CommandTimedOut, ZonehookError
from zonehookd.gate import program as providing
from zonehookd.gate.program import Program
from zonehookd.host.audit import Audit
from zonehookd.host.local import LocalHost
from zonehookd.host.process import Finished, Limits, Processes
from zonehookd.model.subject import Subject

Provide = Callable[..., Program]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def provide(state: Path, tmp_path: Path) -> Provide:
    """provide(search path) -> the program, provided, so many times by one daemon."""

    def made(search_path: str = "/usr/bin:/bin", times: int = 1) -> Program:
        async def run() -> Program:
            audit = Audit(tmp_path / "audit.jsonl")
            host = LocalHost(Processes(search_path, Limits()), audit, lambda *heard: None)
            program = Program(state, host)
            try:
                for _ in range(times):
                    await program.provide()
            finally:
                audit.close()
            return program

        return asyncio.run(run())

    return made


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def tool(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_it_is_compiled_once_and_runs(state: Path, provide: Provide, tmp_path: Path) -> None:
    program = provide()
    assert program.current() and program.path.stat().st_mode & 0o777 == 0o700
    assert sorted(each.name for each in state.iterdir()) == ["gate", "gate.of"]
    audited = (tmp_path / "audit.jsonl").read_text()
    assert audited.count('"cc"') == 1 and "gate.c" in audited
    inode = program.path.stat().st_ino
    provide("/nowhere")
    assert program.path.stat().st_ino == inode, "it is there, and of this source"


def test_a_package_brings_it(state: Path, provide: Provide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providing, "COMPILED", compiled(tmp_path / "packaged"))
    program = provide("/nowhere")
    assert program.path.read_bytes() == (tmp_path / "packaged").read_bytes() and program.current()


def test_another_source_makes_another_program(
    state: Path, provide: Provide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = provide().path.stat().st_ino
    newer = tmp_path / "gate.c"
    newer.write_text(providing.SOURCE.read_text() + "/* newer */\n")
    monkeypatch.setattr(providing, "SOURCE", newer)
    program = provide()
    assert program.current() and program.path.stat().st_ino != before


def test_where_sockets_are_not_in_libc(state: Path, provide: Provide, tools: Path) -> None:
    """illumos: the first try lacks its libraries."""
    real = 'for last; do :; done; [ "$last" = -lnsl ] || exit 1; out=$3; src=$4; exec /usr/bin/gcc -o "$out" "$src"'
    tool(tools, "cc", real)
    assert provide(f"{tools}:/usr/bin:/bin").current()


def test_gcc_when_there_is_no_cc(state: Path, provide: Provide, tools: Path) -> None:
    tool(tools, "gcc", 'PATH=/usr/bin:/bin; exec gcc "$@"')
    assert provide(str(tools)).current()


def spoil(state: Path, how: str) -> None:
    gate = state / "gate"
    match how:
        case "gone":
            gate.unlink()
        case "empty":
            gate.write_bytes(b"")
        case "half":
            gate.write_bytes(gate.read_bytes()[:3000])
        case "another machine's":
            gate.write_bytes(b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x2b" + bytes(100))
        case "lacks something":
            gate.write_text("#!/bin/sh\necho ld.so.1: fatal >&2; kill -9 $$\n")
        case "the folder":
            shutil.rmtree(state)


HOW = ("gone", "empty", "half", "another machine's", "lacks something", "the folder")


@pytest.mark.parametrize("how", HOW)
def test_what_does_not_run_any_more_is_replaced(state: Path, provide: Provide, how: str) -> None:
    provide()
    spoil(state, how)
    program = provide()
    assert program.current() and subprocess.run([program.path], stderr=subprocess.DEVNULL, check=False).returncode == 64
    assert sorted(each.name for each in state.iterdir()) == ["gate", "gate.of"] and state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("how", [each for each in HOW if each not in ("gone", "the folder")])
def test_and_is_taken_away_where_there_is_no_other(state: Path, provide: Provide, tools: Path, how: str) -> None:
    """The hooks go on without it, and would not with it."""
    provide()
    spoil(state, how)
    with pytest.raises(ZonehookError, match="there is neither cc nor gcc"):
        provide(str(tools))
    assert not (state / "gate").exists()


def test_it_is_tried_once_and_again_when_it_is_another(state: Path, provide: Provide, tmp_path: Path) -> None:
    def tries() -> int:
        return (tmp_path / "audit.jsonl").read_text().count('"does it run here"')

    provide(times=3)
    assert tries() == 1
    provide(times=3)
    assert tries() == 2, "by another daemon"


@pytest.mark.parametrize("trouble", [OSError(errno.EAGAIN, "no process left"), CommandTimedOut(("gate",), "is slow")])
def test_what_cannot_be_tried_now_stays(state: Path, provide: Provide, trouble: Exception) -> None:
    class Busy:
        async def run(self, asked: Any, *, why: str, subject: Subject | None) -> Finished:
            raise trouble

    provide()
    with pytest.raises(ZonehookError, match=r"no process left|is slow"):
        asyncio.run(Program(state, Busy()).provide())
    assert provide().current()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is neither cc nor gcc"),
        ("echo no headers >&2; exit 1", "no headers"),
        ('printf "#!/bin/sh\\nexit 3\\n" > "$3"', "does not run in"),
        ("exit 0", "cannot be put at"),
    ],
)
def test_without_one_that_runs_what_was_there_stays(
    state: Path, provide: Provide, tools: Path, text: str | None, said: str
) -> None:
    (state / "gate").write_text("the old one")
    (state / "gate").chmod(0o700)
    if text is not None:
        tool(tools, "cc", text)
    with pytest.raises(ZonehookError, match=said):
        provide(str(tools))
    assert (state / "gate").read_text() == "the old one"
    assert [each.name for each in state.iterdir()] == ["gate"]
