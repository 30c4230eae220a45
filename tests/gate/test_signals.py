"""The gate program where no signal arrives: zoneadmd's threads have all of them blocked, and ignore SIGPIPE, and a hook
starts like that (illumos usr/src/cmd/zoneadmd/zoneadmd.c main; zones sheet 5.5 leaves it open).
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time

from rig import Rig

SHOW = "grep -E '^(SigBlk|SigIgn):' /proc/self/status"


def all_blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def test_its_limit_needs_no_signal_and_the_original_starts_as_it_did_without_it(rig: Rig) -> None:
    original = rig.script("original", SHOW)

    def silent(connection: socket.socket) -> None:
        connection.settimeout(5.0)
        connection.recv(1)

    def shown(*argv: str) -> bytes:
        return subprocess.check_output(argv, timeout=20, preexec_fn=all_blocked, restore_signals=False)

    began = time.monotonic()
    with rig.peer(silent):
        asked = shown(str(rig.gate), str(rig.run), "prestatechange", "web1", "--", original, "2", "0")
    assert time.monotonic() - began < 4.0 + rig.slack_s()
    assert asked == shown(original, "2", "0")
    assert rig.alone() == [["ready", "web1", "allow", "time-out"]]
