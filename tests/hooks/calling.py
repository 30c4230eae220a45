"""Programs as hooks, written by a test, and what is heard of their calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zonehookd.hooks import telling
from zonehookd.hooks.calls import Answer, Called, Calls
from zonehookd.hooks.folder import HookFile, find
from zonehookd.hooks.moments import Moment
from zonehookd.host.audit import Audit
from zonehookd.host.process import Limits, Processes
from zonehookd.wire.messages import HookAnswer, HookMoment

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class NoFunctions:
    """There are none here."""

    def take(self, files: object, deadline_s: float) -> None:
        pass

    def moments(self, name: str) -> frozenset[str] | None:
        return None

    def down(self, name: str) -> str:
        return "is not started yet"

    def trouble(self, name: str) -> str:
        return self.down(name)

    async def tell(self, name: str, moment: HookMoment, deadline_s: float) -> HookAnswer:
        raise AssertionError("nobody asks for functions")


def put(folder: Path, name: str, script: str) -> HookFile:
    """A shell script as hook `name`."""
    folder.mkdir(mode=0o755, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return find(folder)[name]


class Phone:
    """Calls hooks as the daemon does, with its log of commands at `audit`."""

    def __init__(self, root: Path) -> None:
        self.audit_file = root / "audit.jsonl"
        self.audit = Audit(self.audit_file)
        self.processes = Processes(PATH, Limits())
        self.heard: list[Called] = []
        self.functions = NoFunctions()
        self.calls = Calls(self.processes, self.audit, self.functions, self.heard.append)

    async def call(
        self, hook: HookFile, moment: Moment = "after-start", deadline_s: float = 30.0, **about: Any
    ) -> Answer:
        shown: Mapping[str, Any] = {**telling.nothing_known("web1"), **about}
        return await self.calls.call(hook, "web1", moment, shown, at=0.0, cause="look", tries=1, deadline_s=deadline_s)

    def audited(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit_file.read_text().splitlines()]
