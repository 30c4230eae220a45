"""pgrep(1): by contract the lab's, otherwise the machine's."""

from __future__ import annotations

from lab.call import Call
from lab.contract_processes import main as by_contract


def main(call: Call) -> int:
    return by_contract(call)
