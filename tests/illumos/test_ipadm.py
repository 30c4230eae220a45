"""What ipadm prints, and what its failures mean; texts from the network sheet, section 4."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import run_text
from lab.world import World

from zonehookd.errors import CannotObserve
from zonehookd.illumos import ipadm
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply

V4, V6 = ip_interface("10.0.0.2/24"), ip_interface("fd00::2/64")


def answer(query: Query[Any], out: str = "", err: str = "", status: int = 0) -> Any:
    return query.parse(Reply(status, out, err))


def test_addresses_of_every_kind() -> None:
    found = answer(
        ipadm.addresses(),
        "lo0/v4:static:ok:127.0.0.1/8\nvnic0/v4:from-gz:ok:10.0.0.2/24\nvnic0/dhcp:dhcp:ok:?\n"
        "vnic0/v6:addrconf:ok:fe80\\:\\:8\\:20ff\\:feab\\:cd01%vnic0/10\nvnic0/v6:addrconf:ok:2001\\:db8\\:\\:7/64\n"
        "vnic1/a:static:duplicate:10.0.0.9/24\nvnic1/?:static:ok:10.0.0.3/24\nppp0/a:static:ok:10.1.0.1->10.1.0.2\n",
    )
    assert [(each.name, str(each.address), each.kind, each.state) for each in found[1:]] == [
        ("vnic0/v4", "10.0.0.2/24", "from-gz", "ok"),
        ("vnic0/v6", "fe80::8:20ff:feab:cd01/10", "addrconf", "ok"),
        ("vnic0/v6", "2001:db8::7/64", "addrconf", "ok"),
        ("vnic1/a", "10.0.0.9/24", "static", "duplicate"),
        ("vnic1/?", "10.0.0.3/24", "static", "ok"),
    ]
    assert found[1].interface == "vnic0" and found.waiting == {"vnic0/dhcp": "dhcp"}
    assert answer(ipadm.addresses("web1")) == (), "no address at all is an answer (4.3)"


def test_interfaces() -> None:
    found = answer(ipadm.interfaces("web1"), "lo0:ok:---\nvnic0:down:-46\n")
    assert found["vnic0"] == ipadm.Interface("vnic0", "down", persistent=True) and not found["lo0"].persistent


def test_forwarding_of_all_interfaces_at_once() -> None:
    assert answer(ipadm.forwarding(), "net0:ipv4:on\nnet0:ipv6:off\n") == {("net0", 4): True, ("net0", 6): False}


def test_a_failure_is_no_answer_although_stdout_has_its_newline() -> None:
    with pytest.raises(CannotObserve, match="zone web1 is not up"):
        answer(ipadm.addresses("web1"), "\n", "ipadm: Could not get address: Could not communicate with ipmgmtd", 1)
    with pytest.raises(CannotObserve, match="exited 1"):
        answer(ipadm.interfaces(), "\n", "ipadm: Could not get interface(s): Insufficient memory", 1)


def test_arguments_are_as_the_manual_has_them() -> None:
    def argv(change: Change) -> str:
        return " ".join(change.argv)

    assert argv(ipadm.create_addr(GLOBAL, "vnic0", "zh", V4, why="")) == (
        "ipadm create-addr -T static -a 10.0.0.2/24 vnic0/zh"
    )
    assert argv(ipadm.create_addr("web1", "vnic0", "zh6", V6, temporary=True, why="")) == (
        "zlogin -n web1 ipadm create-addr -t -T static -a fd00::2/64 vnic0/zh6"
    )
    assert argv(ipadm.set_forwarding("web1", "vnic0", 4, True, why="")) == (
        "zlogin -n web1 ipadm set-ifprop -t -p forwarding=on -m ipv4 vnic0"
    )
    with pytest.raises(ValueError, match="letters and digits only"):
        ipadm.create_addr(GLOBAL, "vnic0", "web_1", V4, why="")
    with pytest.raises(ValueError, match="IP interface"):
        ipadm.delete_if(GLOBAL, "-x0", why="")


AGAIN, BUSY, NEVER, DONE = (True, False, False), (True, True, False), (False, False, False), (False, False, True)


@pytest.mark.parametrize(
    ("change", "err", "expected"),
    [
        (ipadm.create_if("z", "v0", why=""), "ipadm: Could not create v0 : Interface already exists", DONE),
        (ipadm.create_if("z", "v0", why=""), "ipadm: Could not create v0 : Interface already in use", BUSY),
        (ipadm.create_if("z", "v0", why=""), "ipadm: Could not create v0 : Could not open DLPI link", AGAIN),
        (ipadm.delete_if("z", "v0", why=""), "ipadm: Could not delete v0: Interface does not exist", DONE),
        (ipadm.create_addr("z", "v0", "a", V4, why=""),
         "ipadm: Could not create address: Address object already exists", AGAIN),
        (ipadm.create_addr("z", "v0", "a", V4, why=""),
         "ipadm: Could not create address: Persistent operation on temporary object", NEVER),
        (ipadm.create_addr("z", "v0", "a", V4, why=""),
         "ipadm: Could not create address: Could not communicate with ipmgmtd", BUSY),
        (ipadm.create_addr(GLOBAL, "v0", "a", V4, why=""),
         "ipadm: Could not create address: Could not communicate with ipmgmtd", BUSY),
        (ipadm.create_addr("z", "v0", "a", V4, why=""),
         "zlogin: login allowed only to running zones (z is 'installed').", BUSY),
        (ipadm.addrconf("z", "v0", "a", why=""),
         "ipadm: Could not create address: IPv6 autoconf daemon in.ndpd not running", BUSY),
        (ipadm.delete_addr("z", "v0", "a", why=""), "ipadm: could not delete address: Object not found", DONE),
        (ipadm.delete_addr("z", "v0", "a", why=""),
         "ipadm: could not delete address: Operation not permitted on from-gz interface", NEVER),
        (ipadm.set_forwarding("z", "v0", 4, True, why=""),
         "ipadm: no such object 'v0': Interface does not exist", AGAIN),
        (ipadm.set_forwarding("z", "v0", 4, True, why=""),
         "ipadm: set-ifprop: forwarding: Insufficient user authorizations", NEVER),
    ],
)  # fmt: skip
def test_what_a_failure_means(change: Change, err: str, expected: tuple[bool, bool, bool]) -> None:
    said = change.judge(1, err)
    assert (said.again, said.busy, said.done) == expected


@pytest.mark.parametrize("where", [GLOBAL, "web1"])
def test_the_lab_understands_our_words(world: World, admin: Admin, where: str) -> None:
    admin.do("dladm", "create-etherstub", "stub0")
    for name in ("v0", "v1"):
        admin.do("dladm", "create-vnic", "-l", "stub0", name)
    admin.zone("web1", *(["set physical=v0", "set physical=v1"] if where == "web1" else []))
    admin.do("zoneadm", "-z", "web1", "boot")

    def ask(query: Query[Any]) -> Any:
        done = run_text(world, list(query.argv))
        return query.parse(Reply(done.status, done.out, done.err))

    def change(step: Change) -> bool:
        done = run_text(world, list(step.argv))
        return done.status == 0 or step.judge(done.status, done.err).done

    assert change(ipadm.create_if(where, "v0", why="")) and change(ipadm.create_if(where, "v0", why=""))
    assert change(ipadm.create_addr(where, "v0", "zh", V4, why=""))
    assert not change(ipadm.create_addr(where, "v0", "zh", V4, why=""))
    assert change(ipadm.addrconf(where, "v1", "ll", why=""))
    assert change(ipadm.create_addr(where, "v1", "zh6", V6, why=""))
    assert {(each.name, each.address) for each in ask(ipadm.addresses(where))} >= {("v0/zh", V4), ("v1/zh6", V6)}
    assert ask(ipadm.interfaces(where))["v0"] == ipadm.Interface("v0", "ok", persistent=True)
    assert change(ipadm.set_forwarding(where, "v0", 4, True, why=""))
    assert {key for key, on in ask(ipadm.forwarding(where)).items() if on} == {("v0", 4)}
    assert change(ipadm.delete_addr(where, "v0", "zh", why="")) and change(ipadm.delete_addr(where, "v0", "zh", why=""))
    assert change(ipadm.delete_if(where, "v0", why="")) and change(ipadm.delete_if(where, "v0", why=""))
    assert set(ask(ipadm.interfaces(where))) == {"lo0", "v1"}
