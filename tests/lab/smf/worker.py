"""The moves of one instance: start, stop, refresh, and what follows from their outcome [services 3.7].

A worker is a thread that lives while its instance has something to do or a contract to watch. It holds the restarter's
lock but for the moments it waits or a method runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Iterator

from lab.smf.contracts import Contract
from lab.smf.instance import (
    BY_ADMINISTRATOR,
    METHOD_FAILED,
    METHOD_FAILED_REPEATEDLY,
    TOO_QUICKLY,
    UP,
    Instance,
    Reason,
    State,
)
from lab.smf.methods import AT_ONCE, ERR_CONFIG, ERR_FATAL, NODAEMON, OK, Method, kill_signal, method_of, played
from lab.world import NotEmulated

STARTS_COUNTED = 5
MEAN_SPACING_SECONDS = 600.0
FAILURES_MAX = 3
QUICK_SECONDS = 1.0  # a child that failed more than five times within this waits that long
_TIMED_OUT = -1


class Stopped(Exception):
    """The zone is going down: nothing of this is of interest any more."""


class Worker:
    def __init__(self, instance: Instance) -> None:
        self.it = instance
        self._lock = instance.restarter.changed

    def run(self) -> None:
        """Until there is neither an event nor a contract to watch. Never raises."""
        with self._lock:
            try:
                while (event := self._next()) is not None:
                    self._handle(event)
            except Stopped:
                self._forget_contract()
            except NotEmulated as corner:
                self.it.note(f"zonelab: not emulated: {corner}")
                self.it.reason = METHOD_FAILED
                self.it.put(State.MAINTENANCE)
            except Exception:
                traceback.print_exc(file=sys.stderr)
                self.it.reason = METHOD_FAILED
                self.it.put(State.MAINTENANCE)
            finally:
                self.it.working = False
                if self.it.wake >= 0:
                    os.close(self.it.wake)
                    self.it.wake = -1

    # events -------------------------------------------------------------------------------------------------------

    def _next(self) -> str | None:
        while True:
            if self.it.stopping:
                raise Stopped
            if self.it.events:
                return self.it.events.popleft()
            contract = self.it.contract
            if contract is None:
                return None
            if self.it.state in UP:
                event = self._judged(contract)
                if event:
                    return event
            elif contract.empty:
                contract.abandon()
            if contract.control is None:
                return None
            self._wait([contract], None)

    def _judged(self, contract: Contract) -> str:
        """What has become of a running service's contract means for it; "" for nothing."""
        if self.it.model == "child":
            return "exited" if contract.method_status is not None or contract.empty else ""
        ignored = self.it.word("startd", "ignore_error").split(",")
        if contract.dumped and "core" not in ignored:
            return "dumped"
        if contract.killed and "signal" not in ignored:
            return "killed"
        contract.dumped = contract.killed = False
        return "exited" if contract.empty else ""

    def _handle(self, event: str) -> None:
        it = self.it
        if event == "check":
            pass
        elif event == "clear" and it.state is State.MAINTENANCE:
            it.note("Leaving maintenance because clear requested.")
            self._forget_contract()
            it.starts.clear()
            it.put(State.OFFLINE)
        elif event == "clear" and it.state is State.DEGRADED:
            it.put(State.ONLINE)
        elif event == "refresh" and it.state in UP:
            self._refresh()
        elif event == "degrade" and it.state is State.ONLINE:
            it.put(State.DEGRADED)
        elif event == "maintenance":
            if it.state not in UP or self._stop("Stopping for maintenance.", State.MAINTENANCE, "stop"):
                it.reason = BY_ADMINISTRATOR
                it.put(State.MAINTENANCE)
        elif it.state in UP:
            self._stop_for(event)
        self._settle()

    def _stop_for(self, event: str) -> None:
        it = self.it
        texts = {
            "restart": ("Stopping because service restarting.", "stop"),
            "dependency": ("Stopping because dependency activity requires stop.", "stop"),
            "exited": ("Stopping because all processes in service exited.", "error"),
            "killed": ("Stopping because process received fatal signal from outside the service.", "error"),
            "dumped": ("Stopping because process dumped core.", "error"),
        }
        if event not in texts:
            return
        if event == "restart":
            it.starts.clear()
        text, kind = texts[event]
        child = it.contract if it.model == "child" else None
        if self._stop(text, State.OFFLINE, kind):
            it.put(State.OFFLINE)
            if child is not None and event != "restart":
                self._after_child(child)

    def _after_child(self, contract: Contract) -> None:
        """A wait-style service is restarted whenever it ends; too often in a second, and it has to wait one."""
        status = contract.method_status or 0
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) in (ERR_CONFIG, 127):
            self.it.reason = Reason(_died(status), "KS")
            self.it.put(State.MAINTENANCE)
        elif len(self.it.starts) >= STARTS_COUNTED and time.monotonic() - self.it.starts[0] < QUICK_SECONDS:
            self._wait([], QUICK_SECONDS)

    def _settle(self) -> None:
        """Move towards what general/enabled wants."""
        it = self.it
        if not it.enabled():
            if it.state in UP and not self._stop("Stopping because service disabled.", State.DISABLED, "stop"):
                return
            if it.state is not State.DISABLED:
                it.starts.clear()
                it.put(State.DISABLED)
            return
        if it.state in (State.UNINITIALIZED, State.DISABLED):
            it.note("Enabled.")
            it.put(State.OFFLINE)
        if it.state is State.OFFLINE and it.restarter.satisfied(it):
            self._start()

    # start --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        it = self.it
        failures = 0
        while it.state is State.OFFLINE and it.enabled() and not self._start_once():
            failures += 1
            if it.state is State.OFFLINE and failures >= FAILURES_MAX:
                it.reason = Reason(f"Start method failed repeatedly, last {_died(it.start_status)}.", "KS")
                it.put(State.MAINTENANCE)
        if it.state in UP:
            it.restarter.tell_dependents(it, "up")

    def _start_once(self) -> bool:
        """False: try again, unless the state says otherwise."""
        it = self.it
        if it.model == "contract" and self._too_quickly():
            it.note("Restarting too quickly, changing state to maintenance.")
            it.reason = TOO_QUICKLY
            it.put(State.MAINTENANCE)
            return False
        it.starts.append(time.monotonic())
        while len(it.starts) > max(STARTS_COUNTED, int(it.word("startd", "critical_failure_count", "0"))):
            it.starts.popleft()
        it.put(State.OFFLINE, State.ONLINE)
        method = method_of(it, "start")
        contract, code = self._run(method, watch=it.model != "child")
        it.start_pid = contract.method_pid
        if it.model == "child" or code in (OK, NODAEMON):
            it.contract = None if it.model == "transient" or code == NODAEMON else contract
            if it.contract is None:
                contract.abandon()
            it.put(State.ONLINE)
            return True
        self._forget_contract()  # whatever is left of it runs on (gate startd method.c, contract_out)
        if code in AT_ONCE:
            it.reason = Reason(f"Start method exited with {AT_ONCE[code]}.", "KS")
            it.put(State.MAINTENANCE)
        return False

    def _too_quickly(self) -> bool:
        own = [self.it.word("startd", f"critical_failure_{word}") for word in ("count", "period")]
        count, spacing = (int(own[0]), float(own[1])) if all(own) else (STARTS_COUNTED, MEAN_SPACING_SECONDS)
        starts = self.it.starts
        return len(starts) >= count > 1 and (starts[-1] - starts[0]) / (len(starts) - 1) < spacing

    # stop and refresh ---------------------------------------------------------------------------------------------

    def _stop(self, why: str, target: State, kind: str) -> bool:
        """Stop method, then an empty contract. False: it failed and the state is maintenance."""
        it = self.it
        it.note(why)
        it.put(it.state, target)
        it.restarter.tell_dependents(it, kind)
        method = method_of(it, "stop")
        until = None if method.seconds is None else time.monotonic() + method.seconds
        good = self._auxiliary(method)
        if good and it.contract is not None and it.model == "contract":
            good = self._emptied(it.contract, until)
        if it.contract is not None:
            it.contract.signal(signal.SIGKILL)
        self._forget_contract()
        if not good:
            it.reason = METHOD_FAILED
            it.put(State.MAINTENANCE)
        return good

    def _emptied(self, contract: Contract, until: float | None) -> bool:
        while contract.control is not None and not contract.empty:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._wait([contract], left)
        return True

    def _refresh(self) -> None:
        it = self.it
        it.note("Rereading configuration.")
        method = method_of(it, "refresh")
        if not method.command:
            it.note("No 'refresh' method defined.  Treating as :true.")
        elif method.command != ":true":
            it.put(it.state, it.state)
            if not self._auxiliary(method):
                it.put(State.MAINTENANCE)
                return
            it.put(it.state)
        it.restarter.tell_dependents(it, "refresh")

    def _auxiliary(self, method: Method) -> bool:
        """A stop or refresh method, in a contract of its own; False and a reason when it failed."""
        it = self.it
        number = kill_signal(method.command)
        if number is not None:
            it.note(f"Executing {method.name} method ({method.command}).")
            if it.contract is not None:
                it.contract.signal(number)
            return True
        if method.command in ("", ":true"):
            return True
        for _ in range(FAILURES_MAX):
            contract, code = self._run(method, watch=True)
            contract.abandon()
            if code == OK:
                return True
            if code in AT_ONCE:
                it.reason = METHOD_FAILED
                return False
        it.reason = METHOD_FAILED_REPEATEDLY
        return False

    def _forget_contract(self) -> None:
        if self.it.contract is not None:
            self.it.contract.abandon()
            self.it.contract = None

    # running ------------------------------------------------------------------------------------------------------

    def _run(self, method: Method, watch: bool) -> tuple[Contract, int]:
        """(its contract, exit code); a signal counts as 128 + N, a timeout as `_TIMED_OUT`. Not `watch`: code is 0."""
        it = self.it
        ctid = it.restarter.new_ctid()
        if method.command == ":true":
            return Contract(ctid, it.restarter.zone, empty=it.model == "contract"), OK
        it.note(f'Executing {method.name} method ("{method.command}").')
        with self._unlocked():
            answer = played(it, method)
        if answer is not None:
            code, said, daemons = answer
            it.restarter.log_lines(it.fmri, said)
            contract = Contract(ctid, it.restarter.zone, empty=not daemons)
            status = code << 8
        else:
            contract, status = self._run_real(method, ctid, watch)
        if method.name == "start":
            it.start_status = status
        if status == _TIMED_OUT:
            it.note(f'Method "{method.name}" failed due to timeout.')
            return contract, _TIMED_OUT
        if os.WIFSIGNALED(status):
            it.note(f'Method "{method.name}" failed due to signal {signal.Signals(os.WTERMSIG(status)).name[3:]}.')
            return contract, 128 + os.WTERMSIG(status)
        if watch:
            it.note(f'Method "{method.name}" exited with status {os.WEXITSTATUS(status)}.')
        return contract, os.WEXITSTATUS(status)

    def _run_real(self, method: Method, ctid: int, watch: bool) -> tuple[Contract, int]:
        it = self.it
        argv = ["/sbin/sh", "-c", method.command]
        try:
            with self._unlocked():
                contract = it.restarter.start_contract(ctid, argv, method.environ, method.cwd, it.log)
        except OSError as problem:
            if it.stopping:
                raise Stopped from problem
            it.restarter.log_lines(it.fmri, [str(problem)])
            return Contract(ctid, it.restarter.zone, empty=True), ERR_FATAL << 8
        if method.name == "start":  # known from now on, with the method itself in it (method.c, method_store_contract)
            it.contract = contract
            it.published()
        if not watch:
            return contract, 0
        try:
            return contract, self._method_status(contract, method)
        except Stopped:
            contract.abandon()
            raise

    def _method_status(self, contract: Contract, method: Method) -> int:
        """Wait status of the method, or `_TIMED_OUT`; then it is dead."""
        until = None if method.seconds is None else time.monotonic() + method.seconds
        while contract.method_status is None and not contract.empty:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                contract.signal(signal.SIGKILL)
                return _TIMED_OUT
            self._wait([contract], left)
        contract.killed = contract.dumped = False  # whatever happened while it was starting
        return int(signal.SIGKILL) if contract.method_status is None else contract.method_status

    def _wait(self, watched: list[Contract], seconds: float | None) -> None:
        """Until a contract says something (it is heard), an event is posted, or the time is over."""
        poll = select.poll()
        if self.it.wake >= 0:
            poll.register(self.it.wake, select.POLLIN)
        sockets = {each.control.fileno(): each for each in watched if each.control is not None}
        for descriptor in sockets:
            poll.register(descriptor, select.POLLIN)
        with self._unlocked():
            ready = poll.poll(None if seconds is None else max(0, seconds) * 1000)
            for descriptor, _ in ready:
                if descriptor in sockets:
                    sockets[descriptor].hear()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_read(descriptor)
        if self.it.stopping:
            raise Stopped

    @contextlib.contextmanager
    def _unlocked(self) -> Iterator[None]:
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


def _died(status: int) -> str:
    """How a method ended, as `svcs -x` words it."""
    if status == _TIMED_OUT:
        return "timed out"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"died on {signal.Signals(number).name} ({number})"
    return f"exited with status {os.WEXITSTATUS(status)}"
