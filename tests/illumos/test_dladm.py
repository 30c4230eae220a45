"""What dladm prints, and what its failures mean; texts from the network sheet, sections 2.2 to 2.10."""

from __future__ import annotations

from typing import Any

import pytest

from zonehookd.errors import CannotObserve
from zonehookd.illumos import dladm
from zonehookd.model import subject
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.record import Record

OURS = Record("vnic", "x0", subject.zone("z"), "vnic")
VANILLA = dladm.Dialect(vnic_zone_field=False)
OMNIOS = dladm.Dialect(vnic_zone_field=True)


def answer(query: Query[Any], out: str = "", err: str = "", status: int = 0) -> Any:
    return query.parse(Reply(status, out, err))


def test_the_dialect_is_probed_once_and_an_unknown_failure_is_no_answer() -> None:
    assert answer(dladm.probe_dialect(), "") == OMNIOS
    assert answer(dladm.probe_dialect(), err="dladm: unknown output field: `zone'\n", status=1) == VANILLA
    with pytest.raises(CannotObserve):
        answer(dladm.probe_dialect(), err="dladm: could not open /dev/dld\n", status=1)


def test_links() -> None:
    found = answer(dladm.links(), "stub0:etherstub:9000:up:\nweb1_0:vnic:1500:up:stub0\naggr0:aggr:1500:up:a0,b0\n")
    assert found["web1_0"] == dladm.Link("web1_0", "vnic", 1500, "up", "stub0")
    assert found["stub0"].over == ""


def test_a_host_without_any_link_is_no_answer() -> None:
    with pytest.raises(CannotObserve, match="is dlmgmtd well"):
        answer(dladm.links(), "")


def test_a_missing_link_is_an_answer_and_a_failure_is_not() -> None:
    assert answer(dladm.link("x0"), err="dladm: link x0 is not valid: object not found\n", status=1) is None
    with pytest.raises(CannotObserve, match="permission denied"):
        answer(dladm.link("x0"), err="dladm: link x0 is not valid: permission denied\n", status=1)


def test_vnics_in_both_dialects() -> None:
    row = "web1_0:stub0:2\\:8\\:20\\:ab\\:cd\\:1:0"
    assert answer(dladm.vnics(VANILLA), f"{row}\n")["web1_0"] == dladm.Vnic(
        "web1_0", "stub0", "02:08:20:ab:cd:01", 0, None
    )
    assert answer(dladm.vnics(OMNIOS), f"{row}:--\n")["web1_0"].zone == ""
    assert answer(dladm.vnics(OMNIOS), f"{row}:web1\n")["web1_0"].zone == "web1"


@pytest.mark.parametrize(
    ("out", "err", "status"),
    [
        ("", "dladm: invalid vnic name 'x0': object not found\n", 1),
        ("", "", 0),  # vanilla: the name is an etherstub
        ("", "dladm: failed to show vnic 'x0': object not found\n", 1),  # vanilla: a physical link
        ("", "dladm: datalink x0 is not a vnic: found class etherstub\n", 1),  # OmniOS
    ],
)
def test_no_such_vnic(out: str, err: str, status: int) -> None:
    assert answer(dladm.vnic("x0", VANILLA), out, err, status) is None


def test_a_line_that_makes_no_sense_is_no_answer() -> None:
    with pytest.raises(ValueError, match="expected 4 fields"):
        answer(dladm.vnics(VANILLA), "web1_0:stub0\n")


def test_protections_survive_a_link_that_vanished_during_the_walk() -> None:
    out = (
        "gone0:zone:?\ngone0:protection:?\ngone0:allowed-ips:?\n"
        "web1_0:zone:web1\nweb1_0:protection:ip-nospoof,mac-nospoof\nweb1_0:allowed-ips:10.0.0.2/32\n"
    )
    found = answer(dladm.protections(), out, "dladm: warning: cannot get link property 'zone' for gone0: …\n", 1)
    assert found == {
        "web1_0": dladm.Protection("web1", frozenset({"ip-nospoof", "mac-nospoof"}), frozenset({"10.0.0.2/32"}))
    }


def verdict(change: Change, err: str) -> tuple[bool, bool, bool]:
    said = change.judge(1, err)
    return said.again, said.busy, said.done


@pytest.mark.parametrize(
    ("change", "err", "expected"),
    [
        (dladm.delete_vnic("x0", ours=OURS, why=""), "dladm: invalid link name 'x0'\n", (False, False, True)),
        (dladm.delete_vnic("x0", ours=OURS, why=""), "dladm: vnic deletion failed: link busy\n", (True, True, False)),
        (dladm.delete_vnic("x0", ours=OURS, why=""), "dladm: 'x0' is not a vnic\n", (True, False, False)),
        (
            dladm.delete_etherstub("x0", ours=OURS, why=""),
            "dladm: vnic deletion failed: link busy\n",
            (True, True, False),
        ),
        (
            dladm.create_vnic("x0", over="s0", mac="2:8:20:0:0:1", why=""),
            "dladm: invalid link name 's0'\n",
            (True, False, False),
        ),
        (
            dladm.create_vnic("x0", over="s0", mac="2:8:20:0:0:1", why=""),
            "dladm: VLAN over 's0' may not use default_tag ID (see dladm(8))\n",
            (True, True, False),
        ),
        (
            dladm.create_etherstub("s0", why=""),
            "dladm: etherstub creation failed: permission denied\n",
            (False, False, False),
        ),
        (
            dladm.create_etherstub("s0", why=""),
            "dladm: etherstub creation failed: try again later\n",
            (True, True, False),
        ),
    ],
)
def test_what_a_failure_means(change: Change, err: str, expected: tuple[bool, bool, bool]) -> None:
    assert verdict(change, err) == expected


def test_arguments_are_as_the_manual_has_them() -> None:
    assert dladm.create_vnic("x0", over="s0", mac="02:08:20:00:00:01", vlan=7, why="").argv == (
        "dladm", "create-vnic", "-l", "s0", "-m", "02:08:20:00:00:01", "-v", "7", "x0",
    )  # fmt: skip
    assert dladm.set_linkprop("x0", "zone", "z", temporary=True, why="").argv == (
        "dladm", "set-linkprop", "-t", "-p", "zone=z", "x0",
    )  # fmt: skip
