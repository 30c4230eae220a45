"""Where commands come from, exit codes, create, delete, rename, commit [zones 4.1, 4.3, 4.4]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.faults import Fault
from lab.tests.zone_host import Host
from lab.world import Dialect

REFUSED = "Input not from terminal and -F not specified:\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_ways_to_call_it_wrongly(host: Host) -> None:
    assert host.run("zonecfg").status == 2
    assert host.run("zonecfg", "-z").status == 2
    assert host.run("zonecfg", "-q").status == 2
    done = host.run("zonecfg", "-z", "Bad.Name!", "info")
    assert done.status == 2
    assert done.err.startswith("Bad.Name!: Bogus zone name\n")
    assert host.run("zonecfg", "-z", "x" * 64, "info").status == 2
    assert host.run("zonecfg", "help").status == 0


def test_only_in_the_global_zone(host: Host) -> None:
    done = host.run("zonecfg", "-z", "web1", "info", zone="web1")
    assert done == Completed(1, "", "zonecfg can only be run from the global zone.\n")


def test_the_global_zone_itself_is_refused_loudly(host: Host) -> None:
    done = host.run("zonecfg", "-z", "global", "info")
    assert done.status != 0
    assert done.err.startswith("zonelab: not emulated: ")


def test_any_command_on_an_unknown_zone(host: Host) -> None:
    done = host.zonecfg("nope", "info")
    assert done == Completed(1, "", "nope: No such zone configured\n")


def test_words_are_joined_by_blanks(host: Host) -> None:
    host.good("zonecfg", "-z", "a", "create", "-b;", "set", "zonepath=/zones/a;", "set", "brand=sparse")
    assert host.good("zonecfg", "-z", "a", "info", "zonepath") == "zonepath: /zones/a\n"


def test_the_command_line_goes_on_after_an_error_and_commits_the_rest(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "set autoboot=maybe; set bootargs=-v")
    assert done == Completed(1, "", "autoboot value must be 'true' or 'false'.\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: -v\n"


def test_standard_input_goes_on_after_an_error_too(host: Host) -> None:
    host.configure("web1")
    done = host.run("zonecfg", "-z", "web1", stdin="set autoboot=maybe\nset bootargs=-v\n")
    assert done == Completed(1, "", "autoboot value must be 'true' or 'false'.\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: -v\n"


def test_a_command_file_stops_at_the_first_error_but_what_was_done_before_is_committed(host: Host) -> None:
    host.configure("web1")
    file = host.root / "script"
    file.write_text("# a comment\nset bootargs=-v\nset autoboot=maybe\nset pool=p\n")
    done = host.run("zonecfg", "-z", "web1", "-f", str(file))
    assert done == Completed(1, "", f"On line 3 of {file}:\nautoboot value must be 'true' or 'false'.\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs; info pool") == "bootargs: -v\npool: \n"


def test_a_dash_as_command_file_is_standard_input(host: Host) -> None:
    host.run("zonecfg", "-z", "web1", "-f", "-", stdin="create -b\nset zonepath=/zones/web1\nset brand=sparse\n")
    assert "web1:configured:/zones/web1:\n" in host.index()


def test_a_command_file_drops_the_resource_in_which_it_failed(host: Host) -> None:
    host.configure("web1")
    script = "set bootargs=-v\nadd attr\nset name=my_key\nset type=string\nset value=x\nend\n"
    done = host.run("zonecfg", "-z", "web1", "-f", "-", stdin=script)
    expected = "Invalid attr name my_key: can only contain alpha-numeric characters, plus '-' and '.'.\n"
    assert done == Completed(1, "", "On line 6 of -:\n" + expected)
    assert host.good("zonecfg", "-z", "web1", "info bootargs; info attr") == "bootargs: -v\n"


def test_an_open_resource_at_the_end_commits_nothing(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "set bootargs=-v; add net; set physical=v0")
    assert done == Completed(1, "", "Resource incomplete.\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: \n"


def test_syntax_errors(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "frobnicate; set bootargs=-v")
    assert done.status == 1
    assert done.err.startswith("syntax error at 'frobnicate'\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: -v\n"
    assert host.zonecfg("web1", "set bootargs=").err.startswith("syntax error at '\\n'\n")
    done = host.run("zonecfg", "-z", "web1", "-f", "-", stdin="\nset =x\n")
    assert done.err.startswith("syntax error on line 2 at '='\n")
    assert host.zonecfg("web1", 'set bootargs="a').err.startswith("syntax error at '\"'\n")


def test_quoting(host: Host) -> None:
    host.configure("web1", "add attr; set name=hook; set type=string; set value=\"a; b=c [d] (e), #f 'g' \\n\"; end")
    shown = host.good("zonecfg", "-z", "web1", "info attr name=hook")
    assert shown == "attr:\n\tname: hook\n\ttype: string\n\tvalue: \"a; b=c [d] (e), #f 'g' \\n\"\n"


def test_a_keyword_is_accepted_as_a_value(host: Host) -> None:
    host.configure("web1", "add attr; set name=net; set type=string; set value=address; end")
    assert host.good("zonecfg", "-z", "web1", "info attr") == "attr:\n\tname: net\n\ttype: string\n\tvalue: address\n"


def test_a_hash_is_a_comment_only_where_a_command_could_begin(host: Host) -> None:
    host.configure("web1", "set bootargs=a#b; # the rest; set bootargs=c")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: a#b\n"


def test_quotes_between_parentheses_are_omnios_only(tmp_path: Path) -> None:
    gate, omnios = Host(tmp_path / "a", Dialect.VANILLA), Host(tmp_path / "b", Dialect.OMNIOS)
    script = 'add rctl; set name=zone.max-lwps; add value (priv="privileged",limit=10,action=deny); end'
    omnios.configure("web1", script)
    gate.configure("web1")
    assert gate.zonecfg("web1", script).err.startswith("syntax error at '\"'\n")


def test_create_comes_from_the_default_template(host: Host) -> None:
    host.good("zonecfg", "-z", "web1", "create; set zonepath=/zones/web1")
    assert host.good("zonecfg", "-z", "web1", "info brand; info ip-type") == "brand: ipkg\nip-type: shared\n"


def test_create_from_another_zone_or_template(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.good("zonecfg", "-z", "a", "create -t OMNIsparse; set zonepath=/zones/a; set bootargs=-v")
    host.good("zonecfg", "-z", "b", "create -t a; set zonepath=/zones/b")
    assert host.good("zonecfg", "-z", "b", "export") == (
        "create -b\nset zonepath=/zones/b\nset brand=sparse\nset autoboot=false\nset bootargs=-v\n"
        "set ip-type=exclusive\n"
    )
    assert host.zonecfg("c", "create -t nope") == Completed(1, "", "nope: No such zone configured\n")


def test_nothing_is_on_disk_before_commit(host: Host) -> None:
    host.zonecfg("web1", "create -b; set zonepath=/zones/web1; set brand=sparse; revert -F; exit")
    assert host.index() == "global:installed:/\n"
    assert not host.file("/etc/zones/web1.xml").exists()


def test_create_on_an_installed_zone_is_refused_without_an_error_and_the_rest_edits_it(host: Host) -> None:
    host.install("web1")
    done = host.zonecfg("web1", "create; set bootargs=-v")
    assert done == Completed(0, "", "Zone web1 already installed; create not allowed.\n")
    assert host.good("zonecfg", "-z", "web1", "info brand; info bootargs") == "brand: sparse\nbootargs: -v\n"


def test_create_over_a_configured_zone(host: Host) -> None:
    host.configure("web1", "set bootargs=-v")
    done = host.zonecfg("web1", "create -b; set zonepath=/zones/web1")
    expected = "Zone exists, input not from terminal and -F not specified:\ncreate command ignored, exiting.\n"
    assert done == Completed(1, "", expected)
    done = host.zonecfg("web1", "create -F -b; set zonepath=/zones/web1; set brand=sparse")
    assert done == Completed(0, "Zone web1 already exists; overwriting.\n", "")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: \n"


def test_create_over_an_incomplete_zone_makes_it_configured_without_a_uuid(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "mark", "incomplete")
    host.zonecfg("web1", "create -F -b; set zonepath=/zones/web1; set brand=sparse")
    assert "web1:configured:/zones/web1:\n" in host.index()


def test_delete_without_a_terminal_needs_force(host: Host) -> None:
    host.configure("web1")
    assert host.zonecfg("web1", "delete") == Completed(1, "", REFUSED + "delete command ignored, exiting.\n")
    assert host.zonecfg("web1", "delete -F") == Completed(0, "", "")
    assert host.index() == "global:installed:/\n"
    assert not host.file("/etc/zones/web1.xml").exists()


def test_delete_of_an_unknown_zone(host: Host) -> None:
    line = "nope: No such zone configured\n"
    assert host.zonecfg("nope", "delete") == Completed(1, "", line)
    assert host.zonecfg("nope", "delete -F") == Completed(1, "", line + line)


def test_delete_at_a_terminal(host: Host) -> None:
    host.configure("web1")
    question = "Are you sure you want to delete zone web1 (y/[n])? "
    assert host.at_terminal("n\n", "zonecfg", "-z", "web1", "delete") == Completed(0, question, "")
    assert "web1" in host.index()
    assert host.at_terminal("y\n", "zonecfg", "-z", "web1", "delete") == Completed(0, question, "")
    assert "web1" not in host.index()
    host.install("db1")
    done = host.at_terminal("y\n", "zonecfg", "-z", "db1", "delete")
    expected = "Zone db1 not in configured state; delete not allowed.  Use -F to force delete.\n"
    assert (done.status, done.err) == (0, expected)


def test_delete_with_force_takes_an_installed_zone_but_no_running_one(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    done = host.zonecfg("web1", "delete -F")
    assert done == Completed(1, "", "web1: Zone state is invalid for the requested operation\n")
    host.good("zoneadm", "-z", "web1", "halt")
    assert host.zonecfg("web1", "delete -F") == Completed(0, "", "")
    assert host.file("/zones/web1/root").is_dir()


def test_zonepath_and_brand_of_an_installed_zone_stay_without_an_error(host: Host) -> None:
    host.install("web1")
    done = host.zonecfg("web1", "set zonepath=/zones/other; set brand=ipkg")
    assert done == Completed(
        0,
        "",
        "Zone web1 already installed; set zonepath not allowed.\nZone web1 already installed; set brand not allowed.\n",
    )


def test_renaming_is_refused_while_running_and_for_a_taken_name(host: Host) -> None:
    host.install("web1")
    host.configure("db1")
    done = host.zonecfg("web1", "set zonename=db1")
    assert done == Completed(1, "", "db1: Zone name already in use\n")
    host.good("zoneadm", "-z", "web1", "boot")
    done = host.zonecfg("web1", "set zonename=www")
    assert done == Completed(1, "", "www: Zone state is invalid for the requested operation\n")


def test_a_failing_verification_saves_nothing(host: Host) -> None:
    done = host.zonecfg("web1", "create -b; set brand=sparse")
    assert done == Completed(
        1,
        "",
        "zonepath cannot be empty.\nZone web1 failed to verify\nweb1: Required property missing\n"
        "Configuration not saved.\n",
    )
    assert "web1" not in host.index()


@pytest.mark.parametrize(
    ("net", "ip_type", "message"),
    [
        ("set physical=net0", "shared", "net: address not specified"),
        (
            "set physical=net0; set address=10.0.0.1; set allowed-address=10.0.0.5",
            "shared",
            "net: allowed-address cannot be specified for a shared IP type",
        ),
        (
            "set physical=net0; set address=10.0.0.1",
            "exclusive",
            "net: address cannot be specified for an exclusive IP type",
        ),
        (
            "set physical=vnic0; set defrouter=10.0.0.1",
            "exclusive",
            "net: defrouter for vnic0 cannot be specified without allowed-address for an exclusive IP type",
        ),
    ],
)
def test_nets_that_do_not_verify(host: Host, net: str, ip_type: str, message: str) -> None:
    host.configure("web1", f"set ip-type={ip_type}")
    done = host.zonecfg("web1", f"add net; {net}; end")
    assert done.status == 1
    lines = done.err.splitlines()
    assert (lines[0], lines[1], lines[-1]) == (message, "Zone web1 failed to verify", "Configuration not saved.")


def test_an_unknown_brand_ends_it_at_once(host: Host) -> None:
    host.configure("web1")
    done = host.zonecfg("web1", "set brand=b; verify; set bootargs=-v")
    assert done == Completed(1, "", 'Zone web1 uses non-existent brand "b".  Unable to continue\n')


def test_every_commit_rewrites_the_index(host: Host) -> None:
    host.configure("web1")
    before = host.file("/etc/zones/index").stat().st_mtime_ns
    host.good("zonecfg", "-z", "web1", "commit")
    assert host.file("/etc/zones/index").stat().st_mtime_ns > before


def test_scopes(host: Host) -> None:
    host.configure("web1")
    assert host.zonecfg("web1", "end").err == "The end command only makes sense in the resource scope.\n"
    done = host.zonecfg("web1", "add net; create; cancel")
    assert done == Completed(1, "", "The create command only makes sense in the global scope.\n")
    done = host.zonecfg("web1", "add net; commit; cancel")
    assert done == Completed(1, "", "resource specification incomplete\n")


def test_templates_can_be_read_but_not_changed(host: Host) -> None:
    assert host.good("zonecfg", "-z", "SUNWdefault", "info brand") == "brand: ipkg\n"
    done = host.zonecfg("SUNWdefault", "set bootargs=-v")
    assert done == Completed(1, "", "SUNWdefault: zones beginning with SUNW are read-only.\n")


def test_without_privilege_only_reading(host: Host) -> None:
    host.configure("web1")
    done = host.at_terminal("", "zonecfg", "-z", "web1", "info brand; add net", privileged=False)
    assert done == Completed(1, "brand: sparse\n", "web1: cannot add in read-only mode.\n")


def test_a_prompt_only_at_a_terminal(host: Host) -> None:
    host.configure("web1")
    done = host.at_terminal("add net\ncancel\nexit\n", "zonecfg", "-z", "web1")
    assert done == Completed(0, "zonecfg:web1> zonecfg:web1:net> zonecfg:web1> ", "")
    assert host.at_terminal("exit\n", "zonecfg", "-z", "new").out == (
        "Use 'create' to begin configuring a new zone.\nzonecfg:new> "
    )


def test_a_scripted_fault_saves_nothing(host: Host) -> None:
    host.configure("web1")
    host.world.faults.add(Fault("fail", "zonecfg -z web1 set *", status="Problem saving file"))
    done = host.zonecfg("web1", "set bootargs=-v")
    assert done == Completed(1, "", "web1: Problem saving file\nConfiguration not saved.\n")
    assert host.good("zonecfg", "-z", "web1", "info bootargs") == "bootargs: \n"
