"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonehookd.host.files import read_bounded, write_atomically


@pytest.mark.parametrize(("mode", "then"), [(0o600, 0o600), (None, 0o640)])
def test_a_file_that_is_there_keeps_its_mode_unless_told(tmp_path: Path, mode: int | None, then: int) -> None:
    path = tmp_path / "dhcpd.conf"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "new", mode)
    assert path.read_text() == "new" and path.stat().st_mode & 0o7777 == then
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_gets_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "hosts"
    write_atomically(path, "new", None)
    assert path.stat().st_mode & 0o7777 == 0o644 and path.parent.stat().st_mode & 0o777 == 0o755


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "hosts", "new", 0o644)
    assert [each.name for each in tmp_path.iterdir()] == ["hosts"]


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no plain file"):
        read_bounded(tmp_path / "pipe", 100)


def test_what_is_read_is_bounded_and_the_file_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("12345")
    (tmp_path / "link").symlink_to("hosts")
    assert read_bounded(tmp_path / "link", 5) == b"12345"
    with pytest.raises(ValueError, match="larger than 4"):
        read_bounded(tmp_path / "hosts", 4)
    with pytest.raises(IsADirectoryError):
        read_bounded(tmp_path, 100)
