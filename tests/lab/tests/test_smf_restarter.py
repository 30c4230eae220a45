"""What the restarter does about its services, with real processes [services 3.7]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces

# `service NAME START [STOP [REFRESH [STARTD...]]]` imports an enabled service site/NAME. svcadm waits for nothing, so
# every other word waits for what it names, and says what came: `state NAME WORD` (and next_state none), `shows NAME
# WORD` (as svcs prints it), `gone NAME CONTRACT`, `afresh NAME COMMAND...` (its state has changed since), `processes
# PROGRAM NUMBER`, `logged NAME LINE NUMBER`.
PRELUDE = r"""
service() {
    refresh=
    [ -z "$4" ] || refresh="<exec_method type='method' name='refresh' exec='$4' timeout_seconds='20'/>"
    cat >/tmp/$1.xml <<XML
<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='manifest' name='$1'><service name='site/$1' type='service' version='1'>
<create_default_instance enabled='true'/>${needs}<method_context working_directory='/'/>
<exec_method type='method' name='start' exec='$2' timeout_seconds='${seconds:-20}'/>
<exec_method type='method' name='stop' exec='${3:-:kill}' timeout_seconds='${stop_seconds:-20}'/>$refresh
<property_group name='startd' type='framework'>$5<propval name='x' type='astring' value='y'/></property_group>
</service></service_bundle>
XML
    svccfg import /tmp/$1.xml
}
state() {
    for try in $(seq 600); do
        now=$(svcprop -p restarter/state -p restarter/next_state site/$1 | awk '{printf "%s ", $3}')
        [ "$now" = "$2 none " ] && { echo "$2"; return; }
        sleep 0.02
    done
    echo "not $2 but $now"; svcs -x site/$1; cat /var/svc/log/site-$1:default.log
}
shows() {
    for try in $(seq 600); do now=$(svcs -Ho state site/$1); [ "$now" = "$2" ] && break; sleep 0.02; done; echo "$now"
}
gone() { for try in $(seq 600); do [ "$(contract $1)" = "$2" ] || return 0; sleep 0.02; done; echo "still $2"; }
since() { svcprop -p restarter/state_timestamp site/$1; }
afresh() {
    it=$1 then=$(since $1); shift; "$@"
    for try in $(seq 600); do [ "$(since $it)" = "$then" ] || return 0; sleep 0.02; done; echo "as before: $it"
}
processes() {
    for try in $(seq 600); do now=$(pgrep -x $1 | wc -l); [ $now = $2 ] && break; sleep 0.02; done; echo $now
}
logged() {
    for try in $(seq 600); do
        now=$(grep -c "$2" /var/svc/log/site-$1:default.log || true); [ "$now" = $3 ] && break; sleep 0.02
    done
    echo $now
}
contract() { svcprop -p restarter/contract site/$1 2>/dev/null || true; }
reason() { svcs -x site/$1 | sed -n 's/^Reason: //p'; }
starts() { grep -c 'Executing start method' /var/svc/log/site-$1:default.log; }
DAEMON='sleep 1000 &amp;'
"""


def script(machine: Machine, text: str) -> list[str]:
    return machine.script(PRELUDE + text).splitlines()


def test_some_exit_codes_mean_maintenance_at_once(ours: Machine) -> None:
    lines = script(
        ours,
        """
        for code in 95 96 99 100; do
            service s$code "exit $code"; state s$code maintenance; reason s$code; starts s$code
        done
        """,
    )
    names = ["FATAL", "CONFIG", "NOSMF", "PERM"]
    assert lines == [
        line
        for name in names
        for line in ("maintenance", f"Start method exited with $SMF_EXIT_ERR_{name}.", "1")
    ]  # fmt: skip


def test_other_failures_are_tried_three_times(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a 'exit 1'; state a maintenance; reason a; starts a
        service b 'kill -9 $$'; state b maintenance; reason b; starts b
        service c 'test -e /tmp/mark || { touch /tmp/mark; exit 1; }; '"$DAEMON"; state c online; starts c
        svcadm enable -s site/a || echo $?
        """.replace("svcadm enable -s site/a", "svcadm enable -s site/a 2>/dev/null"),
    )
    assert lines == [
        "maintenance", "Start method failed repeatedly, last exited with status 1.", "3",
        "maintenance", "Start method failed repeatedly, last died on SIGKILL (9).", "3",
        "online", "2",
        "3",
    ]  # fmt: skip


def test_a_start_method_is_in_the_contract_and_what_it_leaves_behind_outlives_its_failure(ours: Machine) -> None:
    """The contract is stored before the method is waited for, and abandoned if it fails (gate startd method.c)."""
    lines = script(
        ours,
        """
        service a 'pgrep -c $(svcprop -p restarter/contract $SMF_FMRI) >/tmp/a; echo $$ >>/tmp/a; '"$DAEMON"
        state a online; sort /tmp/a | uniq -d | wc -l
        service b 'sleep 777 &amp; exit 96'; state b maintenance; contract b; pkill -fx 'sleep 777' && echo was there
        """,
    )
    assert lines == ["online", "1", "maintenance", "was there"]


def test_a_method_has_its_environment_and_its_time(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a 'echo $SMF_FMRI $SMF_METHOD $SMF_ZONENAME $PATH; pwd; cat; '"$DAEMON"; state a online
        sed -n '/^[^[]/p' /var/svc/log/site-a:default.log
        seconds=1 service b 'sleep 60'; shows b 'offline*'; state b maintenance; processes sleep 1
        """,
    )
    assert lines == [
        "online",
        "svc:/site/a:default start global /usr/sbin:/usr/bin",
        "/",
        "offline*",
        "maintenance",
        "1",  # the daemon of a
    ]


def test_the_end_of_the_last_process_is_a_restart(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "$DAEMON sleep 1000 &amp;"; state a online; was=$(contract a)
        set -- $(pgrep -c $was); echo $#
        kill $1; kill $2 2>/dev/null || true  # the restarter may have been faster
        gone a $was; state a online; starts a
        grep -c 'Stopping because process received fatal signal from outside the service.' \
            /var/svc/log/site-a:default.log
        service b 'sleep 0.2 &amp;'; state b maintenance; reason b; starts b
        svcadm clear site/b; svcadm disable -s site/b; svcs -Ho state site/b
        """,
    )
    assert lines == ["online", "2", "online", "2", "1", "maintenance", "Restarting too quickly.", "5", "disabled"]


def test_a_killed_member_matters_unless_it_is_ignored(ours: Machine) -> None:
    lines = script(
        ours,
        """
        ignore="<propval name='ignore_error' type='astring' value='core,signal'/>"
        service a "$DAEMON$DAEMON"; state a online; was=$(contract a)
        kill -9 $(pgrep -c $was | tail -1); gone a $was; state a online
        service b "$DAEMON$DAEMON" '' '' "$ignore"; state b online; was=$(contract b)
        kill -9 $(pgrep -c $was | tail -1); until [ $(pgrep -c $was | wc -l) = 1 ]; do sleep 0.02; done
        sleep 0.3; [ $(contract b) = $was ] && pgrep -c $was | wc -l
        kill -9 $(pgrep -c $was); gone b $was; state b online
        """.replace("$DAEMON$DAEMON", "${DAEMON}${DAEMON}"),
    )
    assert lines == ["online", "online", "online", "1", "online"]


def test_stop_waits_for_the_contract_and_then_kills(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "$DAEMON"; state a online; svcadm disable -s site/a; pgrep -x sleep | wc -l
        stop_seconds=3 service b 'trap "" TERM; '"$DAEMON"; state b online; svcadm restart site/b
        shows b 'online*'; state b maintenance; reason b; processes sleep 0
        service c "$DAEMON" 'pkill -c $(svcprop -p restarter/contract $SMF_FMRI); echo bye'
        state c online; svcadm disable -s site/c; svcs -Ho state site/c; grep -c '^bye' /var/svc/log/site-c:default.log
        """,
    )
    assert lines == [
        "online",
        "0",
        "online",
        "online*",
        "maintenance",
        "Method failed.",
        "0",
        "online",
        "disabled",
        "1",
    ]


def test_a_failed_refresh_leaves_the_processes_and_clear_starts_a_second_copy(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "$DAEMON" :kill 'exit 96'; state a online; svcadm refresh site/a; state a maintenance; reason a
        processes sleep 1
        svcadm restart site/a; state a maintenance
        svcadm clear site/a; state a online; processes sleep 2
        service b "$DAEMON" :kill 'exit 1'; state b online; svcadm refresh site/b; state b maintenance; reason b
        grep -c 'Executing refresh method' /var/svc/log/site-b:default.log
        service c '(trap "echo hup" HUP; echo set; while :; do sleep 0.05; done) &amp;' :kill ':kill -HUP'
        state c online; was=$(contract c); logged c ^set 1
        svcadm refresh site/c; logged c ^hup 1; [ $(contract c) = $was ] && echo same
        """,
    )
    assert lines == [
        "online", "maintenance", "Method failed.", "1", "maintenance", "online", "2", "online", "maintenance",
        "Method failed repeatedly.", "3", "online", "1", "1", "same",
    ]  # fmt: skip


def test_child_and_transient_services(ours: Machine) -> None:
    lines = script(
        ours,
        """
        child="<propval name='duration' type='astring' value='child'/>"
        once="<propval name='duration' type='astring' value='transient'/>"
        service a 'exec sleep 1000' '' '' "$child"; state a online; was=$(contract a)
        pkill -9 -c $was; gone a $was; state a online
        service b 'exit 96' '' '' "$child"; state b maintenance
        service c 'sleep 1000 &amp;' :true '' "$once"; state c online
        svcprop -q -p restarter/contract site/c || echo none
        pkill -x sleep; sleep 0.2; svcs -Ho state site/c
        service d 'exit 94'; state d online; sleep 0.2; svcs -Ho state site/d
        """,
    )
    assert lines == ["online", "online", "maintenance", "online", "none", "online", "online", "online"]


def test_dependents_follow(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "$DAEMON"; state a online
        on() { echo "<dependency name='a' grouping='${2:-require_all}' restart_on='$1' type='service'>\
<service_fmri value='svc:/site/a'/></dependency>"; }
        for kind in none error restart refresh; do needs=$(on $kind) service $kind "$DAEMON"; state $kind online; done
        needs=$(on restart optional_all) service may "$DAEMON"; state may online
        now() { for kind in none error restart refresh may; do starts $kind; done | tr '\\n' ' '; }
        counts() {  # once they are so many, and some time later
            for try in $(seq 600); do [ "$(now)" = "$1 " ] && break; sleep 0.02; done
            sleep 0.3; now; echo
        }
        svcadm refresh site/a; counts '1 1 1 2 1'
        afresh a svcadm restart site/a; state a online; counts '1 1 2 3 2'
        was=$(contract a); pkill -9 -c $was; gone a $was; state a online; counts '1 2 3 4 3'
        svcadm disable -st site/a; svcadm restart site/refresh; state refresh offline; state restart offline
        svcs -Ho state site/none; counts '1 2 3 4 4'; state may online
        svcs -x site/refresh | sed -n 's/^Reason: //p'
        svcs -x site/a | tail -1
        svcadm enable -s site/a; state refresh online
        """,
    )
    assert lines[6:] == [
        "1 1 1 2 1 ",
        "online", "1 1 2 3 2 ",
        "online", "1 2 3 4 3 ",
        "offline", "offline", "online", "1 2 3 4 4 ", "online", "Service svc:/site/a:default is disabled.",
        "Impact: 2 dependent services are not running.  (Use -v for list.)",
        "online",
    ]  # fmt: skip


def test_svcadm_does_not_wait_unless_told(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "while [ ! -e /tmp/go ]; do sleep 0.02; done; $DAEMON"; shows a 'offline*'
        svcs -Ho state,nstate site/a | tr -s ' '
        (svcprop -w -p restarter/state site/a > /tmp/came; echo changed) &
        touch /tmp/go; state a online
        while kill -0 $! 2>/dev/null; do afresh a svcadm restart site/a; done; wait  # if it came too late for the first
        grep -cx 'online\\|offline' /tmp/came
        state a online; rm /tmp/go; svcadm disable -s site/a; svcadm enable site/a
        shows a 'offline*'; touch /tmp/go; svcadm enable -s site/a; state a online
        """,
    )
    assert lines[:2] == ["offline*", "offline online"]
    assert sorted(lines[2:4]) == ["changed", "online"]
    assert lines[4:] == ["1", "online", "offline*", "online"]
