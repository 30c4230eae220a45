"""What the gate program decides while no daemon answers: by the record that one left, and by its policies."""

from __future__ import annotations

import time

import pytest
from rig import Rig

from zonehookd.guard.standing import alone

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
        for way_out in (
            "svcadm enable, clear or restart zonehookd",
            "zonehookctl guard permit edge",
            "[guard] without_daemon",
        ):
            assert way_out in done.err
        assert "nobody" not in done.err
    assert rig.alone() == [["uninstall", "edge", "deny" if status else "allow", "no-socket"]]


INDEX = "# zones\n\nglobal:installed:/\n"
WHOLE = (
    INDEX
    + """\
web1:installed:/zones/web1:5f0c3a9e-7d0b-4a0c-9a39-1f6f5c9a6e21
inner3:installed:/zones/inner:
odd2:installed:"/zones/with:colon":
open2:installed:"/zones/open
db2:configured:/zones/db
"""
)
FILES = {
    "inner": "/zones/inner",
    "odd": "/zones/with:colon",
    "db": "/zones/db",
    "web": "/zones/we",
    "open": '"/zones/open',
}
UNSEEN = "zonehookd cannot be asked,\n  and whether it is gateway {} renamed is not known: "


@pytest.mark.parametrize(
    ("policy", "zone", "index", "said"),
    [
        ("block", "inner3", WHOLE, "zone inner3, which is gateway inner renamed, is refused"),
        ("record", "inner3", WHOLE, "zone inner3, which is gateway inner renamed, is refused"),
        ("allow", "inner3", WHOLE, ""),
        ("block", "odd2", WHOLE, "zone odd2, which is gateway odd renamed, is refused"),
        ("block", "open2", WHOLE, "zone open2, which is gateway open renamed, is refused"),
        ("record", "odd2", WHOLE, ""),  # nobody depended on it
        ("block", "db2", WHOLE, ""),  # there is leave
        ("block", "web1", WHOLE, ""),  # other files, though they begin alike
        ("block", "nosuch", WHOLE, ""),
        ("block", "inner", WHOLE, "gateway zone inner is refused"),
        ("block", "inner3", WHOLE + "inner:configured:/zones/new:\n", ""),  # that is inner now, as the daemon has it
        ("block", "web1", None, f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("block", "web1", "", f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("block", "web1", WHOLE.replace("global", "globe"), f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("block", "web1", WHOLE + "half\n", f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("block", "web1", WHOLE + "#" * (4 << 20), f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("record", "web1", None, f"zone web1 is refused: {UNSEEN.format('inner')}"),
        ("allow", "web1", None, ""),
    ],
)  # fmt: skip
def test_a_renamed_gateway_is_known_by_its_files(
    rig: Rig, policy: str, zone: str, index: str | None, said: str
) -> None:
    """To the gate and to zonehookctl, by the same rules."""
    if index is not None:
        (rig.state.parent / "index").write_text(index)
    counts = {"inner": "1 0", "db": f"1 {time.time() + 600:.0f}"}
    gateways = ((f"gateway {name} {counts.get(name, '0 0')}", f"|  {name}", f"files {name} {path}")
                for name, path in FILES.items())  # fmt: skip
    rig.guard(
        f"policy uninstall {policy}",
        f"index {rig.state.parent}/index",
        *(line for lines in gateways for line in lines),
    )
    done, verdict = rig.uninstall("-F", zone=zone), alone(rig.state / "guard", zone, "uninstall", time.time())
    assert (done.status, verdict.allowed) == ((1, False) if said else (0, True)), (done, verdict)
    for text in (done.err, verdict.text):
        assert (f"uninstall of {said}" in text) if said else "refused" not in text
        assert ("  inner (when last seen)" in text) is ("inner " in said and "not known" not in said)
    if "gateway inner" in said:
        assert "zonehookctl guard permit inner if" in done.err


@pytest.mark.parametrize("index", ["no line of it", "a link", "a folder"])
def test_an_index_that_cannot_be_looked_at_says_of_no_zone_that_it_is_no_gateway(rig: Rig, index: str) -> None:
    path = rig.state.parent / "index"
    if index == "a link":
        (rig.state.parent / "there").write_text(WHOLE)
        path.symlink_to(rig.state.parent / "there")
    elif index == "a folder":
        path.mkdir()
    known = ["gateway inner 1 0", "files inner /zones/inner"]
    rig.guard("policy uninstall block", *([] if index == "no line of it" else [f"index {path}"]), *known)
    assert rig.uninstall(zone="web1").status == 1
    assert not alone(rig.state / "guard", "web1", "uninstall", time.time()).allowed
    rig.guard("policy uninstall block", "gateway inner 1 0")
    assert rig.uninstall(zone="web1").status == 0, "a record of before has names alone"
    assert alone(rig.state / "guard", "web1", "uninstall", time.time()).allowed


@pytest.mark.parametrize("text", [None, "", "rubbish\n", "zonehookd 2\ngateway edge 0 0\n"])
def test_an_uninstall_without_a_record_is_refused(rig: Rig, text: str | None) -> None:
    if text is not None:
        (rig.state / "guard").write_text(text)
        (rig.state / "guard").chmod(0o600)
    done = rig.uninstall(zone="edge")
    assert done.status == 1
    assert f"has left no record at {rig.state}/guard" in done.err
    assert "svcadm enable, clear or restart zonehookd" in done.err and "zonehookctl brand disable" in done.err


def test_a_zone_name_that_is_none_is_not_sent(rig: Rig) -> None:
    with rig.says("deny no\n") as requests:
        assert rig.ready(zone="a b").status == 0
        assert rig.ready(zone="x" * 70).status == 0
    assert requests == []
