"""The records of Tribblix' zap that its `destroy-zone` reads before it halts anything (zones sheet 5.7).

It looks for the line ``parent_zone: NAME`` in every zconfig.* of its folder. Where it finds one it refuses, and prints
the last word of every line of those files that begins with ``zone:`` (zap usr/lib/zap/destroy-zone).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

RECORDS = Path("/var/zap/zones")
_MARK = "# zonehookd: "


def children_file(gateway: str) -> str:
    """The name of a file of ours in its folder. zap's own for a zone is zconfig.ZONE."""
    return f"zconfig.zonehookd-{gateway}"


def children(gateway: str, zones: Iterable[str]) -> str:
    """What it holds: the zones that are not to lose their way out."""
    lines = [f"{_MARK}zones behind gateway {gateway}; zap destroy-zone -z {gateway} refuses while there are any"]
    lines += [f"parent_zone: {gateway}", *(f"zone: {each}" for each in zones)]
    return "".join(f"{line}\n" for line in lines)


def ours(text: str) -> bool:
    return text.startswith(_MARK)
