"""Fixtures that tests of the product and of plugins share; both conftest.py files take them from here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from lab.dispatch import Completed, paper_world, run_text
from lab.world import Dialect, World
from paper import Engine

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(params=[Dialect.VANILLA, Dialect.OMNIOS], ids=lambda dialect: dialect.value)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A data-only illumos host, in both dialects."""
    root = tmp_path / "host"
    root.mkdir()
    return paper_world(str(root), request.param)


@pytest.fixture
def vanilla(tmp_path: Path) -> World:
    root = tmp_path / "host"
    root.mkdir()
    return paper_world(str(root), Dialect.VANILLA)


class Admin:
    """Somebody at the keyboard of a paper host: every command must succeed unless `sh` is asked otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world

    def sh(self, *argv: str) -> Completed:
        return run_text(self.world, list(argv))

    def do(self, *argv: str) -> str:
        done = self.sh(*argv)
        assert done.status == 0, f"{argv}: {done.status}: {done.err}"
        return done.out

    def zone(self, name: str, *nets: str, extra: str = "", state: str = "installed") -> None:
        """Configure a zone; each of `nets` is the inside of one net resource, such as ``set physical=web1_0``."""
        body = "; ".join(f"add net; {net}; end" for net in nets)
        self.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                f"set ip-type=exclusive; {body}{'; ' if body else ''}{extra}")  # fmt: skip
        if state != "configured":
            self.do("zoneadm", "-z", name, "install")

    def by_address(self, name: str, link: str, address: str, **how: str) -> None:
        self.zone(name, f"set physical={link}; set allowed-address={address}", **how)

    def delete(self, name: str) -> None:
        state = self.do("zoneadm", "-z", name, "list", "-p").split(":")[2]
        if state not in ("configured", "installed", "incomplete"):
            self.do("zoneadm", "-z", name, "halt")
        if state != "configured":
            self.do("zoneadm", "-z", name, "uninstall", "-F")
        self.do("zonecfg", "-z", name, "delete", "-F")

    def links(self) -> list[str]:
        return self.do("dladm", "show-link", "-p", "-o", "link").split()

    def vnic(self, name: str) -> str:
        """over, MAC and VLAN of a VNIC, as dladm prints them; empty when it is not there."""
        done = self.sh("dladm", "show-vnic", "-p", "-o", "over,macaddress,vid", name)
        return done.out.strip().replace("\\:", ":")


@pytest.fixture
def admin(world: World) -> Admin:
    return Admin(world)


Build = Callable[..., Engine]


@pytest.fixture
def engine(world: World, tmp_path: Path) -> Build:
    """engine(dmz="10.1.0.0/24", lan={...}) -> an Engine with these networks over the same world and books."""

    def build(options: dict[str, object] | None = None, **networks: object) -> Engine:
        tables = {name: {"cidr": each} if isinstance(each, str) else each for name, each in networks.items()}
        return Engine(world, tmp_path / "state" / "state.db", tables, **(options or {}))

    return build
