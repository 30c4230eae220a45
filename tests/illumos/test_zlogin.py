"""Commands and files inside a zone (zones sheet 7). The scripts are run by the real sh, as a zone's shell would."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin
from hypothesis import given
from hypothesis import strategies as st
from lab.dispatch import run_text
from lab.world import World

from zonehookd.errors import CannotObserve
from zonehookd.illumos import zlogin
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply

NASTY = 'it\'s $(id) `id` "quoted"; \\ * # \n end'


def shell(argv: tuple[str, ...], stdin: str = "") -> Reply:
    """What the shell in the zone makes of zlogin's last argument."""
    assert argv[0] == "zlogin" and argv[-2] == "web1"
    done = subprocess.run(["sh", "-c", argv[-1]], input=stdin.encode(), capture_output=True, check=False)
    return Reply(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def read(*paths: Path) -> Any:
    query = zlogin.read_files("web1", paths)
    assert query.argv[1] == "-n"
    return query.parse(shell(query.argv))


def run(change: Change) -> Reply:
    return shell(change.argv, change.stdin)


def test_the_global_zone_needs_no_zlogin_and_a_zone_needs_quotes() -> None:
    assert zlogin.inside(GLOBAL, ("ipadm", "show-addr")) == ("ipadm", "show-addr")
    assert zlogin.inside("web1", ("echo", "a b", "$HOME")) == ("zlogin", "-n", "web1", "echo 'a b' '$HOME'")
    assert zlogin.inside("web1", ("cat",), stdin=True) == ("zlogin", "web1", "cat")


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12), min_size=1, max_size=4))
def test_no_word_is_read_as_shell_syntax(words: list[str]) -> None:
    reply = shell(zlogin.inside("web1", ("printf", "%s\\n", *words)))
    assert reply.stdout == "".join(f"{word}\n" for word in words)


@pytest.mark.parametrize(
    "text",
    [
        "zlogin: login allowed only to running zones (web1 is 'installed').\n",
        "zlogin: zone 'web1' unknown\n",
        "ipadm: Could not get address: Could not communicate with ipmgmtd",
        "svcs: Could not bind to repository server: repository server unavailable.  Exiting.\n",
    ],
)
def test_a_zone_that_is_not_up_is_no_answer_and_is_asked_again(text: str) -> None:
    with pytest.raises(CannotObserve, match="zone web1 is not up: "):
        zlogin.must_succeed("web1", ("ipadm",), Reply(1, "", text))
    assert zlogin.not_up(GLOBAL, text) == ""
    said = zlogin.remove_file("web1", Path("/etc/x"), why="").judge(1, text)
    assert said.again and said.busy and not said.done


def test_a_zone_without_the_command_is_not_asked_again() -> None:
    assert not zlogin.remove_file("web1", Path("/etc/x"), why="").judge(127, "sh: rm: not found").again


def test_files_are_read_in_one_command_and_cannot_be_confused(tmp_path: Path) -> None:
    sly, plain, empty = tmp_path / "a b's", tmp_path / "plain", tmp_path / "empty"
    sly.write_text("end\nfile 3\nabsent\nno newline at the end")
    plain.write_text("line\n\n")
    empty.write_text("")
    gone = tmp_path / "gone"
    assert read(sly, gone, plain, empty) == {
        sly: "end\nfile 3\nabsent\nno newline at the end", gone: None, plain: "line\n\n", empty: "",
    }  # fmt: skip
    assert read() == {}


def test_what_is_no_text_file_is_no_answer(tmp_path: Path) -> None:
    latin = tmp_path / "latin"
    latin.write_bytes("Köln".encode("latin-1"))
    with pytest.raises(CannotObserve, match="not UTF-8"):
        read(latin)
    with pytest.raises(CannotObserve, match="not a regular file"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("file 3\nabcd\nend\n", "changed while it was read"),
        ("file 9\nabc\nend\n", "changed while it was read"),
        ("", "expected /etc/x"),
        ("absent\nabsent\n", "more came"),
    ],
)
def test_a_file_that_changed_meanwhile_is_no_answer(out: str, said: str) -> None:
    query: Query[Any] = zlogin.read_files("web1", [Path("/etc/x")])
    with pytest.raises(CannotObserve, match=said):
        query.parse(Reply(0, out, ""))


@pytest.mark.parametrize("content", ["", "one\n", NASTY, "ümlaut without newline"])
def test_a_file_is_written_whole_with_its_mode_and_folders(tmp_path: Path, content: str) -> None:
    path = tmp_path / "new folder" / "it's" / "ipnat.conf"
    assert run(zlogin.write_file("web1", path, content, 0o640, why="")) == Reply(0, "", "")
    assert path.read_text() == content and path.stat().st_mode & 0o7777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert [each.name for each in path.parent.iterdir()] == ["ipnat.conf"], "nothing is left beside it"


def test_the_mode_of_the_file_that_is_there_is_kept(tmp_path: Path) -> None:
    there, new = tmp_path / "dhcpd.conf", tmp_path / "new.conf"
    there.write_text("old")
    there.chmod(0o640)
    assert run(zlogin.write_file("web1", there, NASTY, None, why="")) == Reply(0, "", "")
    assert run(zlogin.write_file("web1", new, "new", None, why="")) == Reply(0, "", "")
    assert there.read_text() == NASTY and there.stat().st_mode & 0o7777 == 0o640
    assert new.read_text() == "new" and new.stat().st_mode & 0o7777 == 0o644
    assert sorted(each.name for each in tmp_path.iterdir()) == ["dhcpd.conf", "new.conf"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    precious, path = tmp_path / "precious", tmp_path / "hosts"
    precious.write_text("mine")
    path.symlink_to(precious)
    (tmp_path / "hosts.zonehookd-new").symlink_to(precious)
    assert run(zlogin.write_file("web1", path, "ours", why="")).status == 0
    assert precious.read_text() == "mine" and path.read_text() == "ours" and not path.is_symlink()


def test_content_that_was_cut_short_is_not_installed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("old")
    change = zlogin.write_file("web1", path, "new content", why="")
    reply = shell(change.argv, "new con")
    assert reply.status == 1 and "cut short" in reply.stderr and change.judge(reply.status, reply.stderr).again
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    change = zlogin.write_file("web1", tmp_path / "hosts", "x", why="")
    reply = run(change)
    assert reply.status == 3 and not change.judge(reply.status, reply.stderr).again
    assert not list((tmp_path / "hosts").iterdir())


def test_removing_the_missing_has_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    path.write_text("x")
    assert [run(zlogin.remove_file("web1", path, why="")).status for _ in range(2)] == [0, 0]
    assert not path.exists()


def test_the_global_zone_and_relative_paths_are_refused() -> None:
    with pytest.raises(ValueError, match="without zlogin"):
        zlogin.read_files(GLOBAL, [Path("/etc/hosts")])
    with pytest.raises(ValueError, match="not an absolute path"):
        zlogin.write_file("web1", Path("etc/hosts"), "", why="")


def test_the_lab_understands_our_words(world: World, admin: Admin) -> None:
    admin.zone("web1")
    argv = zlogin.inside("web1", ("zonename", "-t"))
    with pytest.raises(CannotObserve, match="zone web1 is not up: zlogin: login allowed only"):
        done = run_text(world, list(argv))
        zlogin.must_succeed("web1", argv, Reply(done.status, done.out, done.err))
    admin.do("zoneadm", "-z", "web1", "boot")
    assert admin.do(*argv) == "exclusive\n"


def test_what_a_zone_says_fills_no_message_and_steers_no_terminal() -> None:
    query = zlogin.read_files("web1", [Path("/a")])
    for noise in ("zlogin: " + "x" * 9_000_000, "\x1b]0;mine\x07\x9b2J" * 100_000):
        with pytest.raises(CannotObserve) as raised:
            query.parse(Reply(1, "", noise))
        text = str(raised.value)
        assert len(text) < 2000 and not {"\x1b", "\x07", "\x9b"} & set(text)
