"""What zlogin can run on the data-only floor beside the lab's commands: a script or a file tool, with absolute paths.

There is no container to be in. So the real program runs with each argument that is an absolute path moved below the
zone's root; the text of a script is left as it is, so it must take its paths as arguments.
"""

from __future__ import annotations

from pathlib import Path

from lab import packages
from lab.call import Call
from lab.zonefiles import index_entry

_TOOLS = {"rm": 1, "cat": 1, "head": 1, "mkdir": 1, "mv": 1, "sleep": 1, "tail": 1, "wc": 1}
_SCRIPT = 3  # sh -c SCRIPT: what follows is $0 and the arguments


def plays(words: list[str]) -> bool:
    return bool(words) and (words[0] in _TOOLS or (words[:2] == ["sh", "-c"] and len(words) > _SCRIPT))


def play(call: Call, zone: str, words: list[str], stdin: bytes) -> int:
    """Exit status of the real program; its output is the call's."""
    entry = index_entry(call.world, zone)
    assert entry is not None
    root = call.world.path(f"{entry.zonepath}/root")
    if not packages.delivered(root, call.world.dialect):
        packages.deliver(root, call.world.dialect, "etc", "opt", "var")
    start = _TOOLS.get(words[0], _SCRIPT)
    moved = [f"{root}{word}" if word.startswith("/") else word for word in words[start:]]
    done = call.spawn([*words[:start], *moved], {"PATH": "/usr/bin:/bin"}, stdin)
    prefix = str(Path(root)).encode()
    call.stdout.write(done.stdout)
    call.stderr.write(done.stderr.replace(prefix, b""))
    return done.returncode
