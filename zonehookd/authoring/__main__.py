"""`python -m zonehookd.authoring --shape SHAPE --name NAME --path PATH --memory-mb N`: one plugin, looked at.

In a process of its own, with the plugin's options as JSON on standard input. Prints a Sheet; what the plugin prints
goes to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from zonehookd.authoring.sheet import Sheet
from zonehookd.errors import PluginRefused
from zonehookd.model.plan import WriteFile
from zonehookd.plugin.finding import Found, Shape
from zonehookd.testing import Harness, Host, gateway, network, zone
from zonehookd.worker import executable
from zonehookd.worker.check import complaints
from zonehookd.worker.limits import limit
from zonehookd.worker.python import Python
from zonehookd.worker.work import Introduction


def main() -> None:
    parser = argparse.ArgumentParser("python -m zonehookd.authoring", description="What one plugin is.")
    parser.add_argument("--shape", choices=get_args(Shape), required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--path", type=Path, default=Path("/"))
    parser.add_argument("--memory-mb", type=int, default=256)
    given = parser.parse_args()
    limit(given.memory_mb)
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    options = json.loads(sys.stdin.read() or "{}")
    sheet = look_at(Found(given.name, given.shape, given.path), options)
    with said:
        said.write(sheet.model_dump_json())
    sys.stdout.flush()
    os._exit(0)  # whatever threads the plugin has begun


def look_at(found: Found, options: Mapping[str, Any]) -> Sheet:
    if faults := asyncio.run(complaints(found, options)):
        return Sheet(faults=list(faults))
    try:
        said = asyncio.run(_introduced(found))
    except PluginRefused as problem:  # it has become another since it was checked
        return Sheet(faults=str(problem).splitlines())
    return Sheet(
        kind=said.kind,
        after=list(said.after),
        about=said.about,
        schema_of_options=said.schema_of_options,
        wants=_wants(found, options),
    )


async def _introduced(found: Found) -> Introduction:
    if found.shape == "executable":
        return await executable.Executable(found, await executable.describe(found)).load()
    return await Python(found).load()


def _wants(found: Found, options: Mapping[str, Any]) -> list[str]:
    """Of a plugin that cannot be planned with here, nothing: this is a chance to be told early, and no more."""
    web1 = zone("web1", "running", "dmz", "10.1.0.5/24")
    try:
        harness = Harness(found, host=_Silent(), **options)
        planned = harness.given(web1, network("dmz", zones=[web1]), gateway("edge", "dmz", zones=[web1])).plan()
    except (Exception, SystemExit):
        return []
    steps = [step for plan in planned.said.values() for step in plan.steps]
    return sorted({str(step.path) for step in steps if isinstance(step, WriteFile)})


class _Silent(Host):
    """No command is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.hang("*", times=None)


if __name__ == "__main__":
    main()
