"""What the restarter does about its services, with real processes [services 3.7]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces

# `service NAME START [STOP [REFRESH [STARTD...]]]` imports an enabled service site/NAME. `state NAME WORD` waits for it
# (and for next_state none) and says what it is.
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
    for try in $(seq 200); do
        now=$(svcprop -p restarter/state -p restarter/next_state site/$1 | awk '{printf "%s ", $3}')
        [ "$now" = "$2 none " ] && { echo "$2"; return; }
        sleep 0.02
    done
    echo "not $2 but $now"; svcs -x site/$1; cat /var/svc/log/site-$1:default.log
}
gone() { for try in $(seq 200); do [ "$(contract $1)" = "$2" ] || return 0; sleep 0.02; done; echo "still $2"; }
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


def test_a_method_has_its_environment_and_its_time(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a 'echo $SMF_FMRI $SMF_METHOD $SMF_ZONENAME $PATH; pwd; cat; '"$DAEMON"; state a online
        sed -n '/^[^[]/p' /var/svc/log/site-a:default.log
        seconds=1 service b 'sleep 60'; svcs -Ho state site/b; state b maintenance; pgrep -x sleep | wc -l
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
        kill $1; kill $2; gone a $was; state a online; starts a
        grep -c 'Stopping because process received fatal signal from outside the service.' \
            /var/svc/log/site-a:default.log
        service b 'sleep 0.2 &amp;'; sleep 0.5; state b maintenance; reason b; starts b
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
        kill -9 $(pgrep -c $was | tail -1); sleep 0.3; [ $(contract b) = $was ] && pgrep -c $was | wc -l
        kill -9 $(pgrep -c $was); gone b $was; state b online
        """.replace("$DAEMON$DAEMON", "${DAEMON}${DAEMON}"),
    )
    assert lines == ["online", "online", "online", "1", "online"]


def test_stop_waits_for_the_contract_and_then_kills(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "$DAEMON"; state a online; svcadm disable -s site/a; pgrep -x sleep | wc -l
        stop_seconds=1 service b 'trap "" TERM; '"$DAEMON"; state b online; svcadm restart site/b
        sleep 0.3; svcs -Ho state site/b; state b maintenance; reason b; pgrep -x sleep | wc -l
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
        pgrep -x sleep | wc -l
        svcadm restart site/a; state a maintenance
        svcadm clear site/a; state a online; pgrep -x sleep | wc -l
        service b "$DAEMON" :kill 'exit 1'; state b online; svcadm refresh site/b; state b maintenance; reason b
        grep -c 'Executing refresh method' /var/svc/log/site-b:default.log
        service c '(trap "echo hup" HUP; while :; do sleep 0.05; done) &amp;' :kill ':kill -HUP'
        state c online; was=$(contract c); svcadm refresh site/c; sleep 0.5
        grep -c ^hup /var/svc/log/site-c:default.log; [ $(contract c) = $was ] || echo new
        """,
    )
    assert lines[:9] == [
        "online", "maintenance", "Method failed.", "1", "maintenance", "online", "2", "online", "maintenance",
    ]  # fmt: skip
    assert lines[9:12] == ["Method failed repeatedly.", "3", "online"]


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
        on() { echo "<dependency name='a' grouping='require_all' restart_on='$1' type='service'>\
<service_fmri value='svc:/site/a'/></dependency>"; }
        for kind in none error restart refresh; do needs=$(on $kind) service $kind "$DAEMON"; state $kind online; done
        counts() { sleep 0.3; for kind in none error restart refresh; do starts $kind; done | tr '\\n' ' '; echo; }
        svcadm refresh site/a; counts
        svcadm restart site/a; state a online; counts
        was=$(contract a); pkill -9 -c $was; gone a $was; state a online; counts
        svcadm disable -st site/a; svcadm restart site/refresh; sleep 0.3; svcs -Ho state site/refresh site/none
        svcs -x site/refresh | sed -n 's/^Reason: //p'
        svcs -x site/a | tail -1
        svcadm enable -s site/a; state refresh online
        """,
    )
    assert lines[5:] == [
        "1 1 1 2 ",
        "online", "1 1 2 3 ",
        "online", "1 2 3 4 ",
        "online", "offline", "Service svc:/site/a:default is disabled.",
        "Impact: 2 dependent services are not running.  (Use -v for list.)",
        "online",
    ]  # fmt: skip


def test_svcadm_does_not_wait_unless_told(ours: Machine) -> None:
    lines = script(
        ours,
        """
        service a "sleep 0.7; $DAEMON"; svcs -Ho state,nstate site/a | tr -s ' '
        (svcprop -w -p restarter/state site/a; echo changed) &
        state a online; wait
        svcadm disable -s site/a; svcadm enable site/a; sleep 0.2
        svcs -Ho state site/a; svcadm enable -s site/a; state a online
        """,
    )
    assert lines[0] == "offline online"
    assert sorted(lines[1:4]) == ["changed", "online", "online"]
    assert lines[4:] == ["offline*", "online"]
