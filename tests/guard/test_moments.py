"""The guard's answers about a host at one moment: between two looks, half read, half gone, going down."""

from __future__ import annotations

import asyncio

import pytest
from fixtures import Admin
from lab.faults import Fault
from lab.world import Dialect
from paper_gateway import member, wish
from paper_guard import FREE, Guarded, asked, silence

from zonehookd.bus.messages import Request
from zonehookd.engine.survey import Survey
from zonehookd.errors import ZonehookError
from zonehookd.guard.guard import Guard

NEVER_S = 3600.0


def doubts(guarded: Guarded) -> None:
    """From now on nobody is believed to be gone."""
    site = guarded.ours.survey._last
    guarded.ours.survey = Survey(guarded.ours.config.paths.zones, NEVER_S)
    if site is not None:
        guarded.ours.survey.keep(site)


# -- between two looks


def test_nobody_but_the_gateway_is_on_its_networks(guarded: Guarded, admin: Admin) -> None:
    assert len([name for name in admin.links() if name.startswith("edge_")]) == 3, "its links are there"
    assert asked(guarded) == asked(guarded, "delete") == asked(guarded, "halt") == FREE


def test_a_nic_that_was_taken_away_does_not_block_while_its_link_is_still_there(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_0; remove attr name=zh.net0")
    assert "web1_0" in admin.links() and guarded.ours.store.one("vnic", "web1_0") is not None
    assert asked(guarded) == FREE, "our books are old"
    admin.world.faults.add(Fault("busy", "dladm delete-vnic web1_0", times=100))
    guarded.look()
    assert asked(guarded) == FREE, "and may stay so, because somebody holds the link"


def test_a_nic_that_was_taken_away_counts_while_the_zone_still_has_it(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_0; remove attr name=zh.net0")
    assert asked(guarded) == (False, "dependents", ["web/web1"]) == asked(guarded, "halt")
    hints = [guarded.check("edge", operation).hint for operation in ("uninstall", "halt")]
    assert [hint.partition("; or zonehookctl guard permit edge")[0] for hint in hints] == [
        "move or delete them first",
        "halt them first",
    ]
    admin.do("zoneadm", "-z", "web1", "halt")
    assert asked(guarded) == FREE


@pytest.mark.parametrize("seen", [True, False])
def test_a_renamed_zone_depends_by_its_new_name_at_once(guarded: Guarded, admin: Admin, seen: bool) -> None:
    doubts(guarded)
    member(admin, "web1", "web 10.99.0.7", state="configured")
    admin.by_address("db1", "db1_0", "10.98.0.7/24", state="configured")
    guarded.converge()
    admin.do("zonecfg", "-z", "web1", "set zonename=web2")
    admin.do("zonecfg", "-z", "db1", "set zonename=db2")
    if seen:
        guarded.look()
    assert asked(guarded) == (False, "dependents", ["db/db2", "web/web2"])
    admin.do("dladm", "delete-vnic", "web1_0")
    assert asked(guarded) == (False, "dependents", ["db/db2", "web/web2"])


def test_a_deleted_zone_is_no_ghost_while_nobody_believes_it(guarded: Guarded, admin: Admin) -> None:
    doubts(guarded)
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "web1", "delete", "-F")
    assert asked(guarded) == FREE
    guarded.look()
    assert "web1_0" in admin.links() and asked(guarded) == FREE


def test_an_inner_gateway_comes_and_goes(guarded: Guarded, admin: Admin) -> None:
    member(admin, "db1", "deep")
    guarded.converge()
    assert asked(guarded) == FREE, "no way leads from there to here"
    assert asked(guarded, zone="inner") == (False, "dependents", ["deep/db1"]), "though its zone is not there"
    member(admin, "inner", state="configured")
    assert asked(guarded) == (False, "dependents", ["deep/db1", "web/inner"])
    admin.do("zonecfg", "-z", "inner", "delete", "-F")
    assert asked(guarded) == FREE


def test_a_link_that_somebody_made_and_lent(guarded: Guarded, admin: Admin) -> None:
    admin.zone("odd")
    admin.do("zoneadm", "-z", "odd", "boot")
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    assert asked(guarded) == FREE, "the global zone has it"
    admin.do("dladm", "set-linkprop", "-t", "-p", "zone=odd", "own0")
    assert asked(guarded, "halt") == (False, "dependents", ["web/odd"])
    walks = [argv for argv in guarded.ours.commands.looks if argv[:2] == ("dladm", "show-linkprop")]
    assert bool(walks) is (admin.world.dialect is Dialect.VANILLA), "on OmniOS show-vnic says it"


def test_a_link_that_a_halted_zone_names_is_lent_to_another(guarded: Guarded, admin: Admin) -> None:
    admin.zone("odd", "set physical=own0", extra=wish(0, "no").replace("zh.net0", "zh.depends"))
    admin.zone("even")
    admin.do("zoneadm", "-z", "even", "boot")
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    assert asked(guarded) == asked(guarded, "halt") == FREE, "that one does not depend"
    admin.do("dladm", "set-linkprop", "-t", "-p", "zone=even", "own0")
    assert asked(guarded) == asked(guarded, "halt") == (False, "dependents", ["web/even"])
    admin.do("zonecfg", "-z", "odd", "remove attr name=zh.depends")
    assert asked(guarded)[0] is False
    assert asked(guarded, "halt") == (False, "dependents", ["web/even"]), "who is halted loses nothing by a halt"
    admin.do("dladm", "reset-linkprop", "-t", "-p", "zone", "own0")
    assert asked(guarded, "halt") == FREE


def test_that_nobody_is_there_costs_a_few_commands_more_at_most(guarded: Guarded, admin: Admin) -> None:
    for number in range(20):
        admin.zone(f"odd{number}", f"set physical=own{number}", extra=wish(0, "no").replace("zh.net0", "zh.depends"))
        admin.do("dladm", "create-vnic", "-l", "web0", f"own{number}")
    before = len(guarded.ours.commands.looks)
    assert asked(guarded) == FREE
    more = guarded.ours.commands.looks[before + 2 :]
    assert [argv[:2] for argv in more] == [("dladm", "show-linkprop")] * (admin.world.dialect is Dialect.VANILLA)


def test_an_answer_costs_two_commands_for_any_number_of_zones(guarded: Guarded, admin: Admin) -> None:
    for number in range(20):
        member(admin, f"web{number}", "web", state="configured")
    guarded.converge()
    before = len(guarded.ours.commands.looks)
    assert len(asked(guarded)[2]) == 20
    assert [argv[:2] for argv in guarded.ours.commands.looks[before:]] == [("zoneadm", "list"), ("dladm", "show-vnic")]
    changes = len(guarded.ours.commands.changes)
    assert asked(guarded, zone="web1") == (True, "not-guarded", [])
    assert guarded.ours.commands.looks[before + 2 :] == [], "whether it is a gateway renamed, the index says"
    assert len(guarded.ours.commands.changes) == changes


# -- what cannot be seen


@pytest.mark.parametrize("text", ["<zone", None])
def test_a_zone_that_cannot_be_read(guarded: Guarded, admin: Admin, text: str | None) -> None:
    member(admin, "web1", "web", state="configured")
    path = admin.world.path("/etc/zones/web1.xml")
    whole = path.read_text()
    path.unlink() if text is None else path.write_text(text)
    assert asked(guarded) == (False, "cannot-look", [])
    assert "whether zone web1 depends on it is not known: cannot read" in guarded.check("edge").text
    assert asked(guarded, "halt") == FREE, "a halt is not held up by what is not seen"
    guarded.guard.grant("edge", 60.0, "it is broken", [])
    assert asked(guarded) == (True, "permitted", [])
    guarded.guard.grant("edge", -1.0, "it is broken", [])
    member(admin, "web2", "web", state="configured")
    assert asked(guarded) == (False, "dependents", ["web/web2"]), "who is known is said"
    path.write_text(whole.replace(">", "><!-- read -->", 1))
    guarded.converge()
    path.write_text("<zone")
    guarded.look()
    assert asked(guarded)[2] == ["web/web1", "web/web2"], "it had a link there when it was last read"


def test_the_gateways_own_file_says_nothing_of_others(guarded: Guarded, admin: Admin) -> None:
    admin.world.path("/etc/zones/edge.xml").write_text("<zone")
    assert asked(guarded) == FREE
    assert asked(guarded, zone="inner") == (False, "cannot-look", [])


@pytest.mark.parametrize("command", [("zoneadm", "list"), ("dladm", "show-vnic")])
def test_a_command_that_does_not_answer(guarded: Guarded, command: tuple[str, ...]) -> None:
    before = guarded.ours.commands
    silence(guarded.ours, *command)
    for operation, allowed in (("uninstall", False), ("delete", False), ("halt", True)):
        assert asked(guarded, operation) == (allowed, "cannot-look", [])
    assert "was killed after 30 s" in guarded.check("edge").text
    assert asked(guarded, zone="web9") == (True, "not-guarded", []), "who is nobody's gateway is not held up by that"
    reply = asyncio.run(
        guarded.answers.permit(Request(verb="guard-permit", names=["edge"], for_s=60.0, reason="broken"))
    )
    assert "as last seen" in reply.permits[0].text, "leave can be given all the same"
    assert asked(guarded) == asked(guarded, "delete") == (True, "permitted", [])
    guarded.guard.grant("edge", -1.0, "broken", [])
    guarded.ours.commands = before
    assert asked(guarded) == FREE, "it answers again"


def test_half_an_index_is_not_believed(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    index = admin.world.path("/etc/zones/index")
    text = index.read_text()
    index.write_text(text.replace("global", "globa"))
    assert asked(guarded) == (False, "cannot-look", [])
    index.write_text(text)
    assert asked(guarded) == (False, "dependents", ["web/web1"])


def test_a_host_that_goes_down_is_not_held_up(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    assert asked(guarded, "halt") == (False, "dependents", ["web/web1"])
    before = guarded.ours.commands
    silence(guarded.ours, "svcs")
    assert asked(guarded, "halt") == (True, "not-guarded", []), "it cannot say whether it goes down"
    guarded.ours.commands = before
    admin.do("svcadm", "disable", "-t", "svc:/system/zones:default")
    assert asked(guarded, "halt") == (True, "not-guarded", [])
    assert asked(guarded) == (False, "dependents", ["web/web1"]), "nothing is uninstalled by a shutdown"
    admin.do("svcadm", "enable", "-t", "svc:/system/zones:default")
    admin.sh("zoneadm", "-z", "web1", "boot")
    assert asked(guarded, "halt") == (False, "dependents", ["web/web1"])
    guarded.policy = guarded.policy.model_copy(update={"halt": "allow"})
    before = len(guarded.ours.commands.looks)
    assert asked(guarded, "halt") == (True, "not-guarded", [])
    assert len(guarded.ours.commands.looks) == before, "and where halts are allowed nothing is asked"


def test_there_is_no_other_operation(guarded: Guarded) -> None:
    with pytest.raises(ZonehookError, match="no operation 'reboot'"):
        guarded.check("edge", "reboot")
    assert [verdict.code for verdict in guarded.heard] == []
    guarded.check("edge", "halt")
    assert [(verdict.zone, verdict.operation) for verdict in guarded.heard] == [("edge", "halt")]


# -- before and between


def test_until_the_declaration_is_known_the_last_record_answers(
    guarded: Guarded, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    begins = Guard(guarded.tools)

    async def story() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("zonehookd.guard.guard._ANSWER_MAX_S", 0.5)
            verdict = await begins.check("edge", "uninstall")
        assert (verdict.allowed, verdict.code) == (False, "no-daemon") and "left no record" in verdict.text
        asking = asyncio.create_task(begins.check("edge", "uninstall"))
        await asyncio.sleep(0.05)
        assert not asking.done(), "it waits as long as it may"
        begins.begin()
        assert (await asking).code == "dependents"

    asyncio.run(story())


def test_depends_is_read_anew_each_time(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    attr = wish(0, "no").replace("zh.net0", "zh.depends")
    admin.do("zonecfg", "-z", "web1", attr)
    assert asked(guarded) == FREE
    admin.do("zonecfg", "-z", "web1", 'select attr name=zh.depends; set value="nope"; end')
    assert asked(guarded) == (False, "dependents", ["web/web1"])
