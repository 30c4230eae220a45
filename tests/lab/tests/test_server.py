"""The server: who calls, what is written down, how faults are scripted from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from lab import door
from lab.server import Outlet
from lab.tests.bench import Bench


def test_the_journal_has_a_line_per_command(bench: Bench) -> None:
    bench.run("dladm", "create-etherstub", "stub0")
    bench.run("dladm", "create-etherstub", "stub0")
    first, second = (json.loads(line) for line in bench.journal().splitlines())
    assert set(first) == {"time", "zone", "pid", "ppid", "argv", "status", "ms"}
    assert first["argv"] == ["dladm", "create-etherstub", "stub0"]
    assert (first["zone"], first["ppid"], first["status"]) == ("global", os.getpid(), 0)
    assert (second["status"], second["pid"] != first["pid"]) == (1, True)


def test_a_killed_command_has_no_status(bench: Bench) -> None:
    bench.run("zonelab", "fault", "add", "kill", "dladm create-vnic *")
    bench.run("dladm", "create-vnic", "-l", "net0", "web1_0")
    assert json.loads(bench.journal())["status"] is None


def test_an_error_inside_the_lab_is_loud(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """Also in the server's own log: whoever ran the command may have thrown its text away."""
    bench.world.links = None  # type: ignore[assignment]
    done = bench.run("dladm", "show-link")
    assert done.returncode == 70
    assert done.stderr.startswith("zonelab: internal error in ['dladm', 'show-link']:\nTraceback")
    assert "in ['dladm', 'show-link']" in capfd.readouterr().err


def test_faults_are_listed_and_cleared(bench: Bench) -> None:
    bench.run("zonelab", "fault", "add", "fail", "dladm *", "--skip", "1", "--times", "2", "--status", "no buffers")
    bench.run("zonelab", "fault", "lose-events")
    lines = [json.loads(line) for line in bench.run("zonelab", "fault", "list").stdout.splitlines()]
    assert lines == [
        {"kind": "fail", "pattern": "dladm *", "skip": 1, "times": 2, "seconds": 0.0, "status": "no buffers"},
        {"kind": "lose-events"},
    ]
    bench.run("zonelab", "fault", "clear")
    assert bench.run("zonelab", "fault", "list").stdout == ""
    assert bench.world.channel.drop_all is False


def test_a_scripted_fault_strikes_the_call_it_names(bench: Bench) -> None:
    bench.run("zonelab", "fault", "add", "busy", "dladm create-etherstub stub1")
    assert bench.run("dladm", "create-etherstub", "stub0").returncode == 0
    done = bench.run("dladm", "create-etherstub", "stub1")
    assert (done.returncode, done.stderr) == (1, "dladm: etherstub creation failed: link busy\n")


def test_an_unknown_fault_is_refused(bench: Bench) -> None:
    done = bench.run("zonelab", "fault", "add", "earthquake", "*")
    assert done.returncode == 2
    assert "invalid choice: 'earthquake'" in done.stderr


def test_the_log_shows_the_last_lines_and_can_be_emptied(bench: Bench) -> None:
    for name in ("stub0", "stub1"):
        bench.run("dladm", "create-etherstub", name)
    done = bench.run("zonelab", "log", "-n", "1", "--clear")
    assert [json.loads(line)["argv"][-1] for line in done.stdout.splitlines()] == ["stub1"]
    assert bench.run("zonelab", "log").stdout == ""


def test_stop_ends_the_server(bench: Bench) -> None:
    assert bench.run("zonelab", "stop").returncode == 0
    assert bench.run("zonename").returncode == 125


@pytest.mark.parametrize(
    "noise", [b"", b"\x05", b"\xff\xff\xff\xff", b"\x03\x00\x00\x00ab\x00", b"\x02\x00\x00\x00\x00\x00"]
)
def test_noise_at_the_door_harms_nobody(bench: Bench, noise: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(bench.folder / "lib/zonelab/door"))
        stranger.sendall(noise)
        stranger.shutdown(socket.SHUT_WR)
        assert stranger.recv(1) == b""
    assert bench.run("zonename").stdout == "global\n"


def test_without_privileges_nothing_changes(bench: Bench) -> None:
    bench.server._superuser = -1
    done = bench.run("dladm", "create-etherstub", "stub0")
    assert (done.returncode, done.stderr) == (1, "dladm: etherstub creation failed: permission denied\n")


def test_a_slow_reader_holds_up_nobody_else(bench: Bench) -> None:
    """Output waits in memory, not under the world's lock."""
    for number in range(2000):
        bench.world.links[f"l{number}"] = bench.world.links["net0"]
    with subprocess.Popen(bench.argv(["dladm", "show-link"]), stdout=subprocess.PIPE, text=True) as child:
        assert bench.run("dladm", "create-etherstub", "stub0").returncode == 0
        assert child.stdout is not None
        assert len(child.stdout.read().splitlines()) > 2000


def test_outlets_keep_the_order_of_two_streams(tmp_path: Path) -> None:
    with (tmp_path / "both").open("wb") as file:
        out = Outlet(file.fileno())
        err = Outlet(file.fileno(), before=out)
        out.write(b"one ")
        err.write(b"two ")
        out.write(b"three")
        out.flush()
    assert (tmp_path / "both").read_bytes() == b"one two three"


def test_a_request_that_stops_half_way_leaves_no_descriptor_open() -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    with ours, theirs:
        socket.send_fds(theirs, [b"\x10\x00\x00\x00abc"], [write])
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(door.Malformed):
            door.receive_request(ours)
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
