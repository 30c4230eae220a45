"""What init gives every daemon beside PATH: the settings of /etc/default/init [zones 3.12, services 3.6]."""

from __future__ import annotations

from pathlib import Path


def settings(root: Path) -> dict[str, str]:
    """NAME -> value of the file below `root`, comments left out, quotes taken off; {} without the file."""
    try:
        lines = (root / "etc/default/init").read_text().splitlines()
    except OSError:
        return {}
    found = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in found if equals and name.strip()}
