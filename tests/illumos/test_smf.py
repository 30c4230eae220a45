"""What svcs and svcprop print, and what SMF's failures mean; texts from the services sheet, section 3."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures import Admin
from hypothesis import given
from hypothesis import strategies as st
from lab.dispatch import run_text
from lab.world import World
from paper import until

from zonehookd.errors import CannotObserve
from zonehookd.illumos import smf
from zonehookd.illumos.smf import Property, Service
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply

IPF, DHCP = "svc:/network/ipfilter:default", "svc:/network/service/dhcp:ipv4"
UNAVAILABLE = "svcs: Could not bind to repository server: repository server unavailable.  Exiting.\n"
CHARACTERS = st.text(st.characters(codec="ascii", exclude_characters="\0\r\x0b\x0c\x1c\x1d\x1e"), max_size=8)


def test_services_in_one_command_and_the_missing_is_an_answer() -> None:
    query = smf.services("web1", [IPF, DHCP])
    assert query.argv == ("svcs", "-H", "-o", "state,nstate,ctid,fmri", "-z", "web1", IPF, DHCP)
    lines = f"online         -              -        {IPF}\nmaintenance    -              117      {DHCP}\n"
    assert query.parse(Reply(0, lines, "")) == {
        IPF: Service(IPF, "online"), DHCP: Service(DHCP, "maintenance", contract=117),
    }  # fmt: skip
    some = query.parse(
        Reply(1, f"offline        online         -   {IPF}\n", f"svcs: Pattern '{DHCP}' doesn't match any instances\n")
    )
    assert some == {IPF: Service(IPF, "offline", "online")}


def test_no_repository_is_no_answer() -> None:
    with pytest.raises(CannotObserve, match="zone web1 is not up"):
        smf.services("web1", [IPF]).parse(Reply(1, "", UNAVAILABLE))
    with pytest.raises(CannotObserve, match="printed"):
        smf.services(GLOBAL, [IPF]).parse(Reply(0, f"online {IPF}\n", ""))
    with pytest.raises(CannotObserve, match="exited 1"):
        smf.services(GLOBAL, [IPF]).parse(Reply(1, "", ""))
    for bad in ("ipfilter", "svc:/network/ipfilter", "-a", "svc:/network/*:default"):
        with pytest.raises(ValueError, match="not a full FMRI"):
            smf.services(GLOBAL, [bad])
    with pytest.raises(ValueError, match="lists every service"):
        smf.services(GLOBAL, [])


def test_properties() -> None:
    query = smf.properties("web1", DHCP, "config", "general")
    assert query.argv == ("svcprop", "-c", "-t", "-z", "web1", "-p", "config", "-p", "general", DHCP)
    found = query.parse(
        Reply(
            0,
            "config/listen_ifnames astring int0 int1\nconfig/lease_file astring /var/db/a\\ b\\;c\n"
            'config/debug boolean false\nconfig/empty astring ""\nconfig/none astring\n'
            'general/enabled boolean true\ngeneral/text astring two\\\nlines \\"\\" tab\\\there\n',
            "",
        )
    )
    assert found["config/listen_ifnames"] == Property("astring", ("int0", "int1"))
    assert found["config/lease_file"].values == ("/var/db/a b;c",)
    assert found["config/empty"].values == ("",) and found["config/none"].values == ()
    assert found["general/text"].values == ("two\nlines", '""', "tab\there")


@given(st.lists(CHARACTERS, max_size=3))
def test_every_value_comes_back(values: list[str]) -> None:
    special = ";&()|^<>\n \t\\\"'`"
    printed = ["".join(f"\\{c}" if c in special else c for c in value) or '""' for value in values]
    text = f"a/before boolean true\na/b astring {' '.join(printed)}\na/c boolean true\n"
    found = smf.properties(GLOBAL, IPF, "a").parse(Reply(0, text, ""))
    assert found["a/b"].values == tuple(values) and len(found) == 3


def test_a_missing_group_is_an_answer_if_all_the_others_are_told() -> None:
    query = smf.properties(GLOBAL, IPF, "general_ovr", "general/enabled")
    gone = "svcprop: Couldn't find property group `general_ovr' for instance `svc:/network/ipfilter:default'.\n"
    assert query.parse(Reply(1, "general/enabled boolean true\n", gone)) == {
        "general/enabled": Property("boolean", ("true",))
    }
    with pytest.raises(CannotObserve, match="did not answer for all"):
        query.parse(Reply(1, "", gone))
    assert smf.properties(GLOBAL, IPF, "general_ovr").parse(Reply(1, "", gone)) == {}
    with pytest.raises(CannotObserve, match="exited 1"):
        query.parse(Reply(1, "", "svcprop: Pattern `x' doesn't match any entities\n"))


def test_arguments_are_as_the_manual_has_them() -> None:
    def argv(change: Change) -> tuple[str, ...]:
        return change.argv

    assert argv(smf.enable("web1", IPF, temporary=True, why="")) == ("svcadm", "-z", "web1", "enable", "-t", IPF)
    assert argv(smf.refresh(GLOBAL, IPF, why="")) == ("svcadm", "refresh", IPF)
    assert argv(smf.hangup("web1", 117, why="")) == ("zlogin", "-n", "web1", "pkill -HUP -c 117")
    assert argv(smf.set_property(GLOBAL, DHCP, "config/listen_ifnames", "astring", ["int0", "int1"], why="")) == (
        "svccfg", "-s", DHCP, "setprop", "config/listen_ifnames", "=", "astring:", "(int0 int1)",
    )  # fmt: skip
    assert argv(smf.set_property(GLOBAL, IPF, "a/b", "astring", ['a "b" \\'], why=""))[-1] == '"a \\"b\\" \\\\"'
    assert argv(smf.set_property(GLOBAL, IPF, "a/b", "astring", [], why=""))[-1] == "()"
    assert argv(smf.set_property("web1", IPF, "a/b", "boolean", ["true"], why="")) == (
        "zlogin", "-n", "web1", f"svccfg -s {IPF} setprop a/b = boolean: true",
    )  # fmt: skip
    with pytest.raises(ValueError, match="several lines"):
        smf.set_property(GLOBAL, IPF, "a/b", "astring", ["a\nb"], why="")


AGAIN, BUSY, NEVER, DONE = (True, False, False), (True, True, False), (False, False, False), (False, False, True)


@pytest.mark.parametrize(
    ("change", "status", "err", "expected"),
    [
        (smf.clear("z", IPF, why=""), 1, f'svcadm: Instance "{IPF}" is not in a maintenance or degraded state.', DONE),
        (smf.restart("z", IPF, why=""), 1, f"svcadm: {IPF}: Permission denied.", NEVER),
        (smf.enable("z", IPF, why=""), 1,
         f"svcadm: {IPF}: Couldn't modify \"general\" property group (permission denied).", NEVER),
        (smf.enable("z", IPF, why=""), 1, f"svcadm: Pattern '{IPF}' doesn't match any instances", NEVER),
        (smf.disable(GLOBAL, IPF, why=""), 1,
         "svcadm: Couldn't bind to configuration repository: repository server unavailable.", BUSY),
        (smf.enable("z", IPF, why=""), 1,
         "svcadm: Couldn't bind to configuration repository: repository server unavailable.", BUSY),
        (smf.enable("z", IPF, why=""), 2, "Usage: svcadm", NEVER),
        (smf.hangup("z", 9, why=""), 1, "", AGAIN),
        (smf.set_property("z", IPF, "a/b", "astring", ["x"], why=""), 1, "zlogin: zone 'z' unknown", BUSY),
        (smf.set_property("z", IPF, "a/b", "astring", ["x"], why=""), 1,
         'svccfg: No such property group "a".', AGAIN),
    ],
)  # fmt: skip
def test_what_a_failure_means(change: Change, status: int, err: str, expected: tuple[bool, bool, bool]) -> None:
    said = change.judge(status, err)
    assert (said.again, said.busy, said.done) == expected


@pytest.mark.parametrize("where", [GLOBAL, "web1"])
def test_the_lab_understands_our_words(world: World, admin: Admin, where: str) -> None:
    admin.zone("web1")
    with pytest.raises(CannotObserve, match="zone web1 is not up"):
        ask(world, smf.services("web1", [DHCP]))
    admin.do("zoneadm", "-z", "web1", "boot")
    gone = "svc:/network/nosuch:default"
    until(lambda: ask(world, smf.services(where, [DHCP, gone])) == {DHCP: Service(DHCP, "disabled")})
    assert DHCP in ask(world, smf.services(where, [DHCP]))
    assert ask(world, smf.properties(where, DHCP, "general/enabled", "nosuch")) == {
        "general/enabled": Property("boolean", ("false",))
    }
    for values in (["int0"], ["int0", "int1"], ['a "b" \\ $c'], [""]):
        assert change(world, smf.set_property(where, DHCP, "config/listen_ifnames", "astring", values, why=""))
        found = ask(world, smf.properties(where, DHCP, "config"))
        assert found["config/listen_ifnames"] == Property("astring", tuple(values))
    for step in (smf.refresh, smf.restart, smf.clear, smf.disable, smf.enable):
        assert change(world, step(where, DHCP, why=""))
    until(lambda: ask(world, smf.services(where, [DHCP]))[DHCP].state == "online")
    assert not change(world, smf.enable(where, gone, why=""))


def ask(world: World, query: Query[Any]) -> Any:
    done = run_text(world, list(query.argv))
    return query.parse(Reply(done.status, done.out, done.err))


def change(world: World, step: Change) -> bool:
    done = run_text(world, list(step.argv))
    return done.status == 0 or step.judge(done.status, done.err).done
