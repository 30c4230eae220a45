"""Quick hooks on a host: refusals that zoneadm shows, a daemon that is killed, and what it tells afterwards."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces

FOLDER = "/etc/zonehookd/hooks.d"
POLICY = """#!/bin/sh
# A rule for a moment is a file: never or later, with its reason in it.
told=$(cat)
if [ -e "/var/log/never.$2" ]; then cat "/var/log/never.$2" >&2; exit 77; fi
if [ -e "/var/log/later.$2" ]; then echo "again-after: 30"; cat "/var/log/later.$2" >&2; exit 75; fi
if [ "$2 $3" = "create before" ]; then
    case $told in *'"owner": '*) ;; *) echo "say who owns it" >&2; exit 77;; esac
fi
if [ "$1 $2 $3" = "slow1 start after" ]; then sleep 300; fi
exit 0
"""
TOLD = """
from zonehookd.plugin import on

@on("after-create", "before-start", "after-start", "after-stop", "after-delete", "reconnect", zone=("web*", "slow*"))
def told(zone, moment, addresses, cause, options):
    with open(options["file"], "a") as file:
        print(zone.name, moment, *addresses, cause, file=file)
"""
OPTIONS = '[hooks.options.20-told]\nfile = "/var/log/told"\n'
OWNER = 'add attr; set name=owner; set type=string; set value="ann"; end'


@pytest.fixture(scope="module")
def host() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def hooked(host: Machine) -> Daemon:
    """A daemon with two hooks and the gate; web1 is installed, its owner is named."""
    host.do("mkdir", "-p", FOLDER)
    host.write(f"{FOLDER}/10-policy", POLICY)
    host.do("chmod", "755", f"{FOLDER}/10-policy")
    host.write(f"{FOLDER}/20-told.py", TOLD)
    daemon = Daemon(host, extra=OPTIONS)
    daemon.start()
    assert daemon.ask("brand", "enable", "sparse").status == 0
    until(lambda: all(not row["trouble"] for row in hooks(daemon)["hooks"]), "both hooks can be called")
    zone(host, "web1", "10.1.0.5/24")
    until(lambda: "web1 after-create 10.1.0.5/24 look" in told(host), "web1 is made")
    return daemon


def zone(host: Machine, name: str, address: str) -> None:
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive; "
            f"add net; set physical={name}_0; set allowed-address={address}; end; {OWNER}")  # fmt: skip
    host.do("zoneadm", "-z", name, "install")


def hooks(daemon: Daemon) -> Any:
    return daemon.ctl("hooks")


def told(host: Machine) -> list[str]:
    return host.run("cat", "/var/log/told").out.splitlines()


def of(host: Machine, name: str) -> list[str]:
    return [line for line in told(host) if line.split()[0] == name]


def state(host: Machine, name: str) -> str:
    return host.do("zoneadm", "-z", name, "list", "-p").split(":")[2]


def test_a_boot_is_refused_with_the_reason_and_goes_on_when_it_may(host: Machine, hooked: Daemon) -> None:
    host.write("/var/log/never.start", "not on a Friday\n")
    done = host.run("zoneadm", "-z", "web1", "boot")
    assert done.status != 0 and state(host, "web1") == "installed"
    assert "zonehookd: boot of zone web1 is refused by hook 10-policy: not on a Friday" in done.out + done.err, done
    host.do("mv", "/var/log/never.start", "/var/log/later.start")
    done = host.run("zoneadm", "-z", "web1", "boot")
    assert done.status != 0 and "by hook 10-policy, for now: not on a Friday (again in 30 s)" in done.out + done.err, (
        done
    )
    host.do("rm", "/var/log/later.start")
    host.do("zoneadm", "-z", "web1", "boot")
    until(lambda: of(host, "web1")[1:] == ["web1 before-start 10.1.0.5/24 gate", "web1 after-start 10.1.0.5/24 look"],
          f"told of its start, and not of what was refused by who comes first: {told(host)}")  # fmt: skip


def test_a_halt_and_an_uninstall_are_refused(host: Machine, hooked: Daemon) -> None:
    host.write("/var/log/never.stop", "a backup runs\n")
    for verb in ("halt", "reboot"):
        done = host.run("zoneadm", "-z", "web1", verb)
        said = "zonehookd: halt of zone web1 is refused by hook 10-policy: a backup runs"
        assert done.status != 0 and said in done.out + done.err, done
    assert state(host, "web1") == "running"
    host.do("rm", "/var/log/never.stop")
    host.do("zoneadm", "-z", "web1", "halt")
    host.write("/var/log/never.delete", "ask ann\n")
    done = host.run("zoneadm", "-z", "web1", "uninstall", "-F")
    assert done.status != 0 and "uninstall of zone web1 is refused by hook 10-policy: ask ann" in done.err, done
    assert state(host, "web1") == "installed"
    host.do("rm", "/var/log/never.delete")
    until(lambda: of(host, "web1")[-1] == "web1 after-stop 10.1.0.5/24 look", "told of its stop")


def test_the_links_of_a_zone_wait_for_leave_and_no_others_do(host: Machine, hooked: Daemon) -> None:
    host.zone("web3", "web3_0", "10.1.0.7/24")
    until(lambda: hooks(hooked)["held"], "web3 is held")
    assert hooks(hooked)["held"] == {"web3": "hook 10-policy refuses it: say who owns it"}

    def trouble() -> list[str]:
        return [row["error"] for row in hooked.ctl("status")["trouble"] if row["name"] == "web3"]

    until(lambda: trouble() == ["hook 10-policy refuses it: say who owns it"], f"status says it: {trouble()}")
    explained = hooked.ask("explain", "web3").out.splitlines()
    assert explained[0] == "zone web3: link web3_0: web3_0 does not exist"
    assert explained[1].endswith("is no longer in its way: hook 10-policy refuses it: say who owns it"), explained[1]
    assert hooked.ask("hooks").status == 1
    host.zone("web4", "web4_0", "10.1.0.8/24")
    host.do("zonecfg", "-z", "web4", OWNER)
    until(lambda: "web4_0" in host.links(), "the link of the other")
    assert "web3_0" not in host.links()
    host.do("zonecfg", "-z", "web3", OWNER)
    until(lambda: "web3_0" in host.links(), "the link of web3, once its owner is named")
    assert hooked.ask("hooks").status == 0
    for name in ("web3", "web4"):
        host.do("zonecfg", "-z", name, "delete", "-F")
    gone = ["web3 after-delete 10.1.0.7/24 look", "web4 after-delete 10.1.0.8/24 look"]
    until(lambda: set(gone) <= set(told(host)), f"told that they are gone: {told(host)}")


def test_a_hook_that_hangs_is_nobody_elses_trouble(host: Machine, hooked: Daemon) -> None:
    """Also the daemon is killed while it hangs: it is told again by the next one, which says what was missed."""
    zone(host, "slow1", "10.1.0.9/24")
    host.do("zoneadm", "-z", "slow1", "boot")
    until(lambda: "10-policy slow1 start after" in host.do("ps", "ax", "-o", "args"), "the hook hangs")
    host.do("zoneadm", "-z", "web1", "boot")
    until(lambda: of(host, "web1")[-1] == "web1 after-start 10.1.0.5/24 look", "web1 is told of at once")
    assert not [line for line in of(host, "slow1") if "after-start" in line], "slow1 still waits"
    hooked.stop(signal.SIGKILL)
    host.do("zoneadm", "-z", "web1", "halt")
    host.do("zoneadm", "-z", "slow1", "halt")
    host.do("zoneadm", "-z", "slow1", "uninstall", "-F")
    host.do("zonecfg", "-z", "slow1", "delete", "-F")
    before = len(told(host))
    zone(host, "web2", "10.1.0.6/24")
    hooked.start()
    until(lambda: of(host, "web2") == ["web2 after-create 10.1.0.6/24 look"], "what came meanwhile")
    until(lambda: any(line.startswith("slow1 after-delete") for line in told(host)), "what went meanwhile")
    missed = ["web1 reconnect 10.1.0.5/24 start", "web1 after-stop 10.1.0.5/24 missed"]
    until(lambda: of(host, "web1")[-2:] == missed, f"each zone has its turn, whatever others do: {told(host)}")
    assert [line.split()[1] for line in told(host)[before:] if line.startswith("slow1")] == [
        "after-stop",
        "after-delete",
    ]


POLICY_RUNS = f"{FOLDER}/10-policy slow1 start after"


def test_every_call_is_seen(host: Machine, hooked: Daemon) -> None:
    rows = {row["name"]: row for row in hooks(hooked)["hooks"]}
    assert rows["10-policy"]["shape"] == "program" and rows["10-policy"]["moments"] == []
    assert rows["20-told.py"]["moments"][:2] == ["after-create", "before-start"]
    assert rows["20-told.py"]["calls"]["ok"] >= 3 and rows["20-told.py"]["last"]["result"] == "ok"
    lines = [each for each in hooked.audit() if each["kind"] == "hook"]
    assert any(each["argv"][1:] == ["web1", "start", "before", "-"] and each["status"] == 77 for each in lines)
    shown = hooked.ask("timeline", "web1").out
    assert "hook 20-told.py" in shown and "after-stop" in shown, shown
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9631/metrics').read().decode())"
    scraped = host.do("/usr/bin/python3", "-c", fetch)
    assert 'zonehookd_hook_calls_total{hook="20-told.py",moment="after-stop",result="ok"}' in scraped
    done = hooked.ask("hooks")
    assert done.status == 0 and "20-told.py" in done.out and "after-create, before-start" in done.out
    assert json.loads(hooked.ask("--json", "hooks", "--zone", "web1").out)["owed"] == []


def test_functions_that_cannot_be_loaded_leave_those_of_before(host: Machine, hooked: Daemon) -> None:
    host.write(f"{FOLDER}/20-told.py", TOLD + "\ndef broken(:\n")
    until(lambda: "the one before goes on" in row(hooked, "20-told.py")["trouble"], "the new one is refused")
    assert "SyntaxError" in row(hooked, "20-told.py")["trouble"] and hooked.ask("hooks").status == 1
    before = len(told(host))
    host.do("zoneadm", "-z", "web2", "boot")
    until(lambda: told(host)[before:] == ["web2 before-start 10.1.0.6/24 gate", "web2 after-start 10.1.0.6/24 look"],
          f"the one before is told: {told(host)}")  # fmt: skip
    host.write(f"{FOLDER}/20-told.py", TOLD.replace("zone.name, moment", "zone.name, 'NEW', moment"))
    until(lambda: not row(hooked, "20-told.py")["trouble"], "it can be loaded again")
    host.do("zoneadm", "-z", "web2", "halt")
    until(lambda: told(host)[-1] == "web2 NEW after-stop 10.1.0.6/24 look", f"by the new one: {told(host)}")


def row(daemon: Daemon, name: str) -> Any:
    return next(each for each in hooks(daemon)["hooks"] if each["name"] == name)
