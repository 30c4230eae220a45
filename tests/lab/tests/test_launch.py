"""The launcher: what a command looks like to whoever starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.faults import Fault
from lab.tests.bench import TIMEOUT_SECONDS, Bench, until


def test_status_output_and_error_are_the_commands_own(bench: Bench) -> None:
    done = bench.run("dladm", "show-link", "-p", "-o", "link")
    assert (done.returncode, done.stdout, done.stderr) == (0, "net0\n", "")
    done = bench.run("zlogin", "ghost", "true")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "zlogin: zone 'ghost' unknown\n")


def test_the_environment_may_be_empty(bench: Bench) -> None:
    assert bench.run("zonename", env={}).stdout == "global\n"


def test_a_large_environment_and_long_arguments_arrive(bench: Bench) -> None:
    environ = {f"V{number}": "x" * 100_000 for number in range(10)}
    done = bench.run("zonename", "-" + "y" * 100_000, env=environ)
    assert done.returncode == 125
    assert done.stderr == f"zonelab: not emulated: zonename -{'y' * 100_000}\n"


def test_the_name_of_the_file_counts_not_what_the_caller_says(bench: Bench) -> None:
    done = subprocess.run(["rm"], executable=bench.folder / "bin/zonename", capture_output=True, text=True, check=False)
    assert done.stdout == "global\n"


def test_error_and_output_keep_their_order_in_one_pipe(bench: Bench) -> None:
    done = bench.run("zoneadm", "list", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, capture_output=False)
    assert done.stdout == "global\n"


def test_standard_input_reaches_the_command(bench: Bench) -> None:
    bench.run("zonecfg", "-z", "web1", input="create -b\nset zonepath=/zones/web1\nset brand=ipkg\ncommit\n")
    assert (bench.folder / "root/etc/zones/web1.xml").exists()


def test_closed_standard_files_are_noticed(bench: Bench) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{bench.folder}/bin/zlogin web1 true 0<&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "zlogin: process lacks valid STDIN, STDOUT, STDERR\n")


def test_without_a_server_the_launcher_says_so(bench: Bench) -> None:
    alone = bench.folder / "elsewhere/bin"
    alone.mkdir(parents=True)
    shutil.copy(bench.folder / "bin/dladm", alone)
    done = subprocess.run([alone / "dladm", "show-link"], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("zonelab: no lab answers here")


def test_pfexec_plays_a_command_of_the_lab_at_once(bench: Bench) -> None:
    assert bench.run("pfexec", "/usr/sbin/dladm", "show-link", "-p", "-o", "link").stdout == "net0\n"


def test_pfexec_becomes_any_other_program(bench: Bench) -> None:
    """The very process: same pid, same folder, same environment, own exit status."""
    child = subprocess.Popen(
        bench.argv(["pfexec", "/bin/sh", "-c", "echo $$ $PWD $GREETING; exit 9"]),
        stdout=subprocess.PIPE, text=True, env={"GREETING": "hello"}, cwd="/",
    )  # fmt: skip
    out, _ = child.communicate(timeout=TIMEOUT_SECONDS)
    assert (child.returncode, out) == (9, f"{child.pid} / hello\n")


def test_pfexec_of_a_missing_program(bench: Bench) -> None:
    done = bench.run("pfexec", "/no/such/program")
    assert (done.returncode, done.stderr) == (127, "/no/such/program: No such file or directory\n")


def test_a_command_whose_reader_has_gone_dies_by_sigpipe(bench: Bench) -> None:
    read, write = os.pipe()
    os.close(read)
    done = bench.run("dladm", "show-link", capture_output=False, stdout=write)
    os.close(write)
    assert done.returncode == -signal.SIGPIPE


def test_a_killed_command_is_killed_and_leaves_what_a_real_one_leaves(bench: Bench) -> None:
    bench.run("dladm", "create-etherstub", "stub0")
    bench.world.faults.add(Fault("kill", "dladm create-vnic *"))
    assert bench.run("dladm", "create-vnic", "-l", "stub0", "web1_0").returncode == -signal.SIGKILL
    done = bench.run("dladm", "create-vnic", "-l", "stub0", "web1_0")
    assert done.stderr == "dladm: vnic creation over stub0 failed: object already exists\n"  # [network 8.3]


@pytest.mark.parametrize("kind", ["caller-before", "caller-after"])
def test_the_caller_is_killed_but_the_command_works(bench: Bench, kind: str) -> None:
    bench.world.faults.add(Fault(kind, "dladm create-etherstub *"))
    script = f"{bench.folder}/bin/dladm create-etherstub stub0; echo survived"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    until(lambda: "create-etherstub" in bench.journal())
    assert "stub0" in bench.run("dladm", "show-link", "-p", "-o", "link").stdout


def test_a_slow_command_whose_caller_dies_does_nothing(bench: Bench) -> None:
    bench.world.faults.add(Fault("slow", "dladm create-etherstub *", seconds=TIMEOUT_SECONDS))
    child = subprocess.Popen(bench.argv(["dladm", "create-etherstub", "stub0"]))
    until(lambda: bench.world.faults.hit == 1)
    child.kill()
    assert child.wait(TIMEOUT_SECONDS) == -signal.SIGKILL
    until(lambda: "create-etherstub" in bench.journal())
    assert "stub0" not in bench.world.links


def test_hundreds_at_once(bench: Bench) -> None:
    children = [subprocess.Popen(bench.argv(["zonename"]), stdout=subprocess.DEVNULL) for _ in range(300)]
    assert {child.wait(TIMEOUT_SECONDS) for child in children} == {0}


def test_hundreds_may_wait_at_once_and_others_still_get_through(bench: Bench) -> None:
    bench.world.faults.add(Fault("slow", "zoneadm *", times=200, seconds=TIMEOUT_SECONDS))
    waiting = [subprocess.Popen(bench.argv(["zoneadm", "list"])) for _ in range(200)]
    try:
        until(lambda: bench.world.faults.hit == 200)
        assert bench.run("zonename").stdout == "global\n"
    finally:
        for child in waiting:
            child.kill()
        for child in waiting:
            child.wait(TIMEOUT_SECONDS)


def test_a_round_trip_takes_a_few_milliseconds(bench: Bench) -> None:
    """The best of many: what it costs when nothing else wants the machine."""

    def seconds() -> float:
        began = time.perf_counter()
        bench.run("zonename", capture_output=False, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    assert min(seconds() for _ in range(100)) < 0.008


def test_two_names_at_once_one_wins(bench: Bench) -> None:
    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda _: bench.run("dladm", "create-etherstub", "stub0").returncode, range(20)))
    assert sorted(done) == [0] + [1] * 19


def test_the_launcher_is_static(bench: Bench) -> None:
    """It must start in a zone whose libraries are not the machine's."""
    assert b"ld-linux" not in Path(bench.folder / "bin/dladm").read_bytes()[:4096]
