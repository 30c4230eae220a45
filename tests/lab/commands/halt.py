"""halt, as far as a zone needs it."""

from __future__ import annotations

from lab.call import Call
from lab.from_inside import go_down


def main(call: Call) -> int:
    return go_down(call, reboot=False)
