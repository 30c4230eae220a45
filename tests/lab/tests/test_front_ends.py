"""zap and zadm, as the distributions' tools drive zoneadm and zonecfg [zones 5.7]; and a C compiler for gates."""

from __future__ import annotations

from lab.tests.bench import Machine

ZONE = """
zone() {
    zonecfg -z $1 "create -b; set zonepath=/zones/$1; set brand=sparse; set ip-type=exclusive"
    zoneadm -z $1 install
}
hook() {
    printf '#!/bin/sh\\n%s\\n' "$2" >/tmp/$1; chmod 755 /tmp/$1
    sed -i "s|^  <uninstall>|  <$1>/tmp/$1 %z %R</$1>\\n&|" /usr/lib/brand/sparse/config.xml
}
book() { mkdir -p /var/zap/zones; cd /var/zap/zones; }
asked() { zonelab log | grep -o '"argv": .*\\], "status": [0-9]*' | grep -e zoneadm -e zonecfg | tr -d '",[]:'; }
"""


def run(machine: Machine, text: str, *options: str) -> list[str]:
    return machine.script(ZONE + text, "--paper", *options).splitlines()


def test_zap_in_its_order(ours: Machine) -> None:
    lines = run(
        ours,
        """
        zone web1; zoneadm -z web1 boot; book
        printf '#!/bin/sh\\necho before: $#, $(zoneadm -z web1 list -p | cut -d: -f3)\\nexit 1\\n' >predestroy.web1
        printf '#!/bin/sh\\necho after: $(zoneadm list -c)\\n' >destroy.web1
        chmod +x predestroy.web1 destroy.web1; echo 'zone: web1' >zconfig.web1
        zonelab log --clear >/dev/null
        zap destroy-zone -z web1; ls; asked
        """,
    )
    assert lines == [
        "before: 0, running",
        "Running pre-destroy hook for zone web1",
        "Halted zone web1",
        "Uninstalled zone web1",
        "Deleted zone web1",
        "after: global",
        "Cleaned up after zone web1",
        "argv zoneadm -z web1 list status 0",
        "argv zoneadm -z web1 list -p status 0",
        "argv zoneadm -z web1 halt status 0",
        "argv zoneadm -z web1 uninstall -F status 0",
        "argv zonecfg -z web1 delete -F status 0",
        "argv zoneadm list -c status 0",
    ]


def test_what_zap_cannot_run_stays(ours: Machine) -> None:
    lines = run(
        ours,
        """
        zone web1; book; touch predestroy.web1 destroy.web1
        zap destroy-zone -zweb1 >/dev/null 2>&1; echo $?; ls; zoneadm list -c
        """,
    )
    assert lines == ["0", "destroy.web1", "predestroy.web1", "global"]


def test_a_veto_does_not_stop_zap(ours: Machine) -> None:
    """And what it says is that all was done."""
    lines = run(
        ours,
        """
        zone web1; hook preuninstall 'echo kept; exit 1'
        zap destroy-zone -z web1 2>&1; echo $?; zoneadm list -c; ls -d /zones/web1/root
        """,
    )
    assert lines == [
        "zone 'web1': zone is already halted", "Halted zone web1", "kept", "Uninstalled zone web1", "Deleted zone web1",
        "0", "global", "/zones/web1/root",
    ]  # fmt: skip


def test_zap_and_a_zone_that_will_not_halt(ours: Machine) -> None:
    """Uninstall and delete refuse a running zone; what comes after is done all the same."""
    lines = run(
        ours,
        """
        zone web1; zoneadm -z web1 boot; book; touch zconfig.web1
        hook verify_adm 'exit 1'
        sed -i 's|%R</verify_adm>|%R </verify_adm>|' /usr/lib/brand/sparse/config.xml
        printf '#!/bin/sh\\n[ "$3" != halt ]\\n' >/tmp/verify_adm
        zap destroy-zone -z web1 2>&1; echo $?; zoneadm list -c; ls
        """,
    )
    assert lines == [
        "Halted zone web1",
        "zoneadm: zone 'web1': uninstall operation is invalid for running zones.",
        "Uninstalled zone web1",
        "web1: Zone state is invalid for the requested operation",
        "Deleted zone web1",
        "0", "global", "web1",
    ]  # fmt: skip


def test_zap_spares_a_parent(ours: Machine) -> None:
    """It says whose, when there is more than one file in the book."""
    lines = run(
        ours,
        """
        zone web1; zoneadm -z web1 boot; book
        printf 'zone: db1\\nparent_zone: web1\\nzone: db2\\n' >zconfig.db1
        printf 'zone: x\\nparent_zone: web10\\n' >zconfig.x
        zap destroy-zone -z web1 || echo $?; zoneadm list
        rm zconfig.x; zap destroy-zone -z web1 2>/dev/null || echo $?; zoneadm list
        zap destroy-zone -z web2; echo $?
        zap destroy-zone || echo $?; zap destroy-zone -z global || echo $?
        zap create-zone -z web2 2>&1 || echo $?
        """,
    )
    refused = [
        "Zone web1 is a parent for the following zones, and cannot be deleted",
        "until all the child zones have been deleted",
    ]
    assert lines == [
        *refused, "  db1", "  db2", "1", "global", "web1",
        *refused, "1", "global", "web1",
        "ERROR: No such zone web2", "0",
        "ERROR: zone name must be specified", "2", "ERROR: unable to delete the global zone", "1",
        "zonelab: not emulated: zap create-zone -z web2", "125",
    ]  # fmt: skip


def test_zadm_stops_at_a_veto(ours: Machine) -> None:
    lines = run(
        ours,
        """
        zone web1; hook preuninstall 'echo kept; exit 1'
        zadm delete -f web1 2>&1 || echo $?; zoneadm -z web1 list -p | cut -d: -f3
        printf '#!/bin/sh\\nexit 0\\n' >/tmp/preuninstall
        zadm delete -f web1; echo $?; zoneadm list -c
        """,
        "--omnios",
    )
    assert lines == ["kept", "ERROR: cannot uninstall zone 'web1'", "1", "installed", "0", "global"]


def test_zadm_and_the_states(ours: Machine) -> None:
    lines = run(
        ours,
        """
        zone web1; zoneadm -z web1 boot
        zadm delete -f web1 2>&1 || echo $?
        zoneadm -z web1 halt; zadm delete web1 2>&1 || echo $?
        zoneadm -z web1 ready; zadm delete -f web1; echo $?; zoneadm -z web1 halt
        zoneadm -z web1 uninstall -F; zadm delete -f web1; zoneadm list -c
        zadm delete web2 2>&1 || echo $?
        zadm boot web2 2>&1 || echo $?
        """,
    )
    assert lines == [
        "ERROR: cannot delete running zone 'web1'", "1",
        "zoneadm: zone 'web1': Input not from terminal and -F not specified: uninstall not done.",
        "ERROR: cannot uninstall zone 'web1'", "1",
        "0",
        "global",
        "ERROR: zone 'web2' does not exist", "1",
        "zonelab: not emulated: zadm boot web2", "125",
    ]  # fmt: skip


def test_they_are_on_both_floors_for_everybody(ordinary: Machine) -> None:
    text = """
        command -v zap; command -v zadm
        zone web1; zap destroy-zone -z web1 >/dev/null 2>&1; zone web1; zadm delete -f web1; zoneadm list -c
    """
    for options in (["--paper"], []):
        assert ordinary.script(ZONE + text, *options).split() == ["/usr/bin/zap", "/usr/bin/zadm", "global"]


def test_a_c_compiler_works_on_a_host(ordinary: Machine) -> None:
    lines = ordinary.script(
        "echo 'int main(void) { return 7; }' >/tmp/a.c; cc -o /tmp/a /tmp/a.c; /tmp/a || echo $?", "--paper"
    )
    assert lines.split() == ["7"]
