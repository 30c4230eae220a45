"""The gate program at STATE/gate: a copy of ours, so that zones boot also when our package is removed before them.

A package brings it compiled, beside its source; else it is compiled here, once, by whatever compiler there is. What is
there is tried at our start and whenever it is another file. A program that does not run is worse than none, which the
hooks go on without (brands.py): it is taken away until there is one that runs.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path

from zonehookd.errors import CommandError, CommandNotFound, ZonehookError
from zonehookd.host.doors import Commands
from zonehookd.host.files import Stamp, put_like, read_bounded, stamp, write_atomically
from zonehookd.model.command import Change

SOURCE = Path(__file__).with_name("gate.c")
COMPILED = Path(__file__).with_name("gate")
_COMPILERS = ("cc", "gcc")
_LIBRARIES = ((), ("-lsocket", "-lnsl"))  # where sockets are not in libc
_USAGE = 64  # what it says without arguments
_SIZE_MAX_BYTES = 16 << 20
_NEVER = (errno.ENOEXEC, errno.EACCES, errno.ELIBBAD, errno.ENOENT)  # of an exec; others may pass (EAGAIN, ENOMEM)


def there(path: Path) -> bool:
    """As the hooks see it (brands.py), but for an empty one, which `provide` takes away."""
    return os.access(path, os.X_OK)


def without(fault: str) -> str:
    """What follows where it is not there."""
    return f"{fault}; boots and halts ask nobody until it is there again, and uninstalls are refused"


class _DoesNotRun(ZonehookError):
    pass


class Program:
    def __init__(self, state: Path, commands: Commands) -> None:
        self.path = state / "gate"
        self._of = state / "gate.of"  # what it was made of
        self._commands = commands
        self._ours = ""
        self._ran: Stamp | None = None  # of the file that was seen to run
        self._one = asyncio.Lock()  # the check and an admin's enable may come together

    def there(self) -> bool:
        return there(self.path)

    def current(self) -> bool:
        """It is there, and the one that belongs to this zonehookd."""
        try:
            return self.there() and read_bounded(self._of, 100).decode() == self._digest()
        except (OSError, ValueError):
            return False

    async def provide(self) -> None:
        """Raises ZonehookError; what was there before is there still, if it runs."""
        async with self._one:
            try:
                if not (self.current() and await self._runs()):
                    await self._put()
            except (OSError, ValueError, CommandError) as problem:
                raise ZonehookError(f"the gate program cannot be put at {self.path}: {problem}") from problem

    async def _put(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self.path.with_name("gate.new")
        try:
            if COMPILED.exists():
                put_like(made, read_bounded(COMPILED, _SIZE_MAX_BYTES), self.path.parent.stat(), times=False)
            else:
                await self._compile(made)
            made.chmod(0o700)
            with made.open("rb") as file:
                os.fsync(file.fileno())  # a shell takes an empty file for a script that says yes
            await self._try(made)
            made.rename(self.path)
            self._ran = stamp(self.path)
            write_atomically(self._of, self._digest(), 0o600)
        finally:
            made.unlink(missing_ok=True)

    async def _runs(self) -> bool:
        """Of what is there; if not, it is taken away. Raises OSError, ZonehookError: that cannot be seen now."""
        found = stamp(self.path)
        if found is None or found != self._ran:
            try:
                await self._try(self.path)
            except _DoesNotRun:
                self.path.unlink(missing_ok=True)
                return False
            self._ran = found
        return True

    async def _try(self, program: Path) -> None:
        """It runs here: another machine's program does not, and none does where the file system forbids it."""
        try:
            done = await self._commands.run(Change((str(program),), why := "does it run here"), why=why, subject=None)
        except OSError as problem:
            if problem.errno not in _NEVER:
                raise
            raise _DoesNotRun(f"the gate program does not run in {program.parent}: {problem.strerror}") from problem
        if done.reply.status != _USAGE:
            raise _DoesNotRun(f"the gate program does not run in {program.parent}: {done.reply.stderr.strip()}")

    def _digest(self) -> str:
        if not self._ours:
            made_of = COMPILED if COMPILED.exists() else SOURCE
            self._ours = hashlib.sha256(read_bounded(made_of, _SIZE_MAX_BYTES)).hexdigest()
        return self._ours

    async def _compile(self, into: Path) -> None:
        said = ""
        for compiler in _COMPILERS:
            for libraries in _LIBRARIES:
                argv = (compiler, "-O2", "-o", str(into), str(SOURCE), *libraries)
                try:
                    done = await self._commands.run(Change(argv, why := "the gate program"), why=why, subject=None)
                except CommandNotFound:
                    break
                if done.reply.status == 0:
                    return
                said = done.reply.stderr.strip() or f"{compiler} exited {done.reply.status}"
        raise ZonehookError(
            f"the gate program cannot be compiled: {said or 'there is neither cc nor gcc'}",
            hint="install a C compiler (gcc), or a package of zonehookd that brings the program",
        )
