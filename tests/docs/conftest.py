"""The end-to-end tests' machine and service are used here, too."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]  # importlib mode adds no folder by itself
