"""What Prometheus is told: `Metrics` listens and counts, `serve` shows it."""

from __future__ import annotations

from zonehookd.metrics.listener import Metrics
from zonehookd.metrics.server import serve

__all__ = ["Metrics", "serve"]
