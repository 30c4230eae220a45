"""Brand hooks between processes: streams, waiting, dying, programs put in front of them [zones 5.2-5.5]."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lab.dispatch import Completed, run_text
from lab.tests.bench import TIMEOUT_SECONDS, Bench, Machine, until
from lab.tests.test_brand_hooks import record, steps
from lab.tests.zone_host import Host
from lab.zonefiles import state_of

PREUNINSTALL = "<preuninstall>/usr/lib/brand/sparse/preuninstall %z %R</preuninstall>"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.install("web1")
    return host


# the table of calls ------------------------------------------------------------------------------------------------


def test_a_boot_hook_that_fails(host: Host) -> None:
    record(host, "prestate")
    log = record(host, "poststate")
    host.hook("sparse", "booting", "exit 1")
    host.element("sparse", "sysboot", "<boot>/usr/lib/brand/sparse/booting %z %R</boot>")
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(log) == ["pre 2 0", "post 2 0", "pre 2 1", "post 4 4", "pre 2 4", "post 2 4"]


@pytest.mark.parametrize(
    ("element", "expected", "state"),
    [
        ("prestate", ["pre 4 4", "post 4 4", "pre 4 0"], "installed"),
        ("poststate", ["pre 4 4", "post 4 4", "pre 4 0", "post 4 0", "post 3 4"], "ready"),
    ],
)
def test_a_reboot_whose_ready_step_fails(host: Host, element: str, expected: list[str], state: str) -> None:
    host.zoneadm("web1", "boot")
    log = record(host, "poststate")
    record(host, "prestate")
    record(host, element, '[ "$4" = 0 ] && exit 1; exit 0')
    assert host.zoneadm("web1", "reboot") == Completed(1, "", "")
    assert steps(log) == expected
    assert state_of(host.world, "web1") == state


def test_a_stuck_zone_is_halted_from_its_state(host: Host) -> None:
    host.hook("sparse", "halting", "exit 1")
    host.element("sparse", "shutdown", "<halt>/usr/lib/brand/sparse/halting %z %R</halt>")
    host.zoneadm("web1", "boot")
    assert host.zoneadm("web1", "halt").status == 1
    record(host, "prestate")
    log = record(host, "poststate")
    host.hook("sparse", "halting", "exit 0")
    assert host.zoneadm("web1", "halt").status == 0
    assert steps(log) == ["pre 5 4", "post 5 4"]


# preuninstall -------------------------------------------------------------------------------------------------------


def test_preuninstall_is_asked_for_an_incomplete_zone_too(host: Host) -> None:
    log = host.hook("sparse", "preuninstall", 'echo "$*" >>$LOG; exit 1')
    host.element("sparse", "uninstall", PREUNINSTALL)
    host.good("zoneadm", "-z", "web1", "mark", "incomplete")
    assert host.zoneadm("web1", "uninstall", "-F", "more").status == 1
    assert state_of(host.world, "web1") == "incomplete"
    assert log.read_text() == "web1 /zones/web1 -F more\n"


def test_the_environment_of_zoneadms_hooks(host: Host) -> None:
    host.hook("sparse", "preuninstall", 'echo "$_ZONEADM_LOCK_HELD $PATH"; pwd; exit 1')
    host.element("sparse", "uninstall", PREUNINSTALL)
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "1 /usr/sbin:/usr/bin\n/\n", "")


# zoneadmd's side ----------------------------------------------------------------------------------------------------


def test_zoneadmd_has_the_systems_settings(host: Host) -> None:
    defaults = host.file("/etc/default/init")
    defaults.parent.mkdir(parents=True, exist_ok=True)
    defaults.write_text("# CDDL\nTZ=Europe/Vienna\nLANG='C.UTF-8'\n\n")
    log = host.hook("sparse", "prestate", 'echo "$TZ $LANG $PATH ${HOME-none}" >$LOG')
    host.zoneadm("web1", "ready")
    assert log.read_text() == "Europe/Vienna C.UTF-8 /usr/sbin:/usr/bin none\n"


def test_a_child_that_keeps_the_pipe_open_is_waited_for(host: Host) -> None:
    host.hook("sparse", "prestate", "(sleep 0.4) & exit 0")
    began = time.monotonic()
    assert host.zoneadm("web1", "ready").status == 0
    assert time.monotonic() - began >= 0.4


def test_a_child_without_the_pipe_is_not_waited_for(host: Host) -> None:
    """On gate nobody reads a state hook's standard error."""
    log = host.hook("sparse", "prestate", "while [ ! -e $LOG ]; do sleep 0.05; done >/dev/null & exit 0")
    assert host.zoneadm("web1", "ready").status == 0
    log.touch()


def test_a_hook_holds_every_later_command_of_its_zone(host: Host) -> None:
    host.install("db1")
    host.hook("sparse", "prestate", '[ "$1" = db1 ] || { touch $LOG.begun; while [ ! -e $LOG ]; do sleep 0.01; done; }')
    done: list[str] = []

    def zoneadm(*words: str) -> None:
        done.append(f"{' '.join(words)} {run_text(host.world, ['zoneadm', '-z', *words]).status}")

    first = threading.Thread(target=zoneadm, args=("web1", "boot"))
    first.start()
    until((host.root / "sparse-prestate.log.begun").exists)
    second = threading.Thread(target=zoneadm, args=("web1", "halt"))
    second.start()
    zoneadm("db1", "boot")
    time.sleep(0.3)
    assert done == ["db1 boot 0"]
    (host.root / "sparse-prestate.log").touch()
    for thread in (first, second):
        thread.join(TIMEOUT_SECONDS)
    assert sorted(done[1:]) == ["web1 boot 0", "web1 halt 0"]
    assert state_of(host.world, "web1") == "installed"


def test_an_unusable_brand_stops_every_zone_of_it(host: Host) -> None:
    """Also one that runs: neither halt nor shutdown gets as far as zoneadmd; zones of other brands go on."""
    host.install("db1", brand="ipkg")
    host.zoneadm("web1", "boot")
    config = host.file("/usr/lib/brand/sparse/config.xml")
    good = config.read_text()
    config.write_text(good.replace("  <uninstall>", "  <boot>x</boot>\n  <uninstall>"))
    for word in ("halt", "shutdown", "reboot", "verify"):
        expected = Completed(1, "", "zoneadm: zone 'web1': missing or invalid brand\n")
        assert host.zoneadm("web1", word) == expected
    assert host.zoneadm("db1", "boot").status == 0
    config.write_text(good)
    assert host.zoneadm("web1", "halt").status == 0


# with real launchers --------------------------------------------------------------------------------------------------


def _with_preuninstall(bench: Bench, script: str) -> None:
    bench.run("zonecfg", "-z", "web1", "create -b; set zonepath=/zones/web1; set brand=sparse")
    assert bench.run("zoneadm", "-z", "web1", "install").returncode == 0
    folder = bench.world.path("/usr/lib/brand/sparse")
    (folder / "preuninstall").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "preuninstall").chmod(0o755)
    text = (folder / "config.xml").read_text()
    (folder / "config.xml").write_text(text.replace("  <uninstall>", f"  {PREUNINSTALL}\n  <uninstall>"))


def test_the_streams_of_zoneadm_are_the_hooks(bench: Bench) -> None:
    """It is asked and answers while it runs."""
    _with_preuninstall(bench, 'echo really?; read answer; echo "$answer" >&2; [ "$answer" = yes ]')
    command = bench.argv(["zoneadm", "-z", "web1", "uninstall", "-F"])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == "really?\n"
        child.stdin.write("no\n")
        child.stdin.close()
        assert child.stderr.read() == "no\n"
    assert child.returncode == 1
    assert state_of(bench.world, "web1") == "installed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_zoneadm_is_deaf_while_it_waits_for_a_hook(bench: Bench, number: signal.Signals) -> None:
    _with_preuninstall(bench, "echo here; read answer; exit 0")
    command = bench.argv(["zoneadm", "-z", "web1", "uninstall", "-F"])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == "here\n"
        child.send_signal(number)
        child.stdin.close()
    assert child.returncode == 0
    assert state_of(bench.world, "web1") == "configured"


def test_a_killed_zoneadm_uninstalls_nothing(bench: Bench, tmp_path: Path) -> None:
    _with_preuninstall(bench, f"echo here; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; touch {tmp_path}/gone")
    command = bench.argv(["zoneadm", "-z", "web1", "uninstall", "-F"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.kill()
    assert child.returncode == -signal.SIGKILL
    (tmp_path / "go").touch()
    until((tmp_path / "gone").exists)
    assert bench.run("zoneadm", "-z", "web1", "uninstall", "-F").returncode == 0  # the lock is free again
    assert state_of(bench.world, "web1") == "configured"
    until(lambda: [line for line in bench.journal().splitlines() if '"uninstall"' in line and '"status": null' in line])


# a program in front of a brand's own hooks ----------------------------------------------------------------------------

GATE = r"""
mkdir -p /var/lib/state
cat >/var/lib/state/gate.c <<'C'
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words)
{
    int at = 1;
    FILE *log = fopen("/tmp/gate.log", "a");
    while (at < count && strcmp(words[at], "--") != 0)
        at++;
    for (int i = 1; i < count; i++)
        fprintf(log, "%s ", words[i]);
    fprintf(log, "\n");
    fclose(log);
    if (access("/tmp/no", F_OK) == 0) {
        printf("not now\n");
        return 1;
    }
    execv(words[at + 1], words + at + 1);
    return 1;
}
C
cc -o /var/lib/state/gate /var/lib/state/gate.c
config=/usr/lib/brand/sparse/config.xml
for word in pre post; do
    sed -i "s|<${word}statechange>\(.*\)</|<${word}statechange>/var/lib/state/gate RUN ${word}statechange %z -- \1</|" \
        $config
done
zonecfg -z web1 "create -b; set zonepath=/zones/web1; set brand=sparse; set ip-type=exclusive; $NET"
zoneadm -z web1 install 2>/tmp/err
touch /tmp/no; zoneadm -z web1 boot 2>&1 || echo $?; rm /tmp/no
zoneadm -z web1 boot 2>/tmp/err; dladm show-vnic -p -o link
zoneadm -z web1 halt; dladm show-vnic -p -o link
awk '{print $2, $NF, $(NF-1)}' /tmp/gate.log
"""
CALLS = [
    f"{word}statechange {numbers}"
    for word, numbers in (
        ("pre", "0 2"), ("pre", "4 2"), ("pre", "0 2"), ("post", "0 2"), ("pre", "1 2"), ("post", "1 2"),
        ("pre", "4 4"), ("post", "4 4"),
    )
]  # fmt: skip


@pytest.mark.parametrize("floor", ["--paper", "--uplinks=1"])
def test_a_program_in_front_of_the_packaged_hooks(ours: Machine, floor: str) -> None:
    """It is any executable, and what it executes is the brand's hook, also where the lab itself plays that."""
    net = 'NET="add net; set physical=web1_0; set global-nic=net0; end"\n'
    lines = ours.script(net + GATE, "--omnios", floor).splitlines()
    assert lines == [
        "WARNING: skipping network interface 'web1_0': object not found",
        "zone 'web1': not now", "zone 'web1': not now", "zoneadm: zone 'web1': call to zoneadmd failed", "1",
        "web1_0",
        *CALLS,
    ]  # fmt: skip
