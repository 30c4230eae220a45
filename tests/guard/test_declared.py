"""The declaration in force: kept over restarts, and what a new one must not do to zones."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin, Build
from paper import Engine
from paper_gateway import DB, EDGE, WAN, WEB, member, wish
from paper_guard import Guarded, silence

from zonehookd.config import Config, load
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.guard.cuts import Links
from zonehookd.guard.declared import NAME, keep, kept, links, refuse_cuts
from zonehookd.host.local import LocalFiles
from zonehookd.model.gateway import Declaration

FILES = LocalFiles()
WHOLE: dict[str, Any] = {
    "network": {
        "wan": WAN,
        "web": {**WEB, "cidr": ["10.99.0.0/24", "fd00:99::/64"], "pool": ["10.99.0.10-10.99.0.99"], "dhcp": False,
                "names": [{"name": "www", "cname": "web1"}]},
        "back": {"cidr": "10.98.0.0/24", "dhcp": {"lease_s": 600, "zones": {"web1": {"42": "10.98.0.9"}}}},
    },
    "gateway": {
        "edge": {**EDGE, "forward": [{"port": "9000-9010", "to": "web1", "to_port": 7000}],
                 "static": [{"public": "192.0.2.20", "inside": "web1"}]},
        "global": {"outside": "wan"},
    },
    "provisioning": {"provision": {"outside": "wan"}},
}  # fmt: skip


def config(tables: dict[str, Any] | None = None, **more: Any) -> Config:
    return Config.model_validate({"site": "here", **(WHOLE if tables is None else tables), **more})


# -- kept over restarts


def test_what_is_kept_is_what_was_declared(tmp_path: Path) -> None:
    before = config()
    keep(FILES, tmp_path, before)
    found = kept(FILES, tmp_path, config({}, log={"level": "debug"}))
    assert found is not None
    now, declared = found
    assert declared == declare(before)
    assert (now.network, now.gateway, now.provisioning) == (before.network, before.gateway, before.provisioning)
    assert now.log.level == "debug", "all else is the new file's"
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    keep(FILES, tmp_path, config())
    before = (tmp_path / NAME).stat()
    keep(FILES, tmp_path, config(log={"level": "debug"}))
    assert (tmp_path / NAME).stat().st_ino == before.st_ino
    keep(FILES, tmp_path, config({"network": {"wan": WAN}}))
    assert (tmp_path / NAME).stat().st_ino != before.st_ino
    found = kept(FILES, tmp_path, config())
    assert found is not None and set(found[1].networks) == {"wan"}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"network": 1}', b'{"network": {"web": {}}}', b'{"future": {}}',
     b'{"network": {"web": {"cidr": "10.99.0.0/24", "via": "edge"}}}',
     b'{"network": {"web": {"cidr": "10.99.0.0/33"}}}'],
)  # fmt: skip
def test_garbage_is_as_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / NAME).write_bytes(text)
    assert kept(FILES, tmp_path, config()) is None
    keep(FILES, tmp_path, config())
    assert kept(FILES, tmp_path, config()) is not None


def test_no_file_is_nothing(tmp_path: Path) -> None:
    assert kept(FILES, tmp_path, config()) is None
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        keep(FILES, tmp_path / "file", config())


# -- what is refused


@pytest.fixture
def ours(admin: Admin, engine: Build) -> Engine:
    """Zone web1 on networks web and db behind edge, seen once."""
    built = engine({"gateway": {"edge": EDGE}}, wan=WAN, web=WEB, db=DB)
    member(admin, "edge")
    member(admin, "web1", "web 10.99.0.200", "db")
    built.converge(10)
    return built


def seen(ours: Engine, after: Declaration) -> Links:
    site = ours.survey.site
    return asyncio.run(links(ours._look(), ours.declared, after, site)) if site is not None else Links()


def refused(ours: Engine, **networks: Any) -> str:
    """What is said to these networks; nothing when they are taken."""
    tables = {"wan": WAN, "web": WEB, "db": DB, **networks}
    after = config({"network": {name: table for name, table in tables.items() if table}, "gateway": {"edge": EDGE}})
    try:
        refuse_cuts(ours.declared, after, declare(after), ours.survey.site, seen(ours, declare(after)), ours.store)
    except ConfigError as problem:
        return str(problem)
    return ""


def test_each_network_is_named_with_its_zones_and_the_way_out(ours: Engine) -> None:
    assert refused(ours) == ""
    text = refused(ours, web={**WEB, "cidr": "10.99.0.0/25"}, db=None)
    assert "network.web: its range cannot become 10.99.0.0/25: zone web1 (10.99.0.200) would be cut off\n" in text
    assert "network.db: it cannot be removed: zone web1 (10.98.0." in text
    assert "zonehookctl guard permit --network web" in text


def test_an_address_that_is_in_the_range_and_no_host_s_any_more_is_lost(ours: Engine, admin: Admin) -> None:
    """Stated or out of the pool: the first and the last of a range are nobody's, and a pool may have holes."""
    member(admin, "web2", "web 10.99.0.3", "db")
    ours.converge(10)
    stated = refused(ours, web={**WEB, "cidr": "10.99.0.0/24"}) + refused(ours, web={**WEB, "cidr": "10.99.0.0/23"})
    assert stated == "", "as it is, and wider"
    admin.delete("web1")
    ours.look()
    ours.look()
    text = refused(ours, web={**WEB, "cidr": "10.99.0.0/30"})
    assert (
        "10.99.0.3 is the network or broadcast address of 10.99.0.0/30: zone web2 (10.99.0.3) would be cut off" in text
    )
    site = ours.survey.site
    assert site is not None
    (given,) = {str(each.addresses[0].ip) for each in site.on_network["db"] if each.zone == "web2"}
    lost = f"web2_1 has {given} out of its pool, which has it no more: zone web2 ({given}) would be cut off"
    for table in ({"pool": ["10.98.0.100-10.98.0.120"]}, {"exclude": [given]}, {"gateway": given}):
        assert refused(ours, db={**DB, **table}) != "", table
    assert lost in refused(ours, db={**DB, "pool": ["10.98.0.100-10.98.0.120"]})
    first = int(given.rpartition(".")[2])
    assert first == 3, "so it is the last of these four"
    assert lost in refused(ours, db={**DB, "cidr": "10.98.0.0/30"})
    assert refused(ours, db={**DB, "pool": [f"{given}-10.98.0.120"]}) == "", "who keeps his address loses nothing"


def test_the_file_is_named_that_declares_it(ours: Engine, tmp_path: Path) -> None:
    main, drop_in = tmp_path / "z.toml", tmp_path / "z.d" / "web.toml"
    drop_in.parent.mkdir()
    main.write_text('[network.wan]\ncidr = "192.0.2.0/24"\nuplink = "net0"\n[gateway.edge]\noutside = "wan"\n'
                    '[network.db]\ncidr = "10.98.0.0/24"\nvia = "edge"\n')  # fmt: skip
    drop_in.write_text('[network.web]\ncidr = "10.99.0.0/25"\nvia = "edge"\n')
    after = load(main)
    with pytest.raises(ConfigError, match=f"^{drop_in}: network.web: its range cannot become"):
        refuse_cuts(ours.declared, after, declare(after), ours.survey.site, seen(ours, declare(after)), ours.store)


def test_a_permit_lets_one_network_go_and_ends(ours: Engine) -> None:
    guarded = Guarded(ours)
    guarded.guard.grant("network/web", 60.0, "moving", ["web1"])
    assert "network.web" not in refused(ours, web=None, db=None) and "network.db" in refused(ours, web=None, db=None)
    assert refused(ours, web=None) == ""
    guarded.guard.grant("network/web", -1.0, "moving", ["web1"])
    assert "network.web" in refused(ours, web=None)
    guarded.guard.grant("web", 60.0, "a zone of that name", [])
    assert "network.web" in refused(ours, web=None), "leave for a gateway is none for a network"


def test_nobody_has_looked_yet(engine: Build) -> None:
    blind = engine({"gateway": {"edge": EDGE}}, wan=WAN, web=WEB, db=DB)
    assert "no look has succeeded yet" in refused(blind)


def test_who_went_since_is_no_ghost(ours: Engine, admin: Admin) -> None:
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_1")
    ours.look()
    assert refused(ours, db=None) == ""
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; remove attr name=zh.net1; {wish(0, 'db')}")
    ours.look()
    assert refused(ours, web=None) == "" and "web1" in refused(ours, db=None)
    admin.do("zonecfg", "-z", "web1", "delete", "-F")
    ours.look()
    ours.look()
    assert refused(ours, web=None, db=None) == ""


def test_a_link_made_by_hand_is_in_the_way(ours: Engine, admin: Admin) -> None:
    admin.delete("web1")
    admin.zone("odd", "set physical=own0")
    ours.look()
    assert refused(ours, db=None) == ""
    admin.do("dladm", "create-vnic", "-l", "db0", "own0")
    assert "it cannot be removed: zone odd (by its link) would be cut off" in refused(ours, db=None)
    assert refused(ours, web=None) == "", "that one is empty"
    before = ours.commands
    silence(ours, "dladm", "show-vnic")
    blind = refused(ours, db=None)
    assert "who has a link on db0 cannot be seen" in blind and "(hint: try again; or zonehookctl guard permit" in blind
    ours.commands = before
    admin.do("zonecfg", "-z", "odd", "remove net physical=own0")
    ours.look()
    assert refused(ours, db=None) == ""


def test_a_zone_that_nobody_can_read_is_in_the_way(ours: Engine, admin: Admin) -> None:
    path = admin.world.path("/etc/zones/web1.xml")
    text = path.read_text()
    path.write_text("<zone")
    ours.look()
    assert "zone web1 (by its link) would be cut off" in refused(ours, db=None)
    admin.do("dladm", "delete-vnic", "web1_1")
    assert "whether zone web1 would be cut off is not known" in refused(ours, db=None)
    path.write_text(text.replace("zh.net1", "zh.depends"))
    ours.look()
    assert refused(ours, db=None) == ""


def test_what_is_in_force_survives_a_start_that_would_cut_off(ours: Engine, tmp_path: Path) -> None:
    """As the daemon does it: what was kept is what is looked at, and what the file says must not cut off."""
    keep(FILES, tmp_path, ours.config)
    ours.redeclare({"wan": WAN, "db": DB}, {"edge": EDGE})
    found = kept(FILES, tmp_path, ours.config)
    assert found is not None
    ours.config, ours.declared = found
    ours.look()
    assert "it cannot be removed" in refused(ours, web=None)
    assert time.time() - (tmp_path / NAME).stat().st_mtime < 60
