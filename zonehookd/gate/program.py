"""The gate program at STATE/gate: a copy of ours, so that zones boot also when our package is removed before them.

A package brings it compiled, beside its source; else it is compiled here, once, by whatever compiler there is.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from zonehookd.errors import CommandError, CommandNotFound, ZonehookError
from zonehookd.host.doors import Commands
from zonehookd.host.files import put_like, read_bounded, write_atomically
from zonehookd.model.command import Change

SOURCE = Path(__file__).with_name("gate.c")
COMPILED = Path(__file__).with_name("gate")
_COMPILERS = ("cc", "gcc")
_LIBRARIES = ((), ("-lsocket", "-lnsl"))  # where sockets are not in libc
_USAGE = 64  # what it says without arguments
_SIZE_MAX_BYTES = 16 << 20


class Program:
    def __init__(self, state: Path, commands: Commands) -> None:
        self.path = state / "gate"
        self._of = state / "gate.of"  # what it was made of
        self._commands = commands
        self._ours = ""

    def current(self) -> bool:
        """It is there, and the one that belongs to this zonehookd."""
        try:
            return os.access(self.path, os.X_OK) and read_bounded(self._of, 100).decode() == self._digest()
        except (OSError, ValueError):
            return False

    async def provide(self) -> None:
        """Raises ZonehookError; what was there before is there still."""
        if self.current():
            return
        made = self.path.with_name("gate.new")
        try:
            if COMPILED.exists():
                put_like(made, read_bounded(COMPILED, _SIZE_MAX_BYTES), self.path.parent.stat(), times=False)
            else:
                await self._compile(made)
            made.chmod(0o700)
            await self._try(made)
            made.rename(self.path)
            write_atomically(self._of, self._digest(), 0o600)
        except (OSError, ValueError, CommandError) as problem:
            raise ZonehookError(f"the gate program cannot be put at {self.path}: {problem}") from problem
        finally:
            made.unlink(missing_ok=True)

    async def _try(self, made: Path) -> None:
        """It runs here: another machine's program does not, and none does where the file system forbids it."""
        done = await self._commands.run(Change((str(made),), why := "does it run here"), why=why, subject=None)
        if done.reply.status != _USAGE:
            raise ZonehookError(f"the gate program does not run in {made.parent}: {done.reply.stderr.strip()}")

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
