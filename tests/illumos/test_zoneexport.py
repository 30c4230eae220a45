"""A configuration out of zonecfg and in again: what survives, is mended, is named as lost (zones sheet 4.7)."""

from __future__ import annotations

import pytest
from fixtures import Admin
from lab.dispatch import run_text
from lab.world import Dialect, World

from zonehookd.errors import CannotObserve
from zonehookd.illumos import zoneadm, zonecfg, zoneexport
from zonehookd.model.command import Reply

EVERYTHING = (
    "set autoboot=true; set limitpriv=default,sys_time; set hostid=1f; "
    'set bootargs="-m verbose -m milestone=none"; '
    "add fs; set dir=/data; set special=/tank/data; set type=lofs; add options ro; add options nodevices; end; "
    "add net; set physical=edge_b0; set allowed-address=10.0.0.5/24; set defrouter=10.0.0.1; end; "
    "add net; set physical=edge_a0; end; "
    "add rctl; set name=zone.max-lwps; add value (priv=privileged,limit=4000,action=deny); end; "
    'add attr; set name=zh.net1; set type=string; set value="dmz 10.1.0.5; two (words)"; end; '
    "add dataset; set name=tank/data; end; add device; set match=/dev/zvol/*; end; "
    "add capped-memory; set physical=1536m; end; "
)
OF_OMNIOS = (
    "add net; set physical=edge_c0; set global-nic=net0; set mac-addr=2:8:20:1:2:3; set vlan-id=7; "
    'add property (name=ips,value="10.9.0.2/24,dhcp"); end; '
)


def xml(world: World) -> str:
    return world.path("/etc/zones/edge.xml").read_text()


def kept(world: World) -> tuple[zoneexport.Recreatable, str]:
    query = zonecfg.export("edge")
    done = run_text(world, list(query.argv))
    return zoneexport.recreatable(query.parse(Reply(done.status, done.out, done.err)), xml(world)), xml(world)


def made_again(world: World, commands: str) -> tuple[int, str]:
    change = zonecfg.create_from("edge", commands, why="")
    done = run_text(world, list(change.argv), change.stdin)
    return done.status, done.err


def configure(world: World, extra: str) -> None:
    Admin(world).zone("edge", extra=extra, state="configured")


def test_everything_that_zonecfg_takes_survives(world: World, admin: Admin) -> None:
    configure(world, EVERYTHING + (OF_OMNIOS if world.dialect is Dialect.OMNIOS else ""))
    found, before = kept(world)
    assert found.lost == ()
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    assert made_again(world, found.commands) == (0, "")
    assert zoneexport.missing(before, xml(world)) == () == zoneexport.missing(xml(world), before)
    assert "edge_b0" in xml(world).partition("edge_a0")[0], "the order of the NICs is what zh.netN counts by"


def test_the_bare_export_would_not(world: World, admin: Admin) -> None:
    configure(world, EVERYTHING)
    _, before = kept(world)
    bare = admin.do("zonecfg", "-z", "edge", "export")
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    assert made_again(world, bare)[0] == 1
    lacks = [str(part) for part in zoneexport.missing(before, xml(world))]
    assert "bootargs=-m verbose -m milestone=none" in lacks
    assert "network physical=edge_a0" in lacks, "all that comes after the error"


def test_a_brand_that_export_leaves_out_is_said(world: World, admin: Admin) -> None:
    configure(world, "")
    export = "".join(
        line for line in admin.do("zonecfg", "-z", "edge", "export").splitlines(True) if "brand" not in line
    )
    found = zoneexport.recreatable(export, xml(world).replace('brand="sparse"', 'brand="native"'))
    assert found.commands.splitlines()[0] == "create -b" and "set brand=native\n" in found.commands
    assert found.lost == ()


@pytest.mark.parametrize(
    ("element", "lost"),
    [
        ('<admin user="joe" auths="login"/>', "admin (admin)"),
        ('<pset ncpu_min="1" ncpu_max="2"/>', "pset (dedicated-cpu)"),
        ('<patch id="1"><obsoletes id="2"/></patch>', "patch id=1 (id=2)"),
        ('<attr name="say" type="string" value="a &quot;b&quot; c"/>', 'attr name=say type=string value=a "b" c'),
        ('<attr name="say" type="string" value="a&#10;b"/>', "attr name=say type=string value=a\nb"),
    ],
)
def test_what_the_commands_cannot_say_is_named(vanilla: World, element: str, lost: str) -> None:
    configure(vanilla, "add net; set physical=edge_a0; end")
    text = xml(vanilla).replace("</zone>", f"  {element}\n</zone>")
    vanilla.path("/etc/zones/edge.xml").write_text(text)
    found, before = kept(vanilla)
    assert found.lost == (lost,)
    Admin(vanilla).do("zonecfg", "-z", "edge", "delete", "-F")
    assert made_again(vanilla, found.commands) == (0, ""), "and does not spoil what can be said"
    assert len(zoneexport.missing(before, xml(vanilla))) == 1


def test_a_property_of_the_zone_itself_that_is_not_exported_is_set(vanilla: World) -> None:
    configure(vanilla, "")
    export = Admin(vanilla).do("zonecfg", "-z", "edge", "export")
    text = xml(vanilla).replace("<zone ", '<zone fs-allowed="ufs,pcfs" pool="a pool" unheard-of="1" ')
    found = zoneexport.recreatable(export, text)
    assert {"set fs-allowed=ufs,pcfs", 'set pool="a pool"'} <= set(found.commands.splitlines())
    assert found.lost == ("unheard-of=1",)


def test_properties_with_blanks_and_quotes_in_their_parentheses_are_one_part() -> None:
    block = 'add net\nset physical="a0"\nadd property (name=ips,value="10.0.0.2/24,dhcp")\nend\n'
    text = '<zone name="z"><network physical="a0"><net-attr name="ips" value="10.0.0.2/24,dhcp"/></network></zone>'
    assert zoneexport.recreatable(f"create -b\n{block}", text).lost == ()
    broken = block.replace("dhcp", 'd"h')
    found = zoneexport.recreatable(f"create -b\n{broken}", text.replace("dhcp", "d&quot;h"))
    assert found.commands == "create -b\n" and len(found.lost) == 1


def test_a_zone_that_is_there_is_not_made_again(world: World, admin: Admin) -> None:
    configure(world, "set autoboot=true")
    found, before = kept(world)
    status, err = made_again(world, found.commands.replace("autoboot=true", "autoboot=false"))
    judged = zonecfg.create_from("edge", "", why="").judge(status, err)
    assert (status, judged.again, judged.busy) == (1, True, True) and xml(world) == before
    admin.do("zoneadm", "-z", "edge", "install")
    status, err = made_again(world, "create -b\n")
    assert (status, zonecfg.create_from("edge", "", why="").silent) == (0, True)
    assert "create not allowed" in err, "which is a failure, for there is a word on stderr"


def test_no_export_is_no_answer(world: World, admin: Admin) -> None:
    query = zonecfg.export("edge")
    done = run_text(world, list(query.argv))
    with pytest.raises(CannotObserve, match="No such zone configured"):
        query.parse(Reply(done.status, done.out, done.err))
    for text in ("", "<zone", "<net/>", "<!DOCTYPE zone [<!ENTITY a 'b'>]><zone/>"):
        with pytest.raises(ValueError, match=r"well-formed|expected|entities"):
            zoneexport.missing(text, text)


def test_attached_by_force(world: World, admin: Admin) -> None:
    admin.zone("edge", state="configured")
    change = zoneadm.attach_force("edge", why="")
    done = admin.sh(*change.argv)
    assert done.status == 1 and "/zones/edge" in done.err, "its files are not there"
    assert not change.judge(done.status, done.err).done
    world.path("/zones/edge").mkdir(mode=0o700, parents=True)
    admin.do(*change.argv)
    assert admin.do("zoneadm", "-z", "edge", "list", "-p").split(":")[2] == "installed"
    done = admin.sh(*change.argv)
    assert done.status == 1 and change.judge(done.status, done.err).done
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    done = admin.sh(*change.argv)
    assert done.status == 1 and not change.judge(done.status, done.err).done
