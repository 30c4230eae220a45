"""How patient the dispatcher is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, all of them; see [timing] in config/daemon.py."""

    full_look_s: float
    pace_s: float
    retry_max_s: float
    heartbeat_s: float = 5.0
