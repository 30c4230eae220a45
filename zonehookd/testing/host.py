"""A host in memory: its files, what its commands answer, our books. The engine's own code looks and changes."""

from __future__ import annotations

import shlex
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from zonehookd.engine.look import Look
from zonehookd.errors import CommandTimedOut
from zonehookd.host.files import Stamp
from zonehookd.host.local import LocalFiles
from zonehookd.host.process import Finished
from zonehookd.illumos.dladm import Dialect
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

T = TypeVar("T")
Argv = tuple[str, ...]
Question = tuple[Argv, str]  # arguments and standard input
Does = Callable[[Argv, str], Reply | str]  # arguments and standard input -> what it prints, or the whole Reply


class Unscripted(AssertionError):
    """A command was run that the test says nothing about."""


@dataclass(slots=True)
class _Script:
    pattern: str
    does: Does
    left: int | None  # how often it still answers; None: always


class Host:
    """`files`: path -> content. `real`: what lies in this folder are real files, for a plugin that is a program and
    reads them itself. What the test asks afterwards: `files`, `ran` (commands that change), `asked` (commands that
    look), `records`."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        real: Path | None = None,
        dialect: Dialect | None = None,
        site: str = "testhost",
    ) -> None:
        self.files: MutableMapping[str, str] = dict(files or {})
        self.modes: dict[str, int] = {}
        self.unreadable: set[str] = set()
        self.ran: list[Argv] = []
        self.asked: list[Argv] = []
        self.questions: dict[Question, None] = {}  # each once
        self.dialect, self.site, self.real = dialect or Dialect(), site, real
        self.store = Store(Path(":memory:"))
        weakref.finalize(self, self.store.close)
        self.fail_at: int | None = None  # the changing command of this number, from 0, fails
        self.deaf = False  # nothing that is asked is answered
        self.unanswered = 0  # how often that was so
        self._scripts: list[_Script] = []

    # -- what commands answer; the last that was said about a command counts

    def answer(
        self, command: str, stdout: str = "", *, status: int = 0, stderr: str = "", times: int | None = None
    ) -> None:
        """`command`: a shell pattern over the whole command line, such as ``dladm show-link*``."""
        self.on(command, lambda argv, stdin: Reply(status, stdout, stderr), times=times)

    def on(self, command: str, does: Does, *, times: int | None = None) -> None:
        """`does` is called with arguments and standard input, and may keep what the command would change."""
        self._scripts.append(_Script(command, does, times))

    def fail(self, command: str, stderr: str = "it failed", *, status: int = 1, times: int | None = 1) -> None:
        """It fails the next `times`; None: from now on."""
        self.answer(command, status=status, stderr=stderr, times=times)

    def busy(self, command: str, times: int = 1) -> None:
        """As the kernel says it of a link that is just being used."""
        self.fail(command, f"{command.split()[0]}: operation failed: link busy", times=times)

    def hang(self, command: str, times: int | None = 1) -> None:
        """It does not finish in time, and is stopped."""

        def hangs(argv: Argv, stdin: str) -> Reply:
            raise CommandTimedOut(argv, "did not finish in time and was stopped")

        self.on(command, hangs, times=times)

    # -- the books

    @property
    def records(self) -> list[Record]:
        return sorted(self.store.all(), key=lambda each: (each.kind, each.name))

    def remember(self, *records: Record) -> None:
        for each in records:
            self.store.remember(each)

    # -- as the engine sees it

    def look(self) -> Look:
        return Look(self, _Files(self), self.store, self.dialect, self.site)

    @property
    def doors(self) -> _Files:
        return _Files(self)

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        argv = query_or_change.argv
        if isinstance(query_or_change, Query):
            self.asked.append(argv)
            self.questions[argv, query_or_change.stdin] = None
        else:
            self.ran.append(argv)
        if self.deaf:
            self.unanswered += 1
            raise CommandTimedOut(argv, "did not finish in time and was stopped")
        if isinstance(query_or_change, Change) and self.fail_at == len(self.ran) - 1:
            return Finished(Reply(1, "", "it fails once, for the test"), 0.0)
        script = self._script(argv)
        if script.left is not None:
            script.left -= 1
        said = script.does(argv, query_or_change.stdin)
        return Finished(Reply(0, said, "") if isinstance(said, str) else said, 0.0)

    def _script(self, argv: Argv) -> _Script:
        line = " ".join(argv)
        for script in reversed(self._scripts):
            if script.left != 0 and fnmatchcase(line, script.pattern):
                return script
        raise Unscripted(f"nobody says what this command does; host.answer({shlex.join(argv)!r}, …) would")

    # -- what a test compares

    def standing(self) -> object:
        """All that plugins can have changed, but for what commands did: files, their modes, records."""
        return self.everything(), dict(self.modes), self.records

    def told(self, questions: Iterable[Question]) -> Mapping[Question, object]:
        """What each of them is answered now."""
        answers: dict[Question, object] = {}
        for argv, stdin in questions:
            try:
                answers[argv, stdin] = self._script(argv).does(argv, stdin)
            except CommandTimedOut as problem:
                answers[argv, stdin] = str(problem)
        return answers

    def everything(self) -> Mapping[str, str]:
        """All files, the real ones too."""
        found = dict(self.files)
        if self.real is not None:
            found.update({str(each): each.read_text() for each in _files_in(self.real)})
        return found


class _Files(LocalFiles):
    """The files of a Host, as the engine wants them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def _is_real(self, path: Path) -> bool:
        return self._host.real is not None and path.is_relative_to(self._host.real)

    def _may(self, path: Path) -> None:
        self._host.unanswered += self._host.deaf
        if self._host.deaf or str(path) in self._host.unreadable:
            raise PermissionError(13, "Permission denied", str(path))

    def read(self, path: Path, max_bytes: int) -> bytes:
        self._may(path)
        if self._is_real(path):
            return super().read(path, max_bytes)
        if str(path) not in self._host.files:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return self._host.files[str(path)].encode()

    def stamp(self, path: Path) -> Stamp | None:
        self._may(path)
        if self._is_real(path):
            return super().stamp(path)
        if str(path) in self._host.files:
            content = self._host.files[str(path)]
            return Stamp(_number(str(path)), len(content.encode()), _number(content))
        inside = any(Path(each).is_relative_to(path) for each in self._host.files)
        return Stamp(_number(str(path)), 0, 0) if inside else None  # a folder

    def write(self, path: Path, content: str, mode: int | None) -> None:
        self._may(path)
        if self._is_real(path):
            super().write(path, content, mode)
            return
        self._host.files[str(path)] = content
        if mode is not None or str(path) not in self._host.modes:
            self._host.modes[str(path)] = 0o644 if mode is None else mode

    def remove(self, path: Path) -> None:
        self._may(path)
        if self._is_real(path):
            super().remove(path)
            return
        self._host.files.pop(str(path), None)
        self._host.modes.pop(str(path), None)


def _files_in(folder: Path) -> Iterable[Path]:
    return (each for each in sorted(folder.rglob("*")) if each.is_file())


def _number(text: str) -> int:
    return zlib.crc32(text.encode())
