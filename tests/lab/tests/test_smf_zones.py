"""svc:/system/zones:default: who boots and stops the host's zones, and who may make them wait [zones 3.11]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine
from lab.tests.test_smf_restarter import PRELUDE

pytestmark = pytest.mark.namespaces

ZONES = r"""
zone() {
    zonecfg -z $1 "create -b; set zonepath=/zones/$1; set brand=sparse; set ip-type=exclusive; set autoboot=$2"
    zoneadm -z $1 install
}
states() { zoneadm list -cp | sort -rt: -k2,2 | awk -F: '$2 != "global" {printf "%s %s ", $2, $3}'; echo; }
log() { sed -n 's/^\[ .* [0-9:]* \(.*\) \]$/\1/p' /var/svc/log/system-zones:default.log; }
hook() {
    printf '#!/bin/sh\n%s\n' "$2" >/usr/lib/brand/sparse/$1; chmod 755 /usr/lib/brand/sparse/$1
}
within() { timeout=$1; shift; timeout $timeout "$@" || echo "status $?"; }
becomes() { # WORD: system/zones
    for try in $(seq 600); do [ "$(svcs -H -o state system/zones)" = $1 ] && break; sleep 0.05; done
    svcs -H -o state system/zones
}
limit() {
    svccfg -s system/zones setprop stop/timeout_seconds = count: $1
    svcadm refresh system/zones
}
"""


def script(machine: Machine, text: str, *options: str) -> list[str]:
    return machine.script(PRELUDE + ZONES + text, *options).splitlines()


@pytest.mark.parametrize("who", ["ours", "ordinary"])
def test_a_stop_and_a_start(request: pytest.FixtureRequest, who: str) -> None:
    """Zones that boot by themselves do, the others' sysboot hook runs, configured ones are left alone."""
    lines = script(
        request.getfixturevalue(who),
        """
        zone web1 true; zone db1 false; zone raw true; zoneadm -z raw uninstall -F
        zoneadm -z web1 boot; zoneadm -z db1 boot
        svcs -H -o state,ctid system/zones | tr -s ' '
        svcadm disable -st system/zones; states; svcs -H -o state system/zones
        hook prestate 'echo "$@" >>/tmp/calls'
        svcadm enable -st system/zones; states; svcs -H -o state,ctid system/zones | tr -s ' '
        sort /tmp/calls; log
        """,
    )
    assert lines == [
        "online -",
        "web1 installed raw configured db1 installed ",
        "disabled",
        "web1 running raw configured db1 installed ",
        "online -",
        "db1 /zones/db1 2 0", "web1 /zones/web1 2 0", "web1 /zones/web1 2 1",
        "Stopping because service disabled.",
        'Executing stop method ("/lib/svc/method/svc-zones stop").',
        'Method "stop" exited with status 0.',
        "Enabled.",
        'Executing start method ("/lib/svc/method/svc-zones start").',
        'Method "start" exited with status 0.',
    ]  # fmt: skip


def test_on_paper_the_zones_follow_too(ours: Machine) -> None:
    lines = script(
        ours,
        """
        zone web1 true; zone db1 false; zoneadm -z db1 boot
        svcadm disable -st system/zones; states; svcadm enable -st system/zones; states
        """,
        "--paper",
    )
    assert lines == ["web1 installed db1 installed ", "web1 running db1 installed "]


DEPENDENT = """
<dependent name='first' grouping='optional_all' restart_on='none'><service_fmri value='svc:/system/zones:default'/>\
</dependent>
"""


def test_zones_wait_for_a_dependent(ours: Machine) -> None:
    """Until it is up; and no longer than it can still come up by itself."""
    lines = script(
        ours,
        f"""
        zone web1 true
        needs="{DEPENDENT.strip()}" service first "while [ ! -e /tmp/go ]; do sleep 0.02; done; $DAEMON"
        svcs -H -o fmri -d system/zones | sort; svcs -H -o fmri -D site/first
        svcadm disable -st system/zones
        svcadm enable -t system/zones; becomes offline; sleep 0.3; states; svcs -H -o state system/zones
        svcs -x system/zones | sed -n 's/^Reason: //p'
        touch /tmp/go; state first online; svcadm enable -st system/zones; states
        """.replace("exec='$3'", ""),
    )
    assert lines == [
        "svc:/milestone/multi-user-server:default", "svc:/site/first:default",
        "svc:/system/zones:default",
        "offline",
        "web1 installed ",
        "offline",
        "Service svc:/site/first:default is not running.",
        "online",
        "web1 running ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "why",
    [
        "svcadm disable -t site/first",
        "svcadm mark maintenance site/first",
        "svcadm disable -t site/below",  # first can never start then
        "svcadm disable -s site/below; svcadm disable -s site/first; svccfg delete site/first",
    ],
)
def test_zones_do_not_wait_for_what_will_not_come(ours: Machine, why: str) -> None:
    lines = script(
        ours,
        f"""
        zone web1 true
        service below ':true'; svcadm disable -s site/below; state below disabled
        needs="<dependency name='below' grouping='require_all' restart_on='none' type='service'>\
<service_fmri value='svc:/site/below:default'/></dependency>{DEPENDENT.strip()}"
        service first "$DAEMON"; svcadm disable -st system/zones
        svcadm enable site/below 2>/dev/null; svcadm disable -st site/below
        {why}
        svcadm enable -st system/zones; states; svcs -H -o state system/zones
        """,
    )
    assert lines == ["disabled", "web1 running ", "online"]


def test_zones_that_wait_are_let_go_when_the_dependent_fails(ours: Machine) -> None:
    lines = script(
        ours,
        f"""
        zone web1 true
        needs="{DEPENDENT.strip()}" service first "while [ ! -e /tmp/go ]; do sleep 0.02; done; exit 96"
        svcadm disable -st system/zones; svcadm enable -t system/zones; becomes offline; sleep 0.3; states
        touch /tmp/go; svcadm enable -st system/zones; states; state first maintenance
        """,
    )
    assert lines == ["offline", "web1 installed ", "web1 running ", "maintenance"]


def test_a_veto_of_halt_does_not_hang_the_stop(ours: Machine) -> None:
    """The in-zone shutdown leaves the vetoed zone stuck, a halt is tried, and then the stop has failed in time."""
    lines = script(
        ours,
        """
        zone web1 true; zone db1 true; limit 15
        hook prestate '[ "$1" = db1 ] || [ "$4" != 4 ]'
        svcadm disable -st system/zones; svcadm enable -st system/zones; states
        svcadm disable -t system/zones
        becomes maintenance; states; svcs -x system/zones | sed -n 's/^Reason: //p'
        grep '^still up' /var/svc/log/system-zones:default.log
        hook prestate 'exit 0'; zoneadm -z web1 halt; states
        """,
    )
    assert lines == [
        "web1 running db1 running ",
        "maintenance",
        "web1 shutting_down db1 installed ",
        "Method failed.",
        "still up: web1",
        "web1 installed db1 installed ",
    ]


def test_a_hanging_hook_is_cut_off_by_the_timeout(ours: Machine) -> None:
    """Three tries of the stop method, each ended after its three seconds."""
    lines = script(
        ours,
        """
        zone web1 true; limit 3; zoneadm -z web1 boot
        hook prestate '[ "$4" != 4 ] || while [ ! -e /tmp/go ]; do sleep 0.05; done'
        svcadm disable -t system/zones
        becomes maintenance; touch /tmp/go
        for try in $(seq 300); do [ "$(states)" = "web1 installed " ] && break; sleep 0.1; done; states
        """,
    )
    assert lines == ["maintenance", "web1 installed "]


def test_shutdown_waits_as_long_as_the_stop_method_may(ours: Machine) -> None:
    lines = script(
        ours,
        """
        zone web1 true; limit 1; zoneadm -z web1 boot
        hook prestate '[ "$4" != 4 ]'
        began=$(date +%s%3N); zoneadm -z web1 shutdown 2>&1 || echo $?
        took=$(($(date +%s%3N) - began)); echo $((took >= 1000 && took < 30000)); states
        """,
    )
    assert lines == ["zone 'web1': unable to shutdown zone", "1", "1", "web1 shutting_down "]
