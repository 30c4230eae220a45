"""What whoever keeps workers is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq.asyncio

from zonehookd.engine.look import Look
from zonehookd.foreign.spec import Spec, command
from zonehookd.host.process import Processes

Took = Callable[[str, str, float], None]  # plugin, verb, seconds


def _nobody(plugin: str, verb: str, seconds: float) -> None:
    """Who is told how long calls took, where nobody is."""


@dataclass(frozen=True, slots=True)
class Tools:
    """`folder`: where sockets are made, ours alone. `came_up` is told of a plugin that can be asked from now on: it is
    to see all there is. `went_down`: of one that is required and cannot be asked for a while: what rests on it is in
    trouble. `command`: how a worker is started."""

    context: zmq.asyncio.Context
    processes: Processes
    folder: Path
    make_look: Callable[[], Look]
    log: Any
    came_up: Callable[[str], None]
    went_down: Callable[[str], None]
    took: Took = _nobody
    command: Callable[[Spec], Sequence[str]] = field(default=command)
