"""Names in a message, which has an end whatever their number."""

from __future__ import annotations

from collections.abc import Sequence


def few(names: Sequence[str], most: int, between: str = ", ") -> str:
    """The first of them, and how many there are beside; "" if there are none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{between.join(names[:most])}{more}"
