"""The only place that starts processes: argument lists, a clean environment, limits on time and output.

A command runs in its own session, so that our death does not kill a dladm half-way (network sheet 8.3); at its time
limit it gets SIGTERM, five seconds, then SIGKILL for the whole group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from zonehookd.errors import CommandError, CommandNotFound, CommandTimedOut
from zonehookd.host.child import Child
from zonehookd.model.command import ELSEWHERE, Lane, Reply

_UMASK = 0o022  # as of zoneadm itself (zones sheet 3.1): what `route -p` or a zlogin makes is for others to read, too
_GRACE_S = 5.0
_CHUNK_BYTES = 1 << 16
_INSIDE_MAX_BYTES = 16 << 20  # who is root in a zone, or not ours, writes what is read here; reading takes our time
_INSIDE = 4  # times as many: what runs in a zone waits for the zone, and uses little of the host


@dataclass(frozen=True)
class Limits:
    """`output_max_bytes` is per stream; a command that prints more is stopped, and has failed."""

    output_max_bytes: int = 64 << 20
    parallel: int = 4  # a small pool: the vnic driver serialises anyway (sheet 8.2)


@dataclass(frozen=True)
class Finished:
    """`seconds` from start to exit, measured on the monotonic clock."""

    reply: Reply
    seconds: float


class Processes:
    def __init__(self, search_path: str, limits: Limits, *, groups: bool = True) -> None:
        """`groups` False: what is called stays in our own process group, and is ended with us."""
        self._groups = groups
        self._environ = {"PATH": search_path, "LC_ALL": "C", "LANG": "C", "TZ": os.environ.get("TZ", "UTC")}
        self._limits = limits
        # Slots of their own, also for each plugin elsewhere: changes that hang never stop us from looking, and so on.
        self._slots: dict[Lane, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.parallel))
        # A zone that hangs holds up no command outside.
        self._slots["inside"] = asyncio.Semaphore(_INSIDE * limits.parallel)
        self._found: dict[str, str] = {}
        self._closed = False

    def locate(self, name: str) -> str | None:
        """Absolute path of a command on the configured search path, or None."""
        if name not in self._found:
            path = shutil.which(name, path=self._environ["PATH"])
            if path is None:
                return None
            self._found[name] = path
        return self._found[name]

    def begin_no_change(self) -> None:
        """From now on: what changes and runs is finished, what waits for its turn is not begun."""
        self._closed = True

    async def run(
        self, argv: Sequence[str], *, lane: Lane, stdin: str = "", timeout_s: float, user: str = ""
    ) -> Finished:
        """Any exit status is an answer. Raises CommandNotFound, CommandTimedOut, CommandError (too much output, no such
        user). `user`: as whom it runs, with that user's groups and no others."""
        path = self.locate(argv[0])
        if path is None:
            raise CommandNotFound(argv, "is not on the search path", hint="see [commands] search_path")
        most = self._limits.output_max_bytes
        if lane == "inside" or lane.startswith(ELSEWHERE):
            most = min(most, _INSIDE_MAX_BYTES)
        async with self._slots[lane]:
            if self._closed and lane != "look":
                raise CommandError(argv, "was not begun: we are stopping")
            began = time.monotonic()
            whose = _identity(argv, user) if user else {}
            child = await asyncio.create_subprocess_exec(
                path,
                *argv[1:],
                stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environ,
                cwd="/",
                start_new_session=True,
                umask=_UMASK,
                **whose,
            )
            try:
                async with asyncio.timeout(timeout_s):
                    out, err, _ = await asyncio.gather(
                        self._read(child.stdout, argv, most),
                        self._read(child.stderr, argv, most),
                        _feed(child.stdin, stdin),
                    )
                    status = await child.wait()
            except TimeoutError:
                await _stop(child)
                raise CommandTimedOut(argv, f"did not finish within {timeout_s:g} s and was stopped") from None
            except BaseException:
                await _stop(child)
                raise
            finally:
                # asyncio has no public way to say it: pipes that nobody read to their end would stay open for ever.
                child._transport.close()  # type: ignore[attr-defined]
                await asyncio.sleep(0)
        return Finished(Reply(status, out, err), time.monotonic() - began)

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        user: str,
        heard: Callable[[bytes], None],
        bytes_s: int,
    ) -> Child:
        """A process that stays, beside all that is run: `argv[0]` is a path. `environ` comes on top of what every
        command gets. Raises CommandError (no such user), OSError."""
        _, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: Child(heard, bytes_s),
            *argv,
            env={**self._environ, **environ},
            cwd="/",
            start_new_session=True,
            umask=_UMASK,
            **(_identity(argv, user) if user else {}),
        )
        return child

    async def call(
        self, argv: Sequence[str], *, lane: Lane, stdin: str, timeout_s: float, keep_bytes: int = 1 << 14
    ) -> Finished:
        """A program that is not of the system, and may leave children behind: done when it has exited, whoever holds
        its output open then. Of each stream only the first `keep_bytes` are kept. Raises as `run`."""
        path = self.locate(argv[0])
        if path is None:
            raise CommandNotFound(argv, "is not there, or cannot be executed")
        async with self._slots[lane]:
            if self._closed:
                raise CommandError(argv, "was not begun: we are stopping")
            began = time.monotonic()
            with contextlib.ExitStack() as open_files:
                given = open_files.enter_context(tempfile.TemporaryFile())  # who reads none of it holds up nobody
                given.write(stdin.encode())
                given.seek(0)
                out = open_files.enter_context(_Overheard(keep_bytes))
                err = open_files.enter_context(_Overheard(keep_bytes))
                try:
                    child = await asyncio.create_subprocess_exec(
                        path,
                        *argv[1:],
                        stdin=given,
                        stdout=out.inlet,
                        stderr=err.inlet,
                        env=self._environ,
                        cwd="/",
                        start_new_session=self._groups,
                        umask=_UMASK,
                    )
                except OSError as problem:  # a script without its first line, a program for another machine
                    raise CommandError(argv, f"cannot be run: {problem.strerror}") from problem
                out.begin()
                err.begin()
                try:
                    async with asyncio.timeout(timeout_s):
                        status = await child.wait()
                except TimeoutError:
                    await _stop(child, group=self._groups)
                    raise CommandTimedOut(argv, f"did not finish within {timeout_s:g} s and was stopped") from None
                except BaseException:
                    await _stop(child, group=self._groups)
                    raise
                reply = Reply(status, out.text(), err.text())
        return Finished(reply, time.monotonic() - began)

    async def _read(self, stream: asyncio.StreamReader | None, argv: Sequence[str], most: int) -> str:
        assert stream is not None
        chunks: list[bytes] = []
        size = 0
        while chunk := await stream.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > most:
                raise CommandError(argv, f"printed more than {most} bytes and was stopped")
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="replace")


class _Overheard:
    """A pipe that is read as long as it is of interest, and of which only the beginning is kept."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._kept = bytearray()
        self._outlet, self.inlet = os.pipe()
        os.set_blocking(self._outlet, False)

    def __enter__(self) -> _Overheard:
        return self

    def begin(self) -> None:
        """The child has its end."""
        os.close(self.inlet)
        self.inlet = -1
        asyncio.get_running_loop().add_reader(self._outlet, self._hear)

    def text(self) -> str:
        """What is kept, with what is still in the pipe."""
        while self._hear() and len(self._kept) < self._keep_bytes:
            pass
        return self._kept.decode(errors="replace")

    def _hear(self) -> bool:
        """Once around, and no more: who floods it waits for us. False: there is nothing."""
        try:
            piece = os.read(self._outlet, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            asyncio.get_running_loop().remove_reader(self._outlet)
        self._kept += piece[: self._keep_bytes - len(self._kept)]
        return bool(piece)

    def __exit__(self, *exception: object) -> None:
        asyncio.get_running_loop().remove_reader(self._outlet)
        for fd in (self._outlet, self.inlet):
            if fd >= 0:
                os.close(fd)


def _identity(argv: Sequence[str], user: str) -> dict[str, Any]:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise CommandError(argv, f"was not begun: there is no user {user!r}") from None
    if entry.pw_uid == os.geteuid():
        return {}
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def become(argv: Sequence[str]) -> NoReturn:
    """This process goes on as that program, with its environment, open files and limits. Raises OSError."""
    os.execv(argv[0], list(argv))  # noqa: S606 - an argument list, and no shell


async def _feed(stream: asyncio.StreamWriter | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text.encode())
        await stream.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it did not want to hear it all; its exit status tells whether that matters
    finally:
        stream.close()


async def _stop(child: asyncio.subprocess.Process, *, group: bool = True) -> None:
    """Terminate, wait, kill: the whole process group, if it has one of its own, and never leave a zombie. Who is told
    to give up meanwhile kills at once, and still waits for the end of it."""
    given_up: asyncio.CancelledError | None = None
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.returncode is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(child.pid, number)
        try:
            async with asyncio.timeout(_GRACE_S):
                await child.wait()
        except TimeoutError:
            continue
        except asyncio.CancelledError as problem:
            given_up = problem
    if given_up is not None:
        raise given_up
