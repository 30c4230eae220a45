"""The warden itself: the parent of one daemon."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess  # see tests/test_architecture.py for why here too
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zonehookd.warden.folder import RELOAD, REOPEN, STOP, Folder, Seat, Taken

EXIT_OK, EXIT_AGAIN, EXIT_CONFIG = 0, 1, 96  # for SMF: 1 is tried again, 96 is maintenance (services sheet 3.7)
DAEMON_CONFIG = 78  # the daemon's exit status when its configuration is wrong; see zonehookd/__main__.py
ABORT_S = 5.0  # to write where it hangs
_SLICE_S = 1.0


@dataclass(frozen=True)
class Limits:
    """Seconds. `ready` from the start to READY=1; `watchdog` between two WATCHDOG=1, 0 for no watchdog; `grace` for
    what runs when we stop, or outlives the daemon: more than the 60 s that the daemon gives a dladm."""

    ready: float = 180.0
    watchdog: float = 30.0
    grace: float = 75.0


def say(text: str) -> None:
    """To the service's log."""
    sys.stderr.write(f"warden: {text}\n")
    sys.stderr.flush()


class Warden:
    """The parent of one daemon. `report` is the pipe to the start method: one byte, Ready, Configuration or Failed."""

    def __init__(self, folder: Folder, command: Sequence[str], limits: Limits, report: int) -> None:
        self._folder = folder
        self._command = list(command)
        self._limits = limits
        self._report = report
        self._phase = "starting"  # then ready, stopping, aborted, killed
        self._asked = False  # somebody wants us to stop
        self._waited = False  # asked to stop, the daemon has had all its time, and so has what it had started
        self._status = ""
        self._method: set[int] = set()  # the processes of the start method that is there when the daemon ends
        self._until = time.monotonic() + limits.ready
        self._look_at, self._cannot = 0.0, ""  # our seat, and what was the matter with it

    def run(self) -> int:
        """Until the daemon has ended and nothing of it is left. Exit status: 0 if it was told to stop, and did."""
        os.umask(0o077)
        try:
            seat = Seat(self._folder)
        except Taken:
            say("another warden is here")
            self._tell(b"F")
            return EXIT_AGAIN
        with contextlib.closing(seat), _signals() as woken:
            return self._live(seat, woken)

    def _live(self, seat: Seat, woken: socket.socket) -> int:
        theirs, ours = os.pipe()  # closed by our death, however that comes
        environ = {**os.environ, "NOTIFY_SOCKET": str(self._folder.socket), "ZONEHOOKD_LEASH": str(theirs)}
        environ.pop("WATCHDOG_USEC", None)
        if self._limits.watchdog:
            environ["WATCHDOG_USEC"] = str(int(self._limits.watchdog * 1e6))
        try:
            daemon = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env=environ,
                pass_fds=(theirs,),
                start_new_session=True,
            )
        except OSError as problem:
            say(f"cannot start {self._command[0]}: {problem.strerror}")
            self._tell(b"C")
            return EXIT_CONFIG
        os.close(theirs)
        try:
            status = self._watch(daemon, seat, woken)
            if self._report >= 0:  # the start method waits for our word, and ends by itself
                self._method = _above()
            if self._phase == "starting" and status == DAEMON_CONFIG:
                self._tell(b"C")
            self._leftovers(seat, woken)
            self._tell(b"F")
            return EXIT_OK if self._asked and status == 0 else EXIT_AGAIN
        finally:
            os.close(ours)

    # while the daemon lives -----------------------------------------------------------------------------------------

    def _watch(self, daemon: subprocess.Popen[bytes], seat: Seat, woken: socket.socket) -> int:
        """The daemon's exit status, negative for a signal."""
        while True:
            self._wait(seat, woken)
            for words in seat.heard():
                self._hear(daemon, words)
            for number in _received(woken):
                if number == signal.SIGHUP:
                    daemon.send_signal(signal.SIGHUP)
                elif number != signal.SIGCHLD:
                    self._stop(daemon, f"told by {signal.Signals(number).name}")
            status = daemon.poll()
            if status is not None:
                if not self._asked:
                    say(f"the daemon {_ended(status)}{self._last()}")
                return status
            if time.monotonic() >= self._until:
                self._overdue(daemon)

    def _wait(self, seat: Seat, woken: socket.socket) -> None:
        """For a word, a signal, a start method that went away, or some time. If all of us were stopped meanwhile, with
        the machine for one, nobody is late for that."""
        self._look(seat)
        poll = select.poll()
        for each in (*seat.sockets, woken):
            poll.register(each, select.POLLIN)
        if self._report >= 0:
            poll.register(self._report, 0)  # says so when nobody reads any more
        began = time.monotonic()
        patience_s = max(0.0, min(_SLICE_S, self._until - began))
        ready = poll.poll(patience_s * 1000)
        asleep_s = time.monotonic() - began - patience_s
        if asleep_s > _SLICE_S:
            self._until += asleep_s + _SLICE_S
        if any(handle == self._report for handle, _ in ready):
            say("the start method is gone")
            self._close_report()
            os.kill(os.getpid(), signal.SIGTERM)

    def _look(self, seat: Seat) -> None:
        """Where we are found may be removed under us."""
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at, cannot = now + _SLICE_S, ""
        try:
            if seat.look():
                say("removed under us, and made anew: what is ours in the run folder")
        except OSError as problem:
            cannot = f"nobody can tell us anything: {problem}"
            if cannot != self._cannot:
                say(cannot)
        self._cannot = cannot

    def _hear(self, daemon: subprocess.Popen[bytes], words: dict[str, str]) -> None:
        self._status = words.get("STATUS", self._status)
        if STOP in words:
            self._stop(daemon, "")
        if RELOAD in words:
            self._reload(daemon, words[RELOAD])
        if REOPEN in words and self._phase == "ready":  # before that it would die of the signal
            daemon.send_signal(signal.SIGUSR1)
        if words.get("READY") == "1" and self._phase == "starting":
            self._phase = "ready"
            self._tell(b"R")
            self._fed()
        if words.get("STOPPING") == "1" and self._phase in ("starting", "ready"):
            self._phase, self._until = "stopping", time.monotonic() + self._limits.grace
        if words.get("WATCHDOG") == "1" and self._phase == "ready":
            self._fed()

    def _fed(self) -> None:
        self._until = time.monotonic() + (self._limits.watchdog or float("inf"))

    def _reload(self, daemon: subprocess.Popen[bytes], wanted: str) -> None:
        if self._phase != "ready":
            say(f"no configuration is read while {self._phase}")
            return
        if json.loads(wanted) != self._command:
            say(f"the properties ask for {' '.join(json.loads(wanted))}: that takes a restart (svcadm restart)")
        daemon.send_signal(signal.SIGHUP)  # it says in its log, and by `zonehookctl status`, what became of it

    def _stop(self, daemon: subprocess.Popen[bytes], why: str) -> None:
        self._asked = True
        if self._phase in ("starting", "ready"):
            say(f"stopping{', ' + why if why else ''}")
            self._phase, self._until = "stopping", time.monotonic() + self._limits.grace
            daemon.terminate()

    def _overdue(self, daemon: subprocess.Popen[bytes]) -> None:
        now = time.monotonic()
        if self._phase == "starting":
            say(f"not ready within {self._limits.ready:g} s{self._last()}")
            self._phase, self._until = "stopping", now + self._limits.grace
            daemon.terminate()
        elif self._phase == "ready":
            say(f"the watchdog was not fed for {self._limits.watchdog:g} s: killing the daemon{self._last()}")
            self._phase, self._until = "aborted", now + ABORT_S
            daemon.send_signal(signal.SIGABRT)
        else:
            if self._phase != "killed":
                say("the daemon does not stop: killing it")
            self._waited = self._waited or self._phase == "stopping"
            self._phase, self._until = "killed", now + ABORT_S
            daemon.kill()

    def _last(self) -> str:
        return f"; the last it said: {self._status}" if self._status else ""

    def _tell(self, byte: bytes) -> None:
        if self._report >= 0:
            with contextlib.suppress(OSError):
                os.write(self._report, byte)
            self._close_report()

    def _close_report(self) -> None:
        os.close(self._report)
        self._report = -1

    # when it has died -----------------------------------------------------------------------------------------------

    def _leftovers(self, seat: Seat, woken: socket.socket) -> None:
        """Commands of the daemon that still run are waited for, and killed in the end. While we stop they have no time
        of their own, but what is left of the daemon's: SMF itself would kill them too, but call that maintenance."""
        now = time.monotonic()
        until = now if self._waited else self._until if self._phase == "stopping" else now + self._limits.grace
        said = False
        while others := self._others():
            if not said:
                say(f"waiting for what the daemon has left behind: processes {', '.join(map(str, others))}")
                said = True
            if time.monotonic() >= until:
                say("killing what the daemon has left behind")
                for pid in others:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            _received(woken)  # our own questions were children too
            self._until = time.monotonic() + 0.5
            self._wait(seat, woken)
            for _ in seat.heard():
                pass  # told to stop: that is what we do

    def _others(self) -> list[int]:
        """In our contract, beside us; and beside the start method, which is in it too (illumos-gate
        usr/src/cmd/svc/startd/method.c, method_store_contract), and may take a moment to end when it has our word."""
        return [each for each in _others_in_contract() if each not in self._method]


def _above() -> set[int]:
    """Our parent, its parent, and so on."""
    found: set[int] = set()
    pid = os.getppid()
    while pid > 1 and len(found) < 16:
        found.add(pid)
        parent, _ = _asked(["ps", "-o", "ppid=", "-p", str(pid)])
        pid = int(parent) if parent.isdigit() else 0
    return found


def _others_in_contract() -> list[int]:
    """The processes of our contract beside us; none when we are no service (services sheet 3.4)."""
    fmri = os.environ.get("SMF_FMRI")
    if not fmri:
        return []
    contract, _ = _asked(["svcprop", "-p", "restarter/contract", fmri])
    if not contract.isdigit():
        return []
    members, asking = _asked(["pgrep", "-c", contract])
    pids = {int(pid) for pid in members.split()}
    return sorted(pids - {os.getpid(), asking}) if os.getpid() in pids else []


def _asked(argv: list[str]) -> tuple[str, int]:
    """(what it said, its process id); nothing when it could not, or not in time."""
    try:
        nothing = subprocess.DEVNULL
        child = subprocess.Popen(argv, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing, text=True)
    except OSError:
        return "", 0
    try:
        return child.communicate(timeout=10)[0].strip(), child.pid
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return "", child.pid


def _ended(status: int) -> str:
    if status >= 0:
        return f"exited with status {status}"
    return f"died by signal {-status} ({signal.strsignal(-status)})"


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that gets one byte for each signal that concerns us."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    signal.set_wakeup_fd(writer.fileno())
    try:
        with reader, writer:
            yield reader
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def _received(woken: socket.socket) -> list[int]:
    try:
        return list(woken.recv(256))
    except BlockingIOError:
        return []
