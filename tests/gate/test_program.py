"""The gate program by itself: what it asks, whom it believes, what it decides alone, what it becomes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from rig import Rig

ARGUMENTS = 'echo $#; for each in "$@"; do echo "<$each>"; done'


# -- what it asks


@pytest.mark.parametrize(
    ("hook", "words", "request_line"),
    [
        ("prestatechange", ("2", "0"), "1 ready web1 prestatechange 2 0"),
        ("prestatechange", ("4", "0"), "1 ready web1 prestatechange 4 0"),  # the second half of a reboot
        ("prestatechange", ("2", "0", ""), "1 ready web1 prestatechange 2 0"),  # an empty ALTROOT
        ("prestatechange", ("4", "4"), "1 halt web1 prestatechange 4 4"),
        ("preuninstall", ("-F",), "1 uninstall web1 preuninstall - -"),
        ("preuninstall", (), "1 uninstall web1 preuninstall - -"),
    ],
)
def test_what_it_asks(rig: Rig, hook: str, words: tuple[str, ...], request_line: str) -> None:
    with rig.says("allow fine\n") as requests:
        done = rig.hook(hook, *words)
    assert requests == [f"{request_line}\n".encode()]
    assert (done.status, done.out, done.err) == (0, "", "")
    assert not rig.alone()


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("prestatechange", ("5", "4")),  # halted from inside: its processes are dead already
        ("prestatechange", ("3", "4")),
        ("prestatechange", ("2", "4")),  # the clean-up of a failed boot
        ("prestatechange", ("2", "1")),
        ("prestatechange", ("99", "9")),
        ("prestatechange", ("what", "ever")),
        ("poststatechange", ("2", "0")),
        ("poststatechange", ("4", "4")),
    ],
)
def test_what_it_only_tells(rig: Rig, hook: str, words: tuple[str, ...]) -> None:
    """A word of refusal would not be heard, so it is not waited for."""
    with rig.peer(lambda connection: time.sleep(3.0)) as requests:
        done = rig.hook(hook, *words, original=rig.script("original", ARGUMENTS))
        assert done.status == 0 and done.seconds < 1.5 + rig.slack_s()
        until = time.monotonic() + 30
        while not requests and time.monotonic() < until:
            time.sleep(0.01)
    told = " ".join(words) if words[0].isdigit() else "- -"
    assert requests[0] == f"1 note web1 {hook} {told}\n".encode()
    assert not rig.alone()


def test_under_an_alternate_root_it_asks_nothing(rig: Rig) -> None:
    with rig.says("deny no\n") as requests:
        done = rig.hook("prestatechange", "2", "0", "/a", original=rig.script("original", ARGUMENTS))
    assert done.out == "3\n<2>\n<0>\n</a>\n" and requests == []


# -- the answer


def test_a_boot_that_is_denied_says_why_where_zoneadmd_relays_it(rig: Rig) -> None:
    original = rig.script("original", "echo never")
    with rig.says("deny late\nfirst line\n  second\n"):
        done = rig.ready(original=original)
    assert (done.status, done.out, done.err) == (1, "first line\n  second\n", "")


def test_an_uninstall_that_is_denied_says_why_to_who_types_it(rig: Rig) -> None:
    with rig.says("deny dependents\nzone edge is needed\n"):
        done = rig.uninstall("-F")
    assert (done.status, done.out, done.err) == (1, "", "zone edge is needed\n")


def test_what_is_allowed_may_come_with_a_word(rig: Rig) -> None:
    with rig.says("allow late\nit boots as it is\n"):
        done = rig.ready(original=rig.script("original", "echo original; exit 7"))
    assert (done.status, done.out) == (7, "it boots as it is\noriginal\n")


def test_nothing_in_it_steers_a_terminal(rig: Rig) -> None:
    with rig.says("deny no\n\x1b[2J\x07evil\x7f"):
        done = rig.ready()
    assert done.out == "?[2J?evil?\n"


def test_an_answer_may_come_in_pieces(rig: Rig) -> None:
    def slowly(connection: socket.socket) -> None:
        for piece in (b"de", b"ny n", b"o\nbecau", b"se\n"):
            connection.sendall(piece)
            time.sleep(0.05)

    with rig.peer(slowly):
        assert rig.ready().out == "because\n"


def _silence(connection: socket.socket) -> None:
    connection.settimeout(8.0)
    with contextlib.suppress(TimeoutError):
        connection.recv(1)


def _half(connection: socket.socket) -> None:
    connection.sendall(b"deny no\n")
    _silence(connection)


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"deny no\n" + b"x" * (1 << 20))


def _drip(connection: socket.socket) -> None:
    for _ in range(160):
        connection.sendall(b"deny no\n")
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("behave", "why", "longest_s"),
    [
        (_silence, "time-out", 3.0),
        (_half, "time-out", 3.0),  # an answer without an end may be half of one
        (_drip, "time-out", 3.0),
        (_flood, "flood", 1.5),
        (lambda connection: None, "closed", 1.5),
        (lambda connection: connection.sendall(b"perhaps\n"), "garbage", 1.5),
        (lambda connection: connection.sendall(b"deny no"), "garbage", 1.5),
        (lambda connection: connection.sendall(b"deny \n"), "garbage", 1.5),
        (lambda connection: connection.sendall(b"deny a b\n"), "garbage", 1.5),
        (lambda connection: connection.sendall(b"\0deny no\n"), "garbage", 1.5),
        (lambda connection: connection.sendall(b"\n"), "garbage", 1.5),
    ],
)
def test_what_is_no_answer_leaves_it_alone(rig: Rig, behave: object, why: str, longest_s: float) -> None:
    """And alone it lets boot, unless told otherwise."""
    assert callable(behave)
    with rig.peer(behave):
        done = rig.ready(original=rig.script("original", "echo original"))
        assert (done.status, done.out) == (0, "original\n")
        assert done.seconds < longest_s + rig.slack_s()
    assert rig.alone() == [["ready", "web1", "allow", why]]


def test_a_daemon_that_takes_no_question_is_not_waited_for_longer(rig: Rig) -> None:
    """Stopped, and its queue is full already."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, contextlib.ExitStack() as others:
        listening.bind(str(rig.socket))
        listening.listen(1)
        for _ in range(8):
            other = others.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(str(rig.socket))
        asked, noted = rig.ready(), rig.hook("poststatechange", "2", "1")
    slack_s = rig.slack_s()
    assert asked.status == 0 and 1.8 < asked.seconds < 3.0 + slack_s
    assert noted.status == 0 and noted.seconds < 1.5 + slack_s
    assert rig.alone() == [["ready", "web1", "allow", "time-out"]]


def test_a_socket_that_nobody_holds_costs_no_time(rig: Rig) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(rig.socket))
    done = rig.ready()
    assert done.status == 0 and done.seconds < 1.5 + rig.slack_s()
    assert rig.alone() == [["ready", "web1", "allow", "refused"]]


# -- whom it believes


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_others_may_have_put_there_is_not_asked(rig: Rig, what: str) -> None:
    with rig.says("deny no\n") as requests:
        if what == "folder":
            rig.run.chmod(0o777)
        elif what == "link":
            rig.run.rename(rig.run.with_name("elsewhere"))
            rig.run.symlink_to(rig.run.with_name("elsewhere"))
        else:
            rig.socket.rename(rig.run / "aside")
            rig.socket.write_text("")
        assert rig.ready().status == 0
        assert requests == []
        rig.run.chmod(0o700)
        if what == "file":
            (rig.run / "aside").rename(rig.socket)
    assert rig.alone()[0][3] in ("planted", "no-socket")


@pytest.mark.parametrize("what", ["mode", "link", "folder", "pipe"])
def test_a_record_that_others_may_have_written_counts_for_nothing(rig: Rig, what: str) -> None:
    rig.guard("policy uninstall allow", "gateway edge 0 0")
    file = rig.state / "guard"
    if what == "mode":
        file.chmod(0o666)
    elif what == "link":
        file.rename(rig.state / "elsewhere")
        file.symlink_to(rig.state / "elsewhere")
    elif what == "pipe":
        file.unlink()
        os.mkfifo(file, 0o600)
    else:
        rig.state.chmod(0o777)
    done = rig.uninstall("-F", zone="edge")
    assert done.status == 1 and "has left no record" in done.err


def test_what_belongs_to_another_user_counts_for_nothing(rig: Rig) -> None:
    rig.guard("policy uninstall allow", "gateway edge 0 0")
    argv0 = str(rig.gate)
    if os.geteuid() == 0:
        os.chown(rig.state / "guard", 1, 1)
    else:
        argv0 = "/etc/gate"  # a folder of root's
    argv = [argv0, rig.run, "preuninstall", "edge", "-"]
    done = subprocess.run(argv, executable=rig.gate, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "has left no record" in done.stderr


def test_its_log_follows_nothing_and_stays_small(rig: Rig) -> None:
    target = rig.run / "target"
    (rig.state / "gate.alone").symlink_to(target)
    assert rig.ready().status == 0
    assert not target.exists()
    (rig.state / "gate.alone").unlink()
    (rig.state / "gate.alone").write_text("x" * 65_530)
    (rig.state / "gate.alone").chmod(0o600)
    assert rig.ready().status == 0
    assert (rig.state / "gate.alone").stat().st_size == 65_530


# -- the rest


@pytest.mark.parametrize(
    "argv", [[], ["run"], ["run", "prestatechange", "web1"], ["run", "p", "web1", "x"], ["r", "p", "w", "--"]]
)
def test_wrong_usage_is_said(rig: Rig, argv: list[str]) -> None:
    done = subprocess.run([rig.gate, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 64 and "usage" in done.stderr


def test_many_at_once(rig: Rig) -> None:
    """A host that boots its zones: every one is answered."""
    with rig.peer(lambda connection: connection.sendall(b"allow fine\n"), backlog=2) as requests:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda number=number: statuses.append(rig.ready(zone=f"z{number}").status))  # type: ignore[misc]
            for number in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 40 and len(requests) == 40
    assert not rig.alone()


def test_it_is_quick(rig: Rig) -> None:
    """What a boot pays for each of its hooks when there is nobody to ask."""
    argv: list[str | Path] = [rig.gate, rig.run, "poststatechange", "web1", "-", "2", "0"]
    each = []
    for _ in range(50):
        began = time.monotonic()
        subprocess.run(argv, check=True)
        each.append(time.monotonic() - began)
    print(f"{min(each) * 1000:.2f} ms a hook at best, the start of the process included")
    assert min(each) < 0.02


@pytest.mark.parametrize("hook, words, stream", [("prestatechange", ("2", "0"), 1), ("preuninstall", ("-F",), 2)])
def test_who_reads_nothing_holds_up_the_zone_no_longer_than_who_says_nothing(
    rig: Rig, hook: str, words: tuple[str, ...], stream: int
) -> None:
    reader, writer = os.pipe()
    out, err = (writer if stream == each else subprocess.DEVNULL for each in (1, 2))
    os.set_blocking(writer, False)
    while True:  # somebody has filled it
        try:
            os.write(writer, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(writer, True)
    argv: list[str | Path] = [rig.gate, rig.run, hook, "web1", "-", *words]
    with rig.says("deny dependents\nzonehookd: no\n"):
        began = time.monotonic()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=60, check=False)
        took_s = time.monotonic() - began
    os.close(reader)
    os.close(writer)
    assert done.returncode == 1 and 1.9 < took_s < 3.0 + rig.slack_s()
