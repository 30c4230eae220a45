"""The warden as a process, with a small program in the daemon's place that speaks sd_notify like it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonehookd.warden.folder import Folder

ROOT = Path(__file__).resolve().parents[2]
PLAYER = Path(__file__).with_name("player.py")


class Play:
    """A warden with its own run folder; what the player writes down is in `diary`."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self.diary = folder / "diary"
        self.log = folder / "log"

    def warden(self, verb: str, *words: str, timeout_s: float = 30.0) -> int:
        argv = [sys.executable, "-m", "zonehookd.warden", verb, "--run", str(self.run), *words]
        with self.log.open("ab") as log:
            environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
            return subprocess.run(argv, env=environ, stdout=log, stderr=log, timeout=timeout_s, check=False).returncode

    def command(self, **how: object) -> list[str]:
        return ["--", sys.executable, str(PLAYER), str(self.diary), json.dumps(how)]

    def start(self, *options: str, **how: object) -> int:
        return self.warden("start", *options, *self.command(**how))

    def stop(self, *options: str) -> int:
        return self.warden("stop", *options)

    def lines(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def pids(self) -> tuple[int, int]:
        """Of the last player and its warden."""
        *_, born = [line.split() for line in self.lines() if line.startswith("born ")]
        return int(born[1]), int(born[2])

    def said(self) -> str:
        return self.log.read_text()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    one = Play(tmp_path)
    yield one
    assert one.stop("--grace", "1") == 0, one.said()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def until(check: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    assert callable(check)
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def test_start_returns_when_the_daemon_is_ready_and_not_before(play: Play) -> None:
    began = time.monotonic()
    assert play.start(ready_after=0.7) == 0
    assert time.monotonic() - began >= 0.7
    player, warden = play.pids()
    assert alive(player) and alive(warden)
    assert play.lines()[2] == "ready"


@pytest.mark.parametrize(("ends", "status"), [(78, 96), (1, 1), (0, 1), (-9, 1)])
def test_a_daemon_that_ends_before_it_is_ready(play: Play, ends: int, status: int) -> None:
    assert play.start(ends=ends) == status
    assert f"signal {-ends}" in play.said() if ends < 0 else f"exited with status {ends}" in play.said()
    until(lambda: not alive(play.pids()[1]))


def test_a_daemon_that_is_not_there_is_a_matter_for_the_administrator(play: Play) -> None:
    assert play.warden("start", "--", "/nowhere/zonehookd") == 96
    assert "cannot start /nowhere/zonehookd: No such file" in play.said()


def test_a_daemon_that_is_not_ready_in_time_is_stopped(play: Play) -> None:
    assert play.start("--ready", "5", ready_after=60) == 1
    assert "terminated" in play.lines() and "not ready within 5 s; the last it said: thinking" in play.said()
    assert not alive(play.pids()[0])


def test_stop_tells_the_daemon_alone_and_waits_for_it(play: Play) -> None:
    assert play.start(stop_takes=0.6, child=True) == 0
    player, warden = play.pids()
    assert play.stop() == 0
    assert not alive(player) and not alive(warden)
    assert play.lines()[-2:] == ["terminated", "finished"], "what ran was finished, not cut"
    assert "child terminated" not in play.lines(), "nobody but the daemon gets a signal"


def test_a_daemon_that_does_not_stop_is_killed_in_the_end(play: Play) -> None:
    assert play.start("--grace", "0.5", stop_takes=60) == 0
    player, _ = play.pids()
    assert play.stop("--grace", "0.5") == 0
    assert not alive(player) and "does not stop: killing it" in play.said()


def test_stop_without_a_warden_is_done_at_once(play: Play) -> None:
    assert play.stop() == 0
    assert play.warden("reload", *play.command()) == 0, "a refresh method must not fail"
    assert play.said() == "warden: no warden is here to be told\n"


def test_fed_in_time_it_lives_and_hung_it_dies(play: Play) -> None:
    assert play.start("--watchdog", "4", feeds=25) == 0
    player, warden = play.pids()
    assert "watchdog 4000000" in play.lines()
    time.sleep(5)
    assert alive(player)
    until(lambda: not alive(warden))
    assert "the watchdog was not fed for 4 s: killing the daemon; the last it said: thinking" in play.said()
    assert "Current thread" in play.said(), "the log shows where it hung"
    assert not alive(player)


def test_no_watchdog(play: Play) -> None:
    assert play.start("--watchdog", "0") == 0
    time.sleep(0.5)
    assert alive(play.pids()[0]) and "watchdog none" in play.lines()


def test_a_stopped_daemon_is_killed(play: Play) -> None:
    assert play.start("--watchdog", "3", feeds=10**6) == 0
    player, warden = play.pids()
    os.kill(player, signal.SIGSTOP)
    until(lambda: not alive(warden))
    assert not alive(player) and "does not stop: killing it" in play.said()


def test_a_machine_that_slept_is_nobodys_fault(play: Play) -> None:
    assert play.start("--watchdog", "2", feeds=10**6) == 0
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in play.pids():
            os.kill(pid, number)
        if number is signal.SIGSTOP:
            time.sleep(4)
    time.sleep(1)
    assert alive(play.pids()[0]) and "watchdog" not in play.said()


def test_the_daemon_learns_that_its_warden_was_killed(play: Play) -> None:
    assert play.start(leash=True) == 0
    player, warden = play.pids()
    os.kill(warden, signal.SIGKILL)
    until(lambda: not alive(player))
    assert play.lines()[-1] == "lost"
    assert play.start() == 0, "the lock went with its holder, and the old socket is in nobody's way"
    assert play.pids()[1] != warden


def test_the_warden_ends_with_the_daemon(play: Play) -> None:
    assert play.start() == 0
    player, warden = play.pids()
    os.kill(player, signal.SIGKILL)
    until(lambda: not alive(warden))
    assert "the daemon died by signal 9" in play.said()


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("what", ["folder", "lock", "sock"])
def test_what_is_removed_under_it_is_made_anew(play: Play, what: str, connected: bool) -> None:
    """Who comes afterwards finds it, and the daemon is heard as before."""
    assert play.start("--watchdog", "4", feeds=10**6, connected=connected) == 0
    player, warden = play.pids()
    for times in range(1, 3):
        shutil.rmtree(play.run) if what == "folder" else (play.run / f"warden.{what}").unlink(missing_ok=True)
        until(lambda: play.said().count("removed under us, and made anew") == times)  # noqa: B023
        modes = {each.name: oct(each.stat().st_mode & 0o777) for each in [play.run, *play.run.iterdir()]}
        assert modes == {"run": "0o700", "warden.sock": "0o600", "warden.lock": "0o600"}
        assert play.warden("reload", *play.command(feeds=10**6, connected=connected)) == 0
        until(lambda: play.lines().count("hangup") == times)  # noqa: B023
    time.sleep(5)
    assert alive(player) and alive(warden), play.said()
    assert play.start() == 0, "and the next start knows of it"
    assert not alive(player) and not alive(warden) and "finished" in play.lines()


@pytest.mark.parametrize("what", ["folder", "lock", "sock"])
def test_who_comes_before_it_is_made_anew_waits_for_that(play: Play, what: str) -> None:
    """As `rm -r /var/run/zonehookd; svcadm refresh zonehookd` does."""
    assert play.start() == 0
    player, warden = play.pids()

    def remove() -> None:
        shutil.rmtree(play.run) if what == "folder" else (play.run / f"warden.{what}").unlink(missing_ok=True)

    remove()
    assert play.warden("reload", *play.command()) == 0
    until(lambda: "hangup" in play.lines())
    remove()
    assert play.stop() == 0
    assert not alive(player) and not alive(warden) and "finished" in play.lines()
    assert "no warden is here" not in play.said()
    shutil.rmtree(play.run)
    assert play.stop() == 0 and play.warden("reload", *play.command()) == 0
    assert play.said().count("no warden is here to be told") == 1, "and nobody waits for ever"


def test_what_another_warden_has_by_then_is_left_to_it(play: Play) -> None:
    assert play.start() == 0
    player, warden = play.pids()
    os.kill(warden, signal.SIGSTOP)
    shutil.rmtree(play.run)
    play.run.mkdir(mode=0o700)
    other = Folder(play.run).lock()
    assert other is not None
    os.kill(warden, signal.SIGCONT)
    until(lambda: "nobody can tell us anything: another warden is here" in play.said())
    assert [each.name for each in play.run.iterdir()] == ["warden.lock"] and alive(player)
    os.close(other)
    until(lambda: "removed under us, and made anew" in play.said())


def test_what_cannot_be_made_is_said_and_made_later(play: Play) -> None:
    assert play.start() == 0
    shutil.rmtree(play.run)
    play.run.write_text("in the way")
    until(lambda: "nobody can tell us anything" in play.said())
    play.run.unlink()
    until(lambda: "removed under us, and made anew" in play.said())
    assert play.stop() == 0 and play.lines()[-1] == "finished"


def test_what_is_in_the_way_at_the_end_is_no_failure(play: Play) -> None:
    assert play.start() == 0
    _, warden = play.pids()
    shutil.rmtree(play.run)
    play.run.write_text("in the way")
    until(lambda: "nobody can tell us anything" in play.said())
    os.kill(warden, signal.SIGTERM)
    until(lambda: not alive(warden))
    assert play.lines()[-1] == "finished" and "failed" not in play.said(), play.said()
    play.run.unlink()


def test_a_second_start_takes_the_place_of_the_first(play: Play) -> None:
    assert play.start(stop_takes=0.3) == 0
    first = play.pids()
    assert play.start() == 0
    assert not any(alive(pid) for pid in first) and "finished" in play.lines()
    assert "a warden of an earlier start is still here" in play.said()


def test_reload_is_a_hangup_and_other_words_wait_for_a_restart(play: Play) -> None:
    assert play.start() == 0
    assert play.warden("reload", *play.command()) == 0
    until(lambda: "hangup" in play.lines())
    assert "restart" not in play.said()
    assert play.warden("reload", "--", "/opt/zonehookd/bin/zonehookd", "--config", "/other.toml") == 0
    until(lambda: "ask for /opt/zonehookd/bin/zonehookd --config /other.toml: that takes a restart" in play.said())
    until(lambda: play.lines().count("hangup") == 2)


def test_reopen_is_a_word_for_a_daemon_that_is_ready(play: Play) -> None:
    assert play.warden("reopen") == 0, "logadm needs no daemon"
    assert play.start() == 0
    assert play.warden("reopen") == 0
    until(lambda: "reopen" in play.lines())


def test_a_flood_of_words_does_not_feed_the_watchdog(play: Play) -> None:
    assert play.start("--watchdog", "0.5") == 0
    _, warden = play.pids()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as noise:
        noise.settimeout(1)
        deadline = time.monotonic() + 10
        while alive(warden) and time.monotonic() < deadline:
            try:
                noise.sendto(b"STATUS=\xff" + b"x" * 4000, str(play.run / "warden.sock"))
            except OSError:
                break
    until(lambda: not alive(warden))


def test_it_tells_the_start_method_that_is_no_more(play: Play) -> None:
    argv = [sys.executable, "-m", "zonehookd.warden", "start", "--run", str(play.run), *play.command(ready_after=60)]
    with play.log.open("ab") as log:
        method = subprocess.Popen(argv, env={"PYTHONPATH": str(ROOT)}, stdout=log, stderr=log)
        until(lambda: play.lines())
        method.kill()
        method.wait()
    until(lambda: not alive(play.pids()[1]))
    assert "the start method is gone" in play.said() and "terminated" in play.lines()


@pytest.mark.parametrize(
    "word", ["watchdog=-3", "ready=0", "grace=0", "grace=nan", "ready=inf", "ready=soon", "grace="]
)
def test_a_limit_that_cannot_be_is_refused_like_a_configuration(play: Play, word: str) -> None:
    """Who runs by then goes on with those it was started with, and is stopped by them."""
    name, _, value = word.partition("=")
    refused = f"warden: config/{name}_s is refused: it is to be a number of seconds"
    assert play.start(f"--{word}") == 96
    assert not play.lines() and refused in play.said() and f"and is {value!r}" in play.said()
    assert play.start() == 0
    assert play.warden("reload", f"--{word}", *play.command()) == 0
    until(lambda: "hangup" in play.lines())
    assert play.stop(f"--{word}") == 0 and play.lines()[-1] == "finished"
    assert play.said().count(refused) == 3


@pytest.mark.parametrize("mode", [0o755, 0o770])
def test_a_run_folder_that_others_may_enter_is_refused(play: Play, mode: int) -> None:
    play.run.mkdir(mode=0o700)
    play.run.chmod(mode)
    assert play.start() == 96 and not play.lines()
    assert "is not a folder that is ours alone" in play.said()


def test_a_run_folder_that_a_daemon_has_opened_for_its_plugins_is_closed_again(play: Play) -> None:
    """What a plugin with a user of its own needs is no reason for maintenance at the next start."""
    play.run.mkdir(mode=0o700)
    play.run.chmod(0o711)
    assert play.start() == 0
    assert play.run.stat().st_mode & 0o777 == 0o700


def test_a_run_folder_that_is_a_link_is_refused(play: Play, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    play.run.symlink_to("elsewhere")
    assert play.start() == 96 and not play.lines()


def test_its_files_are_its_own(play: Play) -> None:
    assert play.start() == 0
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in play.run.iterdir()}
    assert modes == {"warden.sock": "0o600", "warden.lock": "0o600"}
    assert oct(play.run.stat().st_mode & 0o777) == "0o700"


def test_it_needs_the_standard_library_only() -> None:
    code = "import sys, zonehookd.warden.__main__; print(*{each.partition('.')[0] for each in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {*sys.stdlib_module_names, "zonehookd", "__main__"}
