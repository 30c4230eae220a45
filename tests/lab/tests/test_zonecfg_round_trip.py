"""From `zonecfg export` back to the same zone: the command file, and the state that no command file has [zones 4.7]."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.tests.test_brand_hooks import record, steps
from lab.tests.zone_host import Host
from lab.world import Dialect
from lab.zonefiles import state_of

COMMON = """
create -b
set zonepath=/zones/web1
set brand=sparse
set autoboot=true
set bootargs=-v
set pool=pool_default
set limitpriv=default,sys_time,!proc_info
set scheduling-class=FSS
set ip-type=exclusive
set hostid=80f0c086
set fs-allowed=ufs,pcfs
set max-lwps=4000
set cpu-shares=20
set max-shm-memory=1536M
add fs
set dir=/data
set special="/tank/with blank;and=[more]"
set raw=/dev/rdsk/c0
set type=lofs
add options [ro,nodevices]
add options "uid=7"
end
add fs
set dir=/more
set special=/tank/more
set type=zfs
end
add device
set match=/dev/bpf*
end
add capped-memory
set physical=2560M
end
add rctl
set name=zone.max-processes
add value (priv=privileged,limit=100,action=deny)
add value (priv=privileged,limit=50,action=none)
end
add attr
set name=comment
set type=string
set value="two words; (a) = [b], c # d"
end
add attr
set name=zonehook-flag
set type=boolean
set value=true
end
add attr
set name=vcpus
set type=uint
set value=4
end
add attr
set name=offset
set type=int
set value=-3
end
add dataset
set name=rpool/data
end
"""
GATE_NETS = """
add net
set physical=a_net0
set allowed-address=10.0.0.5/24
set defrouter=10.0.0.1
end
add net
set physical=a_net0
set allowed-address=2001:db8::5/64
end
add net
set physical=web.1net1
end
"""
OMNIOS_NETS = """
add net
set physical=a_net0
set allowed-address=10.0.0.5/24
set defrouter=10.0.0.1
set global-nic=igb0
set mac-addr=2:8:20:11:22:33
set vlan-id=7
add property (name=gateway,value="10.0.0.1")
add property (name=ips,value="10.0.0.5/24,10.0.0.6/24")
end
add net
set physical=web1_1
set global-nic=auto
end
"""
BOTH = [(Dialect.VANILLA, GATE_NETS), (Dialect.OMNIOS, OMNIOS_NETS)]


def _import(host: Host, zone: str, text: str, file: bool) -> Completed:
    if not file:
        return host.run("zonecfg", "-z", zone, "-f", "-", stdin=text)
    host.file("/root").mkdir(exist_ok=True)
    host.file("/root/back.cfg").write_text(text)
    return host.run("zonecfg", "-z", zone, "-f", "/root/back.cfg")


def _elements(host: Host) -> list[str]:
    """The lines of the document in any order, without OmniOS' debugid, which is the zone's and not its words'."""
    return sorted(re.sub(r' debugid="\d+"', "", host.file("/etc/zones/web1.xml").read_text()).splitlines())


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize(("dialect", "nets"), BOTH)
def test_everything_survives(tmp_path: Path, dialect: Dialect, nets: str, file: bool) -> None:
    """The export and what `info` says are the same to the byte; the document's resources are sorted by type now."""
    host = Host(tmp_path, dialect)
    assert _import(host, "web1", COMMON + nets, file) == Completed(0, "", "")
    before = [host.good("zonecfg", "-z", "web1", word) for word in ("export", "info")]
    document = _elements(host)
    kinds = [line for line in before[0].splitlines() if line.startswith("add ") and line.count(" ") == 1]
    numbers = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    assert numbers == {
        "add fs": 2, "add net": nets.count("add net"), "add device": 1, "add capped-memory": 1, "add rctl": 4,
        "add attr": 4, "add dataset": 1,
    }  # fmt: skip
    host.good("zonecfg", "-z", "web1", "delete", "-F")
    assert _import(host, "web1", before[0], file) == Completed(0, "", "")
    assert [host.good("zonecfg", "-z", "web1", word) for word in ("export", "info")] == before
    assert _elements(host) == document


def test_a_shared_zone_survives(tmp_path: Path) -> None:
    host = Host(tmp_path)
    text = (
        "create -b\nset zonepath=/zones/db1\nset brand=ipkg\nset autoboot=false\n"
        'add net\nset address="10.0.0.9/24"\nset physical="net0"\nset defrouter="10.0.0.1"\nend\n'
    )
    assert _import(host, "db1", text, file=False) == Completed(0, "", "")
    assert host.good("zonecfg", "-z", "db1", "export") == text


def test_a_top_level_value_with_a_blank_does_not_survive(tmp_path: Path) -> None:
    """And what came before it is committed: a zone without its nets [zones 4.1, 4.7]."""
    host = Host(tmp_path)
    host.configure("web1", 'set bootargs="-m verbose"; add net; set physical=v0; end')
    text = host.good("zonecfg", "-z", "web1", "export")
    assert "\nset bootargs=-m verbose\n" in text
    host.good("zonecfg", "-z", "web1", "delete", "-F")
    done = _import(host, "web1", text, file=True)
    assert done.status == 1
    assert done.err
    after = host.good("zonecfg", "-z", "web1", "export")
    assert "bootargs" not in after
    assert "add net" not in after
    assert "set ip-type" not in after


def test_a_command_file_does_not_overwrite(tmp_path: Path) -> None:
    """`create -b` of a zone that is configured wants -F; one that is installed is edited instead [zones 4.3]."""
    host = Host(tmp_path)
    host.configure("web1")
    text = host.good("zonecfg", "-z", "web1", "export")
    assert _import(host, "web1", text, file=True).status == 1
    host.good("zoneadm", "-z", "web1", "install")
    done = _import(host, "web1", text, file=True)
    assert done.status == 0
    assert "create not allowed" in done.err


def test_a_deleted_zone_comes_back_installed_without_a_hook(tmp_path: Path) -> None:
    """Deleted by force, configured again, attached by force: the files are what they were, the uuid is a new one."""
    host = Host(tmp_path)
    host.install("web1", "add attr; set name=a; set type=string; set value=b; end")
    log = record(host, "attach")
    host.element("sparse", "uninstall", "<attach>/usr/lib/brand/sparse/attach %z %R x x</attach>")
    uuid, text = host.uuid("web1"), host.good("zonecfg", "-z", "web1", "export")
    (host.file("/zones/web1/root") / "mine").write_text("kept")
    host.good("zonecfg", "-z", "web1", "delete", "-F")
    assert "web1" not in host.index()
    assert not host.file("/etc/zones/web1.xml").exists()
    assert _import(host, "web1", text, file=False) == Completed(0, "", "")
    assert state_of(host.world, "web1") == "configured"
    host.good("zoneadm", "-z", "web1", "attach", "-F")
    assert state_of(host.world, "web1") == "installed"
    assert host.uuid("web1") not in ("", uuid)
    assert steps(log) == []
    host.good("zoneadm", "-z", "web1", "boot")
    assert (host.file("/zones/web1/root") / "mine").read_text() == "kept"


@pytest.mark.parametrize("words", [("attach", "-F"), ("detach",), ("mark", "incomplete"), ("uninstall", "-F")])
def test_a_running_zone_refuses(tmp_path: Path, words: tuple[str, ...]) -> None:
    host = Host(tmp_path)
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    expected = f"zoneadm: zone 'web1': {words[0]} operation is invalid for running zones.\n"
    assert host.zoneadm("web1", *words) == Completed(1, "", expected)
