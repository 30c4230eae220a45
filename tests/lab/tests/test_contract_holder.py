"""native/contract.c by itself: what it says of a method, and in which order."""

from __future__ import annotations

import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import native_build

HERE = "-1"
METHODS, AT_ONCE = 240, 12


def _words(program: Path, log: Path) -> list[str]:
    """The first word of each message about a method that ends at once with status 96."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, log.open("ab") as text:
        descriptors = [theirs.fileno(), text.fileno()]
        argv = ["contract", HERE, *map(str, descriptors), "/", "/bin/sh", "-c", "exit 96"]
        subprocess.run([program, *argv], pass_fds=descriptors, check=True)
        theirs.close()
        said = []
        while message := ours.recv(256).decode():
            said.append(message)
    assert said[2].split()[2] == str(96 << 8)
    return [message.split()[0] for message in said]


def test_a_method_that_ends_at_once_is_told_from_one_that_never_ran(tmp_path: Path) -> None:
    """Its holder is named before anything is said of the method, however the two are scheduled."""
    program = tmp_path / "zonelab-init"
    shutil.copy(native_build.build() / "launch", program)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        heard = list(pool.map(lambda _: _words(program, tmp_path / "log"), range(METHODS)))
    assert [each for each in heard if each != ["pid", "method", "exit", "empty"]] == []
