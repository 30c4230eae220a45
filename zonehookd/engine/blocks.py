"""Lines of ours in files that are somebody else's: seen once per look, written one subject at a time.

A record comes before the lines and goes after them, so whoever planned them is asked again when its subject is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zonehookd.engine.look import Look
from zonehookd.host.doors import Files
from zonehookd.illumos import marked
from zonehookd.model.plan import BLOCK, WriteBlock
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

_FILE_MAX_BYTES = 16 << 20


class Blocks:
    """As the files are in one look: each is read once, however many subjects have lines in it."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._read: dict[Path, Mapping[str, str]] = {}

    def stands(self, step: WriteBlock, plugin: str, subject: Subject) -> bool:
        """It is so already, and so it is in the books. Raises CannotObserve."""
        if step.path not in self._read:
            self._read[step.path] = marked.blocks(self._look.read_file(step.path) or "")
        found = self._read[step.path].get(mark(plugin, subject))
        record = self._look.store.one(BLOCK, name(step.path, plugin, subject))
        if not step.body:
            return found is None and record is None
        return found == _body(step) and record is not None


def mark(plugin: str, subject: Subject) -> str:
    return f"{plugin}:{subject}"


def name(path: Path, plugin: str, subject: Subject) -> str:
    return f"{path} {mark(plugin, subject)}"


def record(path: Path, plugin: str, subject: Subject) -> Record:
    """Of lines that stand there, or are about to."""
    return Record(BLOCK, name(path, plugin, subject), subject, plugin, {"path": str(path)})


def carry_out(step: WriteBlock, plugin: str, subject: Subject, files: Files, store: Store) -> None:
    """Raises OSError, ValueError (a file whose lines of ours do not pair)."""
    key = name(step.path, plugin, subject)
    try:
        text = files.read(step.path, _FILE_MAX_BYTES).decode()
    except FileNotFoundError:
        text = ""
    if step.body:
        new = marked.with_block(text, mark(plugin, subject), _body(step))
        store.remember(record(step.path, plugin, subject))
    else:
        new = marked.without_block(text, mark(plugin, subject))
    if new != text:
        files.write(step.path, new, None)
    if not step.body:
        store.forget(BLOCK, key)


def _body(step: WriteBlock) -> str:
    return step.body if step.body.endswith("\n") else step.body + "\n"
