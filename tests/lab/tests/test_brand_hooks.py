"""Brands and their hooks [zones 5], as real processes where a test writes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import zoneadmd
from lab.call import Call
from lab.dispatch import Completed
from lab.tests.zone_host import Host, drain
from lab.world import Dialect
from lab.zonefiles import state_of

RECORD = 'echo "${0##*/} $1 $2 $3 $4" >>$LOG'


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.install("web1")
    return host


def record(host: Host, element: str, script: str = "", brand: str = "sparse") -> Path:
    """One log for both state hooks: ``prestate web1 /zones/web1 2 0``, shortened to ``pre 2 0`` by `steps`."""
    log = host.root / "steps"
    host.hook(brand, element, f"LOG={log}\n{RECORD}\n{script}")
    return log


def steps(log: Path) -> list[str]:
    """The recorded steps, which are forgotten by it."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [
        line.replace("poststate ", "post ").replace("prestate ", "pre ").replace(" web1 /zones/web1", "")
        for line in lines
    ]


def test_the_numbers_of_every_operation(host: Host) -> None:
    record(host, "prestate")
    log = record(host, "poststate")
    host.zoneadm("web1", "ready")
    assert steps(log) == ["pre 2 0", "post 2 0"]
    host.zoneadm("web1", "boot")
    assert steps(log) == ["pre 3 1", "post 3 1"]
    host.zoneadm("web1", "halt")
    assert steps(log) == ["pre 4 4", "post 4 4"]
    host.zoneadm("web1", "boot")
    assert steps(log) == ["pre 2 0", "post 2 0", "pre 2 1", "post 2 1"]
    host.zoneadm("web1", "reboot")
    assert steps(log) == ["pre 4 4", "post 4 4", "pre 4 0", "post 4 0", "pre 4 1", "post 4 1"]
    zoneadmd.uadmin(Call(host.world, ["reboot"]), "web1", reboot=True)
    assert steps(log) == ["pre 5 4", "post 5 4", "pre 5 0", "post 5 0", "pre 5 1", "post 5 1"]
    host.zoneadm("web1", "shutdown")
    assert steps(log) == ["pre 5 4", "post 5 4"]
    host.zoneadm("web1", "ready")
    steps(log)
    host.zoneadm("web1", "halt")
    assert steps(log) == ["pre 3 4", "post 3 4"]


def test_a_boot_refused_by_the_ready_hook(host: Host) -> None:
    events = host.world.channel.subscribe()
    assert events is not None
    log = record(host, "poststate")
    record(host, "prestate", '[ "$4" = 0 ] && { echo no room; exit 1; }; exit 0')
    done = host.zoneadm("web1", "boot")
    assert done == Completed(
        1, "", "zone 'web1': no room\nzone 'web1': \nzoneadm: zone 'web1': call to zoneadmd failed\n"
    )
    assert steps(log) == ["pre 2 0", "pre 2 4"]
    assert drain(events) == []


def test_a_boot_that_fails_while_it_gets_ready(host: Host) -> None:
    record(host, "prestate")
    log = record(host, "poststate")
    host.good("zonecfg", "-z", "web1", "add net; set physical=v0; end")
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(log) == ["pre 2 0", "post 3 4", "pre 2 4"]


def test_a_failing_hook_after_ready(host: Host) -> None:
    record(host, "prestate")
    log = record(host, "poststate", '[ "$4" = 0 ] && exit 1; exit 0')
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(log) == ["pre 2 0", "post 2 0", "post 3 4", "pre 2 4", "post 2 4"]
    assert state_of(host.world, "web1") == "installed"
    assert host.zoneadm("web1", "ready").status == 1
    assert state_of(host.world, "web1") == "ready"


def test_a_failing_hook_before_boot(host: Host) -> None:
    log = record(host, "poststate")
    record(host, "prestate", '[ "$4" = 1 ] && exit 1; exit 0')
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(log) == ["pre 2 0", "post 2 0", "pre 2 1", "pre 2 4", "post 2 4"]


def test_a_failing_hook_after_boot_tears_a_running_zone_down(host: Host) -> None:
    events = host.world.channel.subscribe()
    assert events is not None
    record(host, "prestate")
    log = record(host, "poststate", '[ "$4" = 1 ] && exit 1; exit 0')
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(log) == ["pre 2 0", "post 2 0", "pre 2 1", "post 2 1", "post 4 4", "pre 2 4", "post 2 4"]
    seen = [(old, new) for old, new, _ in drain(events)]
    assert ("ready", "running") in seen
    assert seen[-1] == ("shutting_down", "uninitialized")


def test_a_reboot_whose_boot_step_fails(host: Host) -> None:
    host.zoneadm("web1", "boot")
    record(host, "prestate")
    log = record(host, "poststate", '[ "$4" = 1 ] && exit 1; exit 0')
    assert host.zoneadm("web1", "reboot") == Completed(1, "", "")
    assert steps(log)[-4:] == ["post 4 1", "post 4 4", "pre 4 4", "post 4 4"]
    assert state_of(host.world, "web1") == "installed"


def test_a_veto_of_halt(host: Host) -> None:
    host.zoneadm("web1", "boot")
    record(host, "prestate", 'echo not now; [ "$4" = 4 ] && exit 1; exit 0')
    for word in ("halt", "reboot", "ready"):
        done = host.zoneadm("web1", word)
        assert done.status == 1
        assert done.err.startswith("zone 'web1': not now\n")
        assert state_of(host.world, "web1") == "running"


def test_a_veto_of_an_in_zone_halt_leaves_the_zone_stuck(host: Host) -> None:
    host.zoneadm("web1", "boot")
    record(host, "prestate", '[ "$4" = 4 ] && exit 1; exit 0')
    host.world.stop_timeout = 0.0
    done = host.zoneadm("web1", "shutdown")
    assert done == Completed(1, "", "zone 'web1': unable to shutdown zone\n")
    assert state_of(host.world, "web1") == "shutting_down"
    log = record(host, "prestate")
    assert host.zoneadm("web1", "halt").status == 0
    assert steps(log)[-1] == "pre 5 4"
    assert state_of(host.world, "web1") == "installed"


def test_a_failing_hook_after_halt_is_an_error_although_it_halted(host: Host) -> None:
    host.zoneadm("web1", "boot")
    record(host, "poststate", "exit 1")
    assert host.zoneadm("web1", "halt") == Completed(1, "", "")
    assert state_of(host.world, "web1") == "installed"


def test_gate_relays_standard_output_only_and_an_empty_line_after_each(host: Host) -> None:
    host.hook("sparse", "prestate", "echo one; echo two >&2; exit 0")
    assert host.zoneadm("web1", "ready").err == "zone 'web1': one\nzone 'web1': \n"


def test_omnios_relays_both_streams_in_order(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.install("web1")
    host.hook("sparse", "prestate", "echo one; echo two >&2; echo three")
    assert host.zoneadm("web1", "ready").err == "zone 'web1': one\nzone 'web1': two\nzone 'web1': three\n"


def test_no_more_than_a_page_is_relayed(host: Host) -> None:
    host.hook("sparse", "prestate", "i=0; while [ $i -lt 600 ]; do echo 0123456789; i=$((i+1)); done")
    err = host.zoneadm("web1", "ready").err
    assert sum(len(line.removeprefix("zone 'web1': ")) + 1 for line in err.splitlines()) <= 4097


def test_a_hook_killed_by_a_signal_and_one_that_leaves_with_4(host: Host) -> None:
    host.hook("sparse", "prestate", "kill -TERM $$")
    err = host.zoneadm("web1", "ready").err
    assert "unexpectedly terminated due to signal 15" in err
    host.hook("sparse", "prestate", "exit 4")
    err = host.zoneadm("web1", "ready").err
    assert err.splitlines()[0].startswith("zone 'web1': failed to exec /usr/lib/brand/sparse/prestate web1")


def test_the_environment_of_zoneadmd(host: Host) -> None:
    log = host.hook("sparse", "prestate", 'env | grep -v "^PWD=\\|^_=\\|^OLDPWD=\\|^SHLVL=" | sort >$LOG; pwd >>$LOG')
    host.zoneadm("web1", "ready")
    assert log.read_text() == "PATH=/usr/sbin:/usr/bin\n_ZONEADM_LOCK_HELD=1\n/\n"


def test_the_arguments_of_a_state_hook(host: Host) -> None:
    log = host.hook("sparse", "prestate", 'echo "$# $*" >$LOG')
    host.zoneadm("web1", "ready")
    assert log.read_text() == "4 web1 /zones/web1 2 0\n"


def test_a_zone_that_is_up_keeps_the_state_hooks_it_started_with(host: Host) -> None:
    host.zoneadm("web1", "boot")
    config = host.file("/usr/lib/brand/sparse/config.xml")
    config.write_text(config.read_text().replace("/sparse/prestate %z %R</pre", "/sparse/other %z %R</pre"))
    log = record(host, "other")
    host.zoneadm("web1", "halt")
    assert steps(log) == []
    host.zoneadm("web1", "ready")
    assert steps(log) == ["other 2 0"]


def test_hooks_run_without_the_worlds_lock(host: Host) -> None:
    """A command that comes in meanwhile, as from the hook itself, is served."""
    import threading

    host.hook("sparse", "prestate", "while [ ! -e $LOG ]; do sleep 0.01; done")
    boot = threading.Thread(target=host.zoneadm, args=("web1", "ready"))
    boot.start()
    assert host.good("zoneadm", "list", "-cp").count("\n") == 2
    host.good("zonecfg", "-z", "web1", "set bootargs=-v")
    (host.root / "sparse-prestate.log").touch()
    boot.join(100)
    assert not boot.is_alive()
    assert state_of(host.world, "web1") == "ready"


@pytest.mark.parametrize(("dialect", "expected"), [(Dialect.VANILLA, "v1"), (Dialect.OMNIOS, "v0")])
def test_when_the_snapshot_is_taken(tmp_path: Path, dialect: Dialect, expected: str) -> None:
    """What the ready hook changes with zonecfg counts for this boot on gate only."""
    host = Host(tmp_path, dialect)
    host.install("web1", "add attr; set name=tag; set type=string; set value=v0; end")
    xml = host.file("/etc/zones/web1.xml")
    host.hook("sparse", "prestate", f"sed s/v0/v1/ {xml} >{xml}.new && mv {xml}.new {xml}")
    assert host.zoneadm("web1", "ready").status == 0
    assert f'value="{expected}"' in host.file("/var/run/zones/web1.snapshot.xml").read_text()


def test_what_hooks_say_is_lost_when_the_zone_itself_asked(host: Host) -> None:
    host.zoneadm("web1", "boot")
    record(host, "prestate", 'echo lost words; [ "$4" != 0 ] || kill -9 $$')
    zoneadmd.uadmin(Call(host.world, ["reboot"]), "web1", reboot=True)
    log = host.file("/var/adm/messages").read_text()
    assert "unexpectedly terminated due to signal 9" in log and "lost words" not in log
    assert state_of(host.world, "web1") == "installed"


def test_a_state_hook_on_gate_has_no_input_and_nobody_hears_its_errors(host: Host) -> None:
    """What is there belongs to zoneadmd: a hook that reads from it waits for ever, one that writes is refused."""
    log = host.hook("sparse", "prestate", "timeout 0.2 cat; echo $? >$LOG; echo lost >&2; echo $? >>$LOG; exit 0")
    assert host.zoneadm("web1", "ready") == Completed(0, "", "")
    status, written = log.read_text().split()
    assert status == "124" and written != "0"


def test_a_state_hook_may_write_where_nobody_reads(host: Host) -> None:
    """zoneadmd ignores SIGPIPE, and so does who is started by it."""
    log = host.hook("sparse", "prestate", "kill -PIPE $$; echo alive >$LOG")
    assert host.zoneadm("web1", "ready").status == 0
    assert log.read_text() == "alive\n"


# zoneadm's own hooks -------------------------------------------------------------------------------------------


def test_verify_adm_is_called_without_a_separating_blank(host: Host) -> None:
    log = host.hook("sparse", "verifyadm", 'echo "$@" >>$LOG')
    host.element("sparse", "uninstall", "<verify_adm>/usr/lib/brand/sparse/verifyadm %z %R</verify_adm>")
    host.zoneadm("web1", "halt")
    assert log.read_text() == "web1 /zones/web1halt\n"


def test_verify_adm_vetoes(host: Host) -> None:
    log = host.hook("sparse", "verifyadm", 'echo "$@" >>$LOG; echo never; exit 1')
    host.element("sparse", "uninstall", "<verify_adm>/usr/lib/brand/sparse/verifyadm %z %R </verify_adm>")
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "never\n", "")
    assert host.zoneadm("web1", "boot") == Completed(1, "never\n", "zoneadm: zone web1 failed to verify\n")
    assert log.read_text() == "web1 /zones/web1 uninstall -F\nweb1 /zones/web1 boot\n"
    assert state_of(host.world, "web1") == "installed"


def test_shutdown_does_not_ask_verify_adm(host: Host) -> None:
    host.zoneadm("web1", "boot")
    host.hook("sparse", "verifyadm", "exit 1")
    host.element("sparse", "uninstall", "<verify_adm>/usr/lib/brand/sparse/verifyadm %z %R </verify_adm>")
    assert host.zoneadm("web1", "halt").status == 1
    assert host.zoneadm("web1", "shutdown").status == 0


def test_preuninstall_vetoes_and_gets_every_argument(host: Host) -> None:
    log = host.hook("sparse", "preuninstall", 'echo "$*" >$LOG; echo kept >&2; exit 1')
    host.element("sparse", "uninstall", "<preuninstall>/usr/lib/brand/sparse/preuninstall %z %R</preuninstall>")
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "", "kept\n")
    assert log.read_text() == "web1 /zones/web1 -F\n"
    assert state_of(host.world, "web1") == "installed"
    host.hook("sparse", "preuninstall", "kill -TERM $$")
    expected = "zoneadm: zone 'web1': 'brand-specific preuninstall' terminated by signal SIGTERM.\n"
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "", expected)
    assert host.zonecfg("web1", "delete -F") == Completed(0, "", "")


def test_a_failing_uninstall_leaves_the_zone_incomplete_and_can_be_repeated(host: Host) -> None:
    program = host.file("/usr/lib/brand/sparse/uninstall")
    native = program.read_text()
    host.hook("sparse", "uninstall", "exit 1")
    assert host.zoneadm("web1", "uninstall", "-F") == Completed(1, "", "")
    assert state_of(host.world, "web1") == "incomplete"
    program.write_text(native)
    host.good("zoneadm", "-z", "web1", "uninstall", "-F")
    assert state_of(host.world, "web1") == "configured"


@pytest.mark.parametrize(
    ("status", "state"), [(1, "incomplete"), (253, "incomplete"), (254, "configured"), (255, "incomplete")]
)
def test_the_codes_of_install(host: Host, status: int, state: str) -> None:
    host.configure("db1")
    host.hook("sparse", "install", f"exit {status}")
    assert host.zoneadm("db1", "install").status == 1
    assert state_of(host.world, "db1") == state


def test_a_failing_postinstall(host: Host) -> None:
    host.configure("db1")
    host.hook("sparse", "postinstall", "exit 1")
    host.element("sparse", "uninstall", "<postinstall>/usr/lib/brand/sparse/postinstall %z %R</postinstall>")
    assert host.zoneadm("db1", "install").status == 1
    assert state_of(host.world, "db1") == "incomplete"


def test_predetach_vetoes(host: Host) -> None:
    host.hook("sparse", "predetach", "exit 1")
    host.element("sparse", "uninstall", "<predetach>/usr/lib/brand/sparse/predetach %z %R</predetach>")
    assert host.zoneadm("web1", "detach").status == 1
    assert state_of(host.world, "web1") == "installed"


def test_sysboot(host: Host) -> None:
    log = record(host, "prestate", "exit 1")
    assert host.zoneadm("web1", "sysboot").status == 1
    assert steps(log) == ["pre 2 0"]
    assert state_of(host.world, "web1") == "installed"


def test_verify_cfg_sees_a_temporary_document(host: Host) -> None:
    log = host.hook("sparse", "check", 'echo "$1" >$LOG; grep -c bootargs "$1" >>$LOG; exit 1')
    host.element("sparse", "uninstall", "<verify_cfg>/usr/lib/brand/sparse/check</verify_cfg>")
    done = host.zonecfg("web1", "set bootargs=-v")
    assert done == Completed(
        1, "", "Zone web1 failed to verify\nweb1: Brand-specific error\nConfiguration not saved.\n"
    )
    path, count = log.read_text().splitlines()
    assert Path(path).name.startswith("zonecfg_verify.")
    assert count == "1"


def test_the_boot_and_halt_hooks(host: Host) -> None:
    boot = host.hook("sparse", "booting", "touch $LOG; exit 1")
    host.hook("sparse", "halting", "echo busy; exit 1")
    host.element("sparse", "sysboot", "<boot>/usr/lib/brand/sparse/booting %z %R</boot>")
    assert host.zoneadm("web1", "boot").status == 1
    assert boot.exists()
    assert state_of(host.world, "web1") == "installed"
    host.hook("sparse", "booting", "exit 0")
    host.element("sparse", "shutdown", "<halt>/usr/lib/brand/sparse/halting %z %R</halt>")
    host.good("zoneadm", "-z", "web1", "boot")
    done = host.zoneadm("web1", "halt")
    assert done.status == 1
    assert done.err.endswith("zone 'web1': unable to destroy zone\n")
    assert state_of(host.world, "web1") == "shutting_down"
    host.hook("sparse", "halting", "exit 0")
    host.good("zoneadm", "-z", "web1", "halt")
    assert state_of(host.world, "web1") == "installed"
