"""A haproxy that is not heard: why it is not, and that nothing is done about it too often."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from plugins.haproxy.state import State
from zonehookd.errors import CannotObserve
from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Runtime
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model import subject
from zonehookd.model.command import Reply


def asked(path: Path, search: Path) -> Runtime:
    """By the real shell, with the commands of one folder."""
    query = haproxy.runtime(GLOBAL, path, ())
    shell = shutil.which("sh") or ""
    done = subprocess.run(
        [shell, *query.argv[1:]],
        input=query.stdin,
        env={"PATH": str(search)},
        capture_output=True,
        text=True,
        check=False,
    )
    return query.parse(Reply(done.returncode, done.stdout, done.stderr))


def test_without_nc_nobody_was_asked_and_that_is_no_silence(tmp_path: Path) -> None:
    at, empty, full = tmp_path / "s", tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "nc").symlink_to(shutil.which("nc") or "")
    assert "there is no socket" in asked(at, full).silent
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(at))
    with pytest.raises(CannotObserve, match="nc"):
        asked(at, empty)
    assert "nobody answers" in asked(at, full).silent


def test_it_is_moved_more_and_more_seldom() -> None:
    state, now_s, when = State(), 1_000_000.0, []
    for _ in range(24 * 360):  # a day, looked at every ten seconds
        now_s += 10.0
        if not state.rests(now_s):
            state = state.moved(now_s)
            when.append(now_s)
    assert when[1] - when[0] == 30.0 and len(when) < 32, len(when)
    assert State.of([state.to_record("edge", subject.gateway("edge"), "haproxy")]) == state
