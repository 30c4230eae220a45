"""What the gate program decides while no daemon answers: by the record that one left, and by its policies."""

from __future__ import annotations

import time

import pytest
from rig import Rig

FAR, GONE = "4102444800", "1000000000"  # unix seconds, far away


@pytest.mark.parametrize(
    ("policy", "status"), [("allow", 0), ("deny", 1), (None, 0)]
)  # None: there is no record, as before the daemon's first start
def test_a_boot_alone_goes_by_the_policy(rig: Rig, policy: str | None, status: int) -> None:
    if policy:
        rig.guard("policy uninstall block", f"policy boot {policy}")
    done = rig.ready()
    assert done.status == status
    assert ("[guard] boot" in done.out) is bool(status)
    assert rig.alone() == [["ready", "web1", "deny" if status else "allow", "no-socket"]]


def test_a_halt_alone_is_never_refused(rig: Rig) -> None:
    rig.guard("policy uninstall block", "policy boot deny", "gateway web1 3 0")
    done = rig.hook("prestatechange", "4", "4", original=rig.script("original", "exit 5"))
    assert done.status == 5
    assert rig.alone() == [["halt", "web1", "allow", "no-socket"]]


@pytest.mark.parametrize(
    ("policy", "gateway", "status"),
    [
        ("block", "", 0),  # nobody's gateway
        ("block", "edge 0 0", 1),
        ("block", "edge 2 0", 1),
        ("block", "edge 2 LATER", 0),  # permitted
        ("block", f"edge 2 {FAR}", 1),  # by a clock that has been put right since
        ("block", f"edge 2 {GONE}", 1),
        ("record", "edge 2 0", 1),
        ("record", "edge 0 0", 0),
        ("allow", "edge 2 0", 0),
        ("block", "edge", 1),  # not as we write it
        ("", "edge 2 0", 1),
        ("block", "edge2 2 0", 0),
        ("block", "ed 2 0", 0),
    ],
)
def test_an_uninstall_alone_goes_by_what_was_last_known(rig: Rig, policy: str, gateway: str, status: int) -> None:
    gateway = gateway.replace("LATER", f"{time.time() + 600:.0f}")
    rig.guard(
        *([f"policy uninstall {policy}"] if policy else []),
        "policy boot allow",
        "gateway aaa 7 0",
        "|  network other: nobody",
        *([f"gateway {gateway}", "|  network dmz: web1 (running), web2 (installed)"] if gateway else []),
        "gateway zzz 7 0",
    )
    done = rig.uninstall("-F", zone="edge")
    if gateway == "edge":
        assert done.status == 0, "a line that is cut is no gateway's"
        return
    assert done.status == status, done
    assert done.out == ""
    if status:
        assert done.err.splitlines()[:2] == [
            "zonehookd: uninstall of gateway zone edge is refused: zonehookd cannot be asked who depends on it",
            "  network dmz: web1 (running), web2 (installed) (when last seen)",
        ]
        for way_out in ("svcadm enable or clear zonehookd", "zonehookctl guard permit edge", "[guard] without_daemon"):
            assert way_out in done.err
        assert "nobody" not in done.err
    assert rig.alone() == [["uninstall", "edge", "deny" if status else "allow", "no-socket"]]


@pytest.mark.parametrize("text", [None, "", "rubbish\n", "zonehookd 2\ngateway edge 0 0\n"])
def test_an_uninstall_without_a_record_is_refused(rig: Rig, text: str | None) -> None:
    if text is not None:
        (rig.state / "guard").write_text(text)
        (rig.state / "guard").chmod(0o600)
    done = rig.uninstall(zone="edge")
    assert done.status == 1
    assert f"has left no record at {rig.state}/guard" in done.err
    assert "svcadm enable or clear zonehookd" in done.err and "zonehookctl brand disable" in done.err


def test_a_zone_name_that_is_none_is_not_sent(rig: Rig) -> None:
    with rig.says("deny no\n") as requests:
        assert rig.ready(zone="a b").status == 0
        assert rig.ready(zone="x" * 70).status == 0
    assert requests == []
