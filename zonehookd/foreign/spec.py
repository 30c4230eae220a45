"""What is known of a plugin before it is started: where it lies, how it is run, what it is told, and its files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zonehookd.errors import PluginRefused
from zonehookd.host.files import Stamp
from zonehookd.plugin import finding
from zonehookd.plugin.finding import Found


@dataclass(frozen=True, slots=True)
class Run:
    """As [plugins.run.NAME]. `memory_max_mb`: MiB. `user` "": as we ourselves."""

    required: bool = False
    deadline_s: float = 10.0
    memory_max_mb: int = 256
    user: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    found: Found
    run: Run = Run()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.found.name

    def same_process(self, other: Spec) -> bool:
        """What differs, if anything does, needs no new process."""
        mine, theirs = self.run, other.run
        return (self.found, self.options, mine.memory_max_mb, mine.user) == (
            other.found, other.options, theirs.memory_max_mb, theirs.user,
        )  # fmt: skip


def stamps(found: Found) -> Mapping[Path, Stamp]:
    """Of its files as they are. Nothing for what cannot be read: its start says what is wrong."""
    try:
        return finding.stamps(found)
    except OSError:
        return {}


def refuse_unsafe(found: Found) -> None:
    """Before it is run by root, or by whoever root says. Raises PluginRefused."""
    try:
        lines = list(finding.unsafe(found))
    except OSError as problem:
        raise PluginRefused(f"plugin {found.name}: cannot look at its files: {problem}") from problem
    if lines:
        raise PluginRefused("\n".join(lines))


def command(spec: Spec) -> Sequence[str]:
    """What is started. It sets its own limits before it loads anything."""
    found = spec.found
    path = [] if found.shape == "package" else ["--path", str(found.path)]
    memory = ["--memory-mb", str(spec.run.memory_max_mb)]
    return [
        sys.executable,
        "-P",
        "-B",  # what was edited twice within a second is no older code, and nothing is left in a plugin's folder
        "-m",
        "zonehookd.worker",
        "--shape",
        found.shape,
        "--name",
        found.name,
        *path,
        *memory,
    ]
