"""zoneadm's own checks, its state changes and their texts [zones 3.1, 3.2, 3.4-3.9]."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab import zoneadmd
from lab.call import Call
from lab.dispatch import Completed
from lab.faults import Fault
from lab.tests.zone_host import Host
from lab.world import KernelZone


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def state(host: Host, zone: str = "web1") -> str:
    return host.run("zoneadm", "-z", zone, "list", "-p").out.split(":")[2]


def test_usage(host: Host) -> None:
    head = "usage:\tzoneadm help\n\tzoneadm [-z <zone>] [-u <uuid-match>] list\n"
    head += "\tzoneadm {-z <zone>|-u <uuid-match>} <subcommand>\n\nSubcommands:\n\n"
    for argv in ((), ("frobnicate",), ("-q",)):
        done = host.run("zoneadm", *argv)
        assert (done.status, done.out) == (2, "")
        assert head in done.err
    assert host.run("zoneadm", "-?").status == 2
    assert host.run("zoneadm", "-?").out.startswith(head)
    assert host.good("zoneadm", "help").startswith(head)


def test_a_bad_option_of_a_subcommand(host: Host) -> None:
    host.configure("web1")
    done = host.zoneadm("web1", "shutdown", "-x")
    assert done.status == 2
    assert "usage:\tshutdown [-r [-- boot_arguments]]\n\t" in done.err
    assert host.zoneadm("web1", "shutdown", "-?").status == 0


def test_an_unknown_zone_comes_before_everything(host: Host) -> None:
    done = host.zoneadm("nope", "boot")
    assert done == Completed(1, "", "zoneadm: nope: No such zone configured\n")


def test_an_unknown_brand(host: Host) -> None:
    host.configure("x")
    host.file("/usr/lib/brand/sparse/config.xml").unlink()
    assert host.zoneadm("x", "boot") == Completed(1, "", "zoneadm: zone 'x': missing or invalid brand\n")


def test_a_zone_by_its_uuid(host: Host) -> None:
    host.install("web1")
    done = host.run("zoneadm", "-u", host.uuid("web1"), "list")
    assert done == Completed(0, "web1\n", "")
    assert host.run("zoneadm", "-u", "x", "list").err == "zoneadm: illegal UUID value specified\n"
    none = "00000000-0000-4000-8000-000000000000"
    assert host.run("zoneadm", "-z", "web1", "-u", none, "list").out == "web1\n"


def test_the_common_check(host: Host) -> None:
    host.install("web1")
    inside = host.run("zoneadm", "-z", "web1", "boot", zone="web1")
    assert inside.err == "zoneadm: zone 'web1': must be in the global zone to boot a zone.\n"
    inside = host.run("zoneadm", "-z", "web1", "halt", zone="web1")
    assert inside.err == "zoneadm: zone 'web1': use halt(8) to halt this zone.\n"
    plain = host.at_terminal("", "zoneadm", "-z", "web1", "boot", privileged=False)
    assert plain == Completed(1, "", "zoneadm: zone 'web1': only a privileged user may boot a zone.\n")
    assert host.run("zoneadm", "boot") == Completed(1, "", "zoneadm: no zone specified\n")
    done = host.zoneadm("global", "halt")
    assert done == Completed(1, "", "zoneadm: zone 'global': halt operation is invalid for the global zone.\n")


@pytest.mark.parametrize(
    ("words", "prepare", "message"),
    [
        (("reboot",), "install", "not running"),
        (("shutdown",), "install", "not running"),
        (("uninstall", "-F"), "boot", "uninstall operation is invalid for running zones."),
        (("install",), "boot", "install operation is invalid for running zones."),
        (("mark", "incomplete"), "ready", "mark operation is invalid for ready zones."),
        (("uninstall", "-F"), "configure", "is already in state 'configured'."),
        (("install",), "install", "is already installed."),
        (("install",), "mark", "zone is incomplete; uninstall required."),
        (("verify",), "mark", "zone is incomplete; uninstall required."),
        (("boot",), "configure", "must be installed before boot."),
        (("boot",), "mark", "must be installed before boot."),
        (("ready",), "configure", "must be installed before ready."),
        (("detach",), "configure", "must be installed before detach."),
        (("sysboot",), "configure", "sysboot operation is invalid for configured zones."),
    ],
)
def test_states_that_do_not_fit(host: Host, words: tuple[str, ...], prepare: str, message: str) -> None:
    host.configure("web1")
    steps = {"mark": ("install", "mark incomplete"), "configure": (), "install": ("install",)}
    for step in steps.get(prepare, ("install", prepare)):
        host.good("zoneadm", "-z", "web1", *step.split())
    assert host.zoneadm("web1", *words) == Completed(1, "", f"zoneadm: zone 'web1': {message}\n")


def test_boot(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    assert state(host) == "running"
    assert ":installed:" in host.index()
    assert host.zoneadm("web1", "boot") == Completed(0, "", "zone 'web1': zone is already booted\n")


def test_halt(host: Host) -> None:
    host.install("web1")
    assert host.zoneadm("web1", "halt") == Completed(0, "", "zone 'web1': zone is already halted\n")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("zoneadm", "-z", "web1", "halt")
    assert state(host) == "installed"
    host.good("zoneadm", "-z", "web1", "mark", "incomplete")
    expected = "zone 'web1': halt operation is invalid for zones in state 'incomplete'\n"
    assert host.zoneadm("web1", "halt") == Completed(1, "", expected)


def test_halt_of_a_configured_zone(host: Host) -> None:
    host.configure("web1")
    expected = "cannot manage a zone which is in state 'configured'\nzone 'web1': could not start zoneadmd\n"
    assert host.zoneadm("web1", "halt") == Completed(1, "", expected)


def test_ready(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "ready")
    assert state(host) == "ready"
    assert host.zoneadm("web1", "ready") == Completed(0, "", "zone 'web1': zone is already ready\n")
    for word in ("reboot", "shutdown"):
        expected = f"zone 'web1': {word} operation is invalid for zones in state 'ready'\n"
        assert host.zoneadm("web1", word) == Completed(1, "", expected)
    zoneid = host.world.kernel_zones["web1"].zoneid
    host.good("zoneadm", "-z", "web1", "boot")
    assert host.world.kernel_zones["web1"].zoneid == zoneid
    host.good("zoneadm", "-z", "web1", "ready")
    assert state(host) == "ready"
    assert host.world.kernel_zones["web1"].zoneid != zoneid


def test_every_boot_and_reboot_has_a_new_zone_id(host: Host) -> None:
    host.install("web1")
    seen = []
    host.good("zoneadm", "-z", "web1", "boot")
    seen.append(host.world.kernel_zones["web1"].zoneid)
    host.good("zoneadm", "-z", "web1", "reboot")
    seen.append(host.world.kernel_zones["web1"].zoneid)
    host.good("zoneadm", "-z", "web1", "shutdown", "-r")
    seen.append(host.world.kernel_zones["web1"].zoneid)
    assert seen == [1, 2, 3]


def test_shutdown(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("zoneadm", "-z", "web1", "shutdown")
    assert state(host) == "installed"


def test_a_shutdown_that_fails(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.world.faults.add(Fault("fail", "zoneadm * shutdown"))
    assert host.zoneadm("web1", "shutdown") == Completed(1, "", "zone 'web1': unable to shutdown zone\n")
    assert state(host) == "running"


def test_a_second_shutdown_at_the_same_time(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    entered, leave = threading.Event(), threading.Event()

    def kill(zone: KernelZone) -> None:
        entered.set()
        assert leave.wait(100)

    monkeypatch.setattr(host.world.floor, "zone_kill", kill)
    first = threading.Thread(target=host.zoneadm, args=("web1", "shutdown"))
    first.start()
    assert entered.wait(100)
    second = host.zoneadm("web1", "shutdown")
    leave.set()
    first.join()
    assert second == Completed(1, "", "zone 'web1': shutdown already in progress\n")
    assert state(host) == "installed"


def test_boot_arguments_reach_init(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    host.install("web1", "set bootargs=-v")
    monkeypatch.setattr(host.world.floor, "zone_start_init", lambda zone, words: seen.append(words))
    host.good("zoneadm", "-z", "web1", "boot", "--", "-m", "milestone=none")
    host.good("zoneadm", "-z", "web1", "reboot")
    assert seen == [["-m", "milestone=none"], ["-v"]]


def test_the_snapshot_lives_as_long_as_the_kernel_zone(host: Host) -> None:
    host.install("web1")
    snapshot = host.file("/var/run/zones/web1.snapshot.xml")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("zonecfg", "-z", "web1", "set bootargs=-v")
    assert "bootargs" not in snapshot.read_text()
    host.good("zoneadm", "-z", "web1", "halt")
    assert not snapshot.exists()


def test_install_makes_the_zonepath_and_uninstall_removes_it(host: Host) -> None:
    host.configure("web1")
    host.good("zoneadm", "-z", "web1", "install")
    assert host.file("/zones/web1").stat().st_mode & 0o777 == 0o700
    assert host.file("/zones/web1/root").is_dir()
    host.good("zoneadm", "-z", "web1", "uninstall", "-F")
    assert not host.file("/zones/web1").exists()
    assert state(host) == "configured"


def test_a_killed_install_leaves_an_incomplete_zone(host: Host) -> None:
    host.configure("web1")
    host.world.faults.add(Fault("kill", "zoneadm * install"))
    assert host.zoneadm("web1", "install").status == 137
    assert state(host) == "incomplete"
    host.good("zoneadm", "-z", "web1", "uninstall", "-F")
    assert state(host) == "configured"


def test_uninstall_asks_first(host: Host) -> None:
    host.install("web1")
    done = host.zoneadm("web1", "uninstall")
    expected = "zoneadm: zone 'web1': Input not from terminal and -F not specified: uninstall not done.\n"
    assert done == Completed(1, "", expected)
    question = "Are you sure you want to uninstall zone web1 (y/[n])? "
    for answer in ("n\n", "\n"):
        assert host.at_terminal(answer, "zoneadm", "-z", "web1", "uninstall") == Completed(0, question, "")
        assert state(host) == "installed"
    assert host.at_terminal("y\n", "zoneadm", "-z", "web1", "uninstall") == Completed(0, question, "")
    assert state(host) == "configured"


def test_mark(host: Host) -> None:
    host.install("web1")
    for words in (("installed",), ("frob",), ()):
        assert host.zoneadm("web1", "mark", *words) == Completed(2, "", "")
    host.good("zoneadm", "-z", "web1", "mark", "-F", "configured")
    assert state(host) == "configured"
    host.good("zoneadm", "-z", "web1", "mark", "-F", "installed")
    assert state(host) == "installed"


def test_detach_and_attach(host: Host) -> None:
    host.install("web1")
    assert "<zone " in host.good("zoneadm", "-z", "web1", "detach", "-n")
    assert state(host) == "installed"
    host.good("zoneadm", "-z", "web1", "detach")
    assert state(host) == "configured"
    assert host.file("/zones/web1/SUNWdetached.xml").exists()
    host.good("zoneadm", "-z", "web1", "attach")
    assert state(host) == "installed"
    host.good("zoneadm", "-z", "web1", "mark", "incomplete")
    host.good("zoneadm", "-z", "web1", "attach", "-F")
    assert state(host) == "installed"


@pytest.mark.parametrize("force", [(), ("-F",)])
def test_what_is_attached_must_be_there(host: Host, force: tuple[str, ...]) -> None:
    """Also by force; and the brand is asked (`verify_adm`) [zones 3.10, 5.3]."""
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "detach")
    zonepath = host.file("/zones/web1")
    zonepath.rename(zonepath.with_name("away"))
    done = host.zoneadm("web1", "attach", *force)
    assert done.status == 1
    assert done.err.splitlines() == [
        "/zones/web1: No such file or directory",
        "could not verify zonepath /zones/web1 because of the above errors.",
    ]
    assert state(host) == "configured" and not zonepath.exists()
    zonepath.with_name("away").rename(zonepath)
    host.hook("sparse", "verifyadm", "exit 1")
    host.element("sparse", "uninstall", "<verify_adm>/usr/lib/brand/sparse/verifyadm %z %R </verify_adm>")
    done = host.zoneadm("web1", "attach", *force)
    assert done == Completed(1, "", "zoneadm: zone web1 failed to verify\n")
    assert state(host) == "configured"


def test_zones_that_are_not_installed_may_claim_the_same_place(host: Host) -> None:
    host.install("web1")
    host.configure("web2", "set zonepath=/zones/web1/below")
    host.good("zoneadm", "-z", "web1", "boot")
    assert "overlap" in host.zoneadm("web2", "install").err


def test_move(host: Host) -> None:
    host.install("web1")
    uuid = host.uuid("web1")
    host.good("zoneadm", "-z", "web1", "move", "/zones/moved")
    assert f"web1:installed:/zones/moved:{uuid}\n" in host.index()
    assert host.file("/zones/moved/root").is_dir()
    assert host.good("zonecfg", "-z", "web1", "info zonepath") == "zonepath: /zones/moved\n"


def test_clone(host: Host) -> None:
    host.install("web1")
    host.configure("web2")
    host.configure("web3")
    host.file("/zones/web1/root/mark").write_text("x")
    host.good("zoneadm", "-z", "web2", "clone", "web1")
    assert host.file("/zones/web2/root/mark").read_text() == "x"
    assert state(host, "web2") == "installed"
    host.good("zoneadm", "-z", "web1", "boot")
    done = host.zoneadm("web3", "clone", "web1")
    assert done == Completed(1, "", "zoneadm: zone 'web3': clone operation is invalid for running zones.\n")
    host.configure("web4")
    done = host.zoneadm("web3", "clone", "web4")
    assert done == Completed(1, "", "zoneadm: zone web4 is configured; installed is required.\n")


@pytest.mark.parametrize("word", ["mount", "unmount", "apply"])
def test_what_the_lab_does_not_know_it_refuses(host: Host, word: str) -> None:
    host.install("web1")
    done = host.zoneadm("web1", word)
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: ")


@pytest.mark.parametrize("mode", [0o740, 0o705])
def test_a_zonepath_that_others_may_read_does_not_verify(host: Host, mode: int) -> None:
    host.install("web1")
    host.file("/zones/web1").chmod(mode)
    done = host.zoneadm("web1", "boot")
    assert done.status == 1
    lines = done.err.splitlines()
    assert lines[0] == f"/zones/web1 must not be {'group' if mode == 0o740 else 'world'} readable."
    assert lines[-2] == "could not verify zonepath /zones/web1 because of the above errors."
    assert lines[-1] == "zoneadm: zone web1 failed to verify"
    assert state(host) == "installed"


def test_a_halt_typed_inside(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    zoneadmd.uadmin(Call(host.world, ["halt"], zone="web1"), "web1")
    assert state(host) == "installed"
    host.good("zoneadm", "-z", "web1", "boot")
    old = host.world.kernel_zones["web1"].zoneid
    zoneadmd.uadmin(Call(host.world, ["reboot"], zone="web1"), "web1", reboot=True)
    assert host.world.kernel_zones["web1"].zoneid != old
    assert state(host) == "running"


def test_what_goes_wrong_without_a_client_is_in_the_log(host: Host) -> None:
    host.vnic("v0")
    host.install("web1", "add net; set physical=v0; end")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("zonecfg", "-z", "web1", "remove net; add net; set physical=v1; end")
    zoneadmd.uadmin(Call(host.world, ["reboot"], zone="web1"), "web1", reboot=True)
    log = host.file("/var/adm/messages").read_text()
    assert "[zone 'web1'] failed to add network device: " in log
    assert state(host) == "installed"


def test_a_fault_at_boot_and_at_halt(host: Host) -> None:
    host.install("web1")
    host.world.faults.add(Fault("fail", "zoneadm * boot", status="no memory"))
    done = host.zoneadm("web1", "boot")
    assert done.status == 1
    assert done.err.endswith("zoneadm: zone 'web1': call to zoneadmd failed\n")
    assert state(host) == "installed"
    host.good("zoneadm", "-z", "web1", "boot")
    host.world.faults.add(Fault("fail", "zoneadm * halt"))
    assert host.zoneadm("web1", "halt").err.endswith("zone 'web1': unable to destroy zone\n")
    host.good("zoneadm", "-z", "web1", "halt")


def test_a_halt_killed_half_way_leaves_the_zone_stuck_and_the_next_one_finishes(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.world.faults.add(Fault("kill", "zoneadm * halt"))
    assert host.zoneadm("web1", "halt").status == 137
    assert state(host) == "shutting_down"
    assert host.zoneadm("web1", "boot") == Completed(0, "", "zone 'web1': zone is already booted\n")
    host.good("zoneadm", "-z", "web1", "halt")
    assert state(host) == "installed"
