"""The lab's server: takes commands at the door, plays them on the world, and keeps the journal.

One thread accepts; each command has a thread of a pool to itself, because a command may wait long (for a zone's lock,
for a hook, for a scripted delay).
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import queue
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lab import control, door, events
from lab.call import Become, Call
from lab.dispatch import SIGKILLED, run
from lab.world import GLOBAL, World

WORKERS_MAX = 2000
BACKLOG = 4096
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)


class Outlet(io.RawIOBase):
    """Standard output or error of one command, kept until `flush`: a slow reader must not hold up `world.lock`."""

    def __init__(self, fd: int, before: Outlet | None = None) -> None:
        """`before` is written out first: what was said earlier on the other stream stays earlier."""
        super().__init__()
        self._fd = fd
        self._before = before
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: object) -> int:
        text = bytes(data)  # type: ignore[call-overload]
        self._kept.append(text)
        if self._before is not None:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self._before is not None:
            self._before.flush()
        data = memoryview(b"".join(self._kept))
        self._kept.clear()
        while data:
            data = data[os.write(self._fd, data) :]

    def forget(self) -> None:
        """A killed process takes its buffer with it."""
        self._kept.clear()


@dataclass(frozen=True)
class Caller:
    """The launcher's process, as the kernel names it to us. `pid` 0: it is outside our process namespace."""

    pid: int
    parent: int
    uid: int
    zone: str
    pidfd: int

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)

    def kill(self, number: int) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def kill_parent(self) -> None:
        if self.parent > 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.parent, signal.SIGKILL)


def identify(connection: socket.socket, zone_of: Callable[[int], str | None]) -> Caller:
    """`zone_of` maps the inode of a process namespace to the zone's name."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, uid, _gid = (int.from_bytes(credentials[at : at + 4], sys.byteorder, signed=True) for at in (0, 4, 8))
    parent, zone, pidfd = 0, GLOBAL, -1
    if pid > 0:
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            zone = zone_of(os.stat(f"/proc/{pid}/ns/pid").st_ino) or GLOBAL  # noqa: PTH116 - a Path costs more here
            with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
                parent = int(stat.read().rpartition(b")")[2].split()[1])
    return Caller(pid, parent, uid, zone, pidfd)


@dataclass
class Journal:
    """One JSON line per command: time (s), zone, pid, ppid, argv, status (null: it was killed), ms."""

    path: str
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, call: Call, caller: Caller, status: int | None, began: float) -> None:
        record = {
            "time": round(time.time(), 6),
            "zone": caller.zone,
            "pid": caller.pid,
            "ppid": caller.parent,
            "argv": call.argv,
            "status": status,
            "ms": round((time.monotonic() - began) * 1000, 3),
        }
        with self._lock, open(self.path, "a") as file:  # noqa: PTH123
            file.write(json.dumps(record) + "\n")


class Server:
    def __init__(
        self,
        world: World,
        address: str,
        journal: Journal,
        zone_of: Callable[[int], str | None] = lambda inode: None,
        pidfd_of: Callable[[str], int] = lambda zone: -1,
        superuser: int = 0,
    ) -> None:
        """`pidfd_of` gives a descriptor of a zone's process 1 (-1: no such container); the caller closes it.
        `superuser` is the uid that has all privileges.
        """
        self.world = world
        self.journal = journal
        self._superuser = superuser
        self._zone_of = zone_of
        self._pidfd_of = pidfd_of
        self._address = address
        self._work: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        self._idle = 0
        self._workers: list[threading.Thread] = []
        self._count = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(address)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a zone takes some six descriptors, a command four
        os.chmod(address, 0o777)  # noqa: PTH101, S103 - who may do what is decided per command
        self._listener.listen(BACKLOG)

    def serve(self) -> None:
        """Until `stop`."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as problem:
                if problem.errno not in _PASSING:
                    return
                time.sleep(0.01)
                continue
            self._hand_over(connection)

    def stop(self) -> None:
        """`serve` returns; commands under way end on their own."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._address)  # noqa: PTH108
        with self._count:
            for _ in self._workers:
                self._work.put(None)

    def drain(self) -> None:
        """After `stop`: wait until the last command has been answered."""
        for worker in self._workers:
            worker.join()

    def _hand_over(self, connection: socket.socket) -> None:
        with self._count:
            if self._idle > 0:
                self._idle -= 1
            elif len(self._workers) < WORKERS_MAX:
                worker = threading.Thread(target=self._worker, name=f"command-{len(self._workers)}", daemon=True)
                self._workers.append(worker)
                worker.start()
        self._work.put(connection)

    def _worker(self) -> None:
        while True:
            connection = self._work.get()
            if connection is None:
                return
            with connection, contextlib.suppress(OSError, door.Malformed):
                self._answer(connection)
            with self._count:
                self._idle += 1

    def _answer(self, connection: socket.socket) -> None:
        caller = identify(connection, self._zone_of)
        try:
            request = door.receive_request(connection)
            try:
                if request.kind == "events":
                    events.serve(connection, self.world.channel, caller.zone, self._may(caller))
                elif request.kind == "ping":
                    events.ping(connection, self.world.channel, caller.zone, self._may(caller), request.argv[0])
                elif request.kind == "run":
                    self._run(connection, request, caller)
            finally:
                for fd in request.files:
                    os.close(fd)
        finally:
            caller.close()

    def _may(self, caller: Caller) -> bool:
        return caller.uid == self._superuser

    def _run(self, connection: socket.socket, request: door.Request, caller: Caller) -> None:
        began = time.monotonic()
        out = Outlet(request.files[1])
        err = Outlet(request.files[2], before=out)
        call = Call(
            self.world,
            request.argv,
            stdin=open(request.files[0], "rb", closefd=False),  # noqa: SIM115 - the request owns it
            stdout=_binary(out),
            stderr=_binary(err),
            environ=request.environ,
            cwd=request.cwd,
            zone=caller.zone,
            privileged=self._may(caller),
            stdin_tty=os.isatty(request.files[0]),
            stdout_tty=os.isatty(request.files[1]),
            closed=request.closed,
            linger=lambda seconds: _gone_within(connection, seconds),
            ignore_signals=lambda on: _heed(connection, on),
            kill_parent=caller.kill_parent,
        )
        status: int | None = None
        became: Become | None = None
        death: signal.Signals | None = None
        try:
            status = self._own(call) if call.argv[0] in control.OWN else run(call)
            if status == SIGKILLED:
                status, death = None, signal.SIGKILL
                out.forget()
            out.flush()
        except Become as wish:
            became = wish
        except BrokenPipeError:
            death = signal.SIGPIPE
        except Exception:
            status = 70
            trace = traceback.format_exc()
            print(f"in {call.argv}:", trace, file=sys.stderr, flush=True)
            with contextlib.suppress(OSError):
                err.write(f"zonelab: internal error in {call.argv}:\n{trace}".encode())
        if became is not None:
            status = 0 if became.zone == GLOBAL else self._become_inside(connection, became, err)
        if call.argv[0] not in control.OWN:
            self.journal.write(call, caller, status, began)
        # Last: whoever saw the command end, or what it has turned into, finds it in the journal.
        if became is not None:
            if became.zone == GLOBAL:
                _become_here(connection, became, err)
            return
        if death is not None:
            caller.kill(death)
        if status is not None:
            door.send_exit(connection, status)

    def _own(self, call: Call) -> int:
        return control.main(call, Path(self.journal.path), self.stop)

    def _become_inside(self, connection: socket.socket, become: Become, err: Outlet) -> int | None:
        """What the caller ends with that runs a program inside a zone; None if it was killed."""
        err.flush()
        pidfd = self._pidfd_of(become.zone)
        if pidfd < 0:
            err.write(
                f"zonelab: not emulated: programs inside zone '{become.zone}' (it is no container here)\n".encode()
            )
            door.send_exit(connection, 1)
            return 1
        try:
            door.send_become(connection, become.argv, become.environ, become.cwd, become.no_stdin, pidfd)
        finally:
            os.close(pidfd)
        status = door.receive_wait_status(connection)
        if status is None:
            return None
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0  # [zones 7]


def _become_here(connection: socket.socket, become: Become, err: Outlet) -> None:
    """The caller turns into the program, and is no longer ours."""
    err.flush()
    door.send_become(connection, become.argv, become.environ, become.cwd, become.no_stdin, -1, network=become.network)


def _binary(outlet: Outlet) -> IO[bytes]:
    return outlet  # type: ignore[return-value]


def _heed(connection: socket.socket, ignored: bool) -> None:
    with contextlib.suppress(OSError, door.Malformed):  # whoever is gone is noticed when that matters
        door.send_heed(connection, ignored)


def _gone_within(connection: socket.socket, seconds: float) -> bool:
    watch = select.poll()
    watch.register(connection, select.POLLRDHUP | select.POLLHUP)
    return bool(watch.poll(seconds * 1000))
