"""What zonehookctl shows, and how soon, while zonehookd does not run or hangs."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zonehookd.bus.messages import BrandReply, GuardStatusReply
from zonehookd.cli.main import main
from zonehookd.guard.standing import NAME, Known, standing, written
from zonehookd.model.guard import Dependent

PATIENCE_S = 60.0
LIVE = GuardStatusReply(gateways=[])


class Ctl:
    """zonehookctl on a host with gateway edge, whose daemon has left a record."""

    def __init__(self, at: Path) -> None:
        self.run, self.state, self.zones = (at / name for name in ("run", "state", "zones"))
        for folder in (self.run, self.state, self.zones):
            folder.mkdir()
        self.index("edge:installed:/zones/edge")
        self.config = at / "z.toml"
        self.config.write_text(f'[paths]\nrun = "{self.run}"\nstate = "{self.state}"\nzones = "{self.zones}"\n')
        found = (Dependent("web", "web1", "address", "running"),)
        gateways = {"edge": standing(found, time.time() + 600, {}, "/zones/edge")}
        self.record = self.state / NAME
        self.record.write_text(written(Known("record", "deny", gateways, f"{self.zones}/index")))

    def index(self, *lines: str) -> None:
        (self.zones / "index").write_text("\n".join(("global:installed:/", *lines)) + "\n")

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.config), *words], prog_name="zonehookctl")


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(tmp_path)


@pytest.fixture
def hangs(ctl: Ctl) -> Iterator[None]:
    """Whoever holds the daemon's socket, and says nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(ctl.run / "control.sock"))
        silent.listen()
        yield


def files(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.lstat().st_mtime_ns, each.lstat().st_mode) for each in [folder, *folder.rglob("*")]}


def test_gateways_are_shown_by_the_record(ctl: Ctl) -> None:
    before = files(ctl.state.parent)
    done = ctl("guard", "status")
    assert done.exit_code == 0 and "is not listening at" in done.stderr and "start it: svcadm" in done.stderr
    said = " ".join(done.stdout.split())
    assert "edge installed yes - web: web1 until 20" in said and "by the record of 20" in said
    assert "refused if zones depended on it by that record" in said and "a boot is refused ([guard] boot)" in said
    done = ctl("guard", "status", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 0 and done.stderr == "", "programs are told by the answer"
    assert answer.keys() == LIVE.model_dump().keys() and answer["recorded"] == ctl.record.stat().st_mtime
    assert LIVE.recorded is None and answer["without_daemon"] == {"uninstall": "record", "boot": "deny"}
    assert GuardStatusReply.model_validate(answer).gateways[0].dependents[0].zone == "web1"
    ctl.record.write_text(ctl.record.read_text().replace(f"gateway edge 1 {answer['gateways'][0]['permit_until']:.0f}",
                                                         "gateway edge 1 0"))  # fmt: skip
    ctl.index()
    done = ctl("guard", "status")
    assert done.exit_code == 1 and "lost" in done.stdout and "zonehookctl guard restore edge" in done.stdout
    assert files(ctl.state.parent).keys() == before.keys(), "it only reads"


def test_one_that_hangs_is_as_one_that_is_not_there(ctl: Ctl, hangs: None) -> None:
    done = ctl("--timeout", "0.2", "guard", "status")
    assert done.exit_code == 0 and "did not answer guard-status in 0.2 s" in done.stderr, done
    assert "it may hang" in done.stderr and "svcs -xv zonehookd" in done.stderr and "web: web1" in done.stdout
    done = ctl("--timeout", "0.2", "brand", "status")
    assert done.exit_code == 0 and "did not answer brand-status in 0.2 s" in done.stderr
    assert "a boot is refused ([guard] boot)" in done.stdout
    done = ctl("--timeout", "0.2", "status")
    assert (done.exit_code, done.stdout) == (3, "") and "did not answer status in 0.2 s" in done.stderr


def test_brands_need_no_record(ctl: Ctl) -> None:
    ctl.record.unlink()
    before = files(ctl.state.parent)
    done = ctl("brand", "status", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 0 and answer.keys() == BrandReply(brands=[]).model_dump().keys()
    assert answer["recorded"] is None and answer["without_daemon"] == {"uninstall": "block", "boot": "allow"}
    done = ctl("brand", "status")
    assert "every uninstall is refused" in done.stdout and "a boot goes on" in done.stdout
    done = ctl("brand", "status", "nosuch")
    assert done.exit_code == 1 and "there is no brand 'nosuch'" in done.stderr
    assert files(ctl.state.parent) == before, "it only reads"
    done = ctl("guard", "status", "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.exit_code, done.stdout, error["code"]) == (3, "", "no-daemon")
    assert f"nor can its record be read: {ctl.record}: No such file" in error["message"]


@pytest.mark.parametrize("verb", ["guard", "brand"])
def test_books_that_cannot_be_read_are_said(ctl: Ctl, verb: str) -> None:
    ctl.record.unlink()
    ctl.state.rmdir()
    ctl.state.write_text("no folder, as to somebody without leave")
    done = ctl(verb, "status")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "is not listening at" in done.stderr and "be read: " in done.stderr and "Not a directory" in done.stderr


@pytest.mark.parametrize(
    "words, limit",
    [(["status"], "10 s"), (["guard", "status"], "10 s"), (["--timeout", "50", "brand", "status"], "50 s"),
     (["zones"], "30 s"), (["--timeout", "3", "status", "--json"], "")],
)  # fmt: skip
def test_who_waits_at_a_terminal_is_told_so(ctl: Ctl, hangs: None, words: list[str], limit: str) -> None:
    ours, theirs = pty.openpty()
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # whoever started us
    program = [sys.executable, "-c", f"{heard}; from zonehookd.cli.main import main; main()"]
    argv = [*program, "--config", str(ctl.config), *words]
    with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as asking:
        os.close(theirs)
        said = b""
        try:
            while b"\n" not in said:
                said += os.read(ours, 1000)
            asking.send_signal(signal.SIGINT)
            asking.wait(PATIENCE_S)
        finally:
            asking.kill()
            os.close(ours)
    if limit:
        assert b"has not answered yet: it is waited for %s (--timeout); svcs -xv" % limit.encode() in said
    else:
        assert json.loads(said.splitlines()[0])["error"]["message"].startswith("zonehookd did not answer status in 3 s")
