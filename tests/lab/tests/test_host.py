"""A lab host as a whole: what it looks like inside, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tests.bench import TIMEOUT_SECONDS, Machine, until


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Ourselves, and an ordinary user. Neither may be skipped: the lab promises both."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


@pytest.fixture
def lasting(machine: Machine) -> Iterator[str]:
    """The name of a host that is up."""
    name = f"t{uuid.uuid4().hex[:8]}"
    done = machine.zonelab("up", "--paper", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    yield name
    machine.zonelab("down", name)


def _traces(name: str) -> list[str]:
    """Processes of the host `name`, and whatever hangs on them, as the machine sees it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if name.encode() in command and process.name != str(os.getpid()):
                found.append(command.replace(b"\0", b" ").decode())
    return found


class TestRun:
    def test_it_ends_as_the_command_ends(self, machine: Machine) -> None:
        assert machine.zonelab("run", "--paper", "--", "sh", "-c", "exit 7").returncode == 7
        assert machine.zonelab("run", "--paper", "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
        missing = machine.zonelab("run", "--paper", "--", "no-such-command")
        assert (missing.returncode, missing.stderr) == (127, "zonelab: no-such-command: No such file or directory\n")

    def test_streams_are_the_commands_own(self, machine: Machine) -> None:
        done = machine.zonelab("run", "--paper", "--", "sh", "-c", "cat; echo err >&2", stdin=None, input="in\n")
        assert (done.stdout, done.stderr) == ("in\n", "err\n")

    def test_it_is_root_on_a_host_of_its_own(self, machine: Machine) -> None:
        out = machine.script("id -u; hostname; zonename; zoneadm list; ls /zones /export", "--paper")
        assert out.split() == ["0", "lab", "global", "global", "/export:", "home", "zones", "/zones:"]

    def test_the_illumos_commands_come_first(self, machine: Machine) -> None:
        out = machine.script("command -v dladm; cmp $(command -v dladm) /usr/sbin/dladm; ls /usr/bin/zonename")
        assert out.split() == ["/usr/lib/zonelab/bin/dladm", "/usr/bin/zonename"]

    def test_the_dialect_is_chosen_at_the_start(self, machine: Machine) -> None:
        fields = "zoneadm list -p | tr : '\\n' | wc -l"
        assert machine.script(fields, "--paper").strip() == "7"
        assert machine.script(fields, "--paper", "--omnios").strip() == "8"

    def test_changes_stay_inside(self, machine: Machine) -> None:
        mark = f"zonelab-{uuid.uuid4().hex}"
        folders = ("/etc", "/etc/zones", "/var/log", "/tmp", "/usr/sbin", "/usr/lib/brand", "/dev/shm", "/run")  # noqa: S108
        places = [f"{folder}/{mark}" for folder in folders]
        machine.script(f"for place in {' '.join(places)}; do echo x > $place; done", "--paper")
        assert [place for place in places if Path(place).exists()] == []

    def test_the_machines_system_is_read_only_but_the_checkout_is_not(self, machine: Machine) -> None:
        mark = f"zonelab-{uuid.uuid4().hex}"
        out = machine.script(f"touch /opt/{mark} /home/{mark} 2>&1 || echo refused; touch {mark}; rm {mark}", "--paper")
        assert out.splitlines()[-1] == "refused"
        assert not Path(f"/home/{mark}").exists()

    def test_the_callers_folder_is_there_even_below_tmp(self, machine: Machine) -> None:
        folder = machine.checkout / "tests" if machine.user else machine.checkout
        done = machine.zonelab("run", "--paper", "--", "sh", "-c", "pwd; ls", cwd=folder)
        assert done.stdout.splitlines()[0] == str(folder)
        assert "lab" in done.stdout or "tests" in done.stdout

    def test_further_folders_can_be_shown(self, ours: Machine, tmp_path: Path) -> None:
        (tmp_path / "word").write_text("hello")
        ours.script(f"cp {tmp_path}/word {tmp_path}/answer", "--paper", "--show", str(tmp_path))
        assert (tmp_path / "answer").read_text() == "hello"

    def test_the_notification_library_is_on_the_default_search_path(self, machine: Machine) -> None:
        program = """
import ctypes
library = ctypes.CDLL("libzonecfg.so.1")
library.zonecfg_notify_bind.restype = ctypes.c_void_p
callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)
print(bool(library.zonecfg_notify_bind(callback, None)))
"""
        done = machine.zonelab("run", "--paper", "--", "/usr/bin/python3", "-c", program)
        assert (done.stdout, done.stderr) == ("True\n", "")

    def test_faults_and_the_journal_from_inside(self, machine: Machine) -> None:
        out = machine.script(
            "zonelab fault add busy 'dladm create-etherstub *'; dladm create-etherstub stub0 2>&1 || true; zonelab log",
            "--paper",
        )
        message, line = out.splitlines()
        assert message == "dladm: etherstub creation failed: link busy"
        assert '"argv": ["dladm", "create-etherstub", "stub0"], "status": 1' in line

    def test_signals_reach_the_command(self, machine: Machine) -> None:
        script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.01; done"
        options: dict[str, object] = {
            "stdout": subprocess.PIPE,
            "text": True,
            "cwd": machine.checkout,
            **machine.identity(),
        }
        with subprocess.Popen(machine.command("run", "--paper", "--", "sh", "-c", script), **options) as child:  # type: ignore[call-overload]
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGTERM)
            assert child.stdout.read() == "caught\n"
        assert child.returncode == 3

    def test_what_the_command_leaves_running_ends_with_it(self, machine: Machine) -> None:
        mark = f"sleep 4{uuid.uuid4().int % 10**9}"
        machine.script(f"setsid {mark} >/dev/null 2>&1 & echo", "--paper")
        _until_gone(mark.split()[1])

    def test_a_killed_caller_takes_the_host_along(self, machine: Machine) -> None:
        mark = f"4{uuid.uuid4().int % 10**9}"
        options: dict[str, object] = {
            "stdout": subprocess.PIPE,
            "text": True,
            "cwd": machine.checkout,
            **machine.identity(),
        }
        command = machine.command("run", "--paper", "--", "sh", "-c", f"echo up; sleep {mark}")
        with subprocess.Popen(command, **options) as child:  # type: ignore[call-overload]
            assert child.stdout.readline() == "up\n"
            child.kill()
        _until_gone(mark)


def _until_gone(mark: str) -> None:
    until(lambda: not _traces(mark))


class TestLasting:
    def test_commands_meet_on_it(self, machine: Machine, lasting: str) -> None:
        assert machine.zonelab("run", "--host", lasting, "--", "dladm", "create-etherstub", "stub0").returncode == 0
        done = machine.zonelab("run", "--host", lasting, "--", "dladm", "show-etherstub", "-p", "-o", "link")
        assert (done.returncode, done.stdout) == (0, "stub0\n")
        assert machine.zonelab("run", "--host", lasting, "--", "sh", "-c", "exit 5").returncode == 5

    def test_it_is_listed_until_it_is_down(self, machine: Machine, lasting: str) -> None:
        assert lasting in machine.zonelab("list").stdout.split()
        assert machine.zonelab("down", lasting).returncode == 0
        assert lasting not in machine.zonelab("list").stdout.split()
        assert _traces(lasting) == []
        done = machine.zonelab("down", lasting)
        assert (done.returncode, done.stderr) == (1, f"zonelab: no host '{lasting}' is up (zonelab up {lasting})\n")

    def test_a_name_is_taken_once(self, machine: Machine, lasting: str) -> None:
        done = machine.zonelab("up", lasting)
        assert (done.returncode, done.stderr) == (1, f"zonelab: host '{lasting}' is up already\n")

    def test_faults_and_the_journal_from_outside(self, machine: Machine, lasting: str) -> None:
        machine.zonelab("fault", "--host", lasting, "add", "busy", "dladm create-etherstub *", "--times", "3")
        listed = machine.zonelab("fault", "--host", lasting, "list").stdout
        assert '"times": 3' in listed
        machine.zonelab("run", "--host", lasting, "--", "zonename")
        assert '["zonename"]' in machine.zonelab("log", "--host", lasting, "-n", "1").stdout

    def test_a_shell_on_it(self, machine: Machine, lasting: str) -> None:
        done = machine.zonelab("shell", lasting, stdin=None, input="zonename; exit 4\n")
        assert (done.returncode, done.stdout) == (4, "global\n")

    def test_stop_from_inside(self, machine: Machine, lasting: str) -> None:
        machine.zonelab("run", "--host", lasting, "--", "zonelab", "stop")
        _until_gone(lasting)


def test_the_commands_of_a_checkout_without_a_python_say_what_to_do(tmp_path: Path, ours: Machine) -> None:
    place = tmp_path / "tests/lab"
    place.mkdir(parents=True)
    (place / "zonelab").write_bytes((ours.checkout / "tests/lab/zonelab").read_bytes())
    done = subprocess.run(
        ["/bin/sh", place / "zonelab", "list"], capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 125
    assert "python3 -m venv .venv" in done.stderr
