"""dnsmasq outside a host: it only tests configurations, the files of which lie below the world's root."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import paper_world, run_text
from lab.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return paper_world(str(tmp_path))


def test_a_file_is_tested_with_those_it_names(world: World) -> None:
    world.path("/etc/dnsmasq.conf").write_text("port=0\nconf-file=/etc/more.conf\n")
    world.path("/etc/more.conf").write_text("no-resolv\n")
    done = run_text(world, ["dnsmasq", "--test", "-C", "/etc/dnsmasq.conf"])
    assert (done.status, done.err) == (0, "dnsmasq: syntax check OK.\n")
    world.path("/etc/more.conf").write_text("no-resolv\nnonsense\n")
    done = run_text(world, ["dnsmasq", "--test", "-C", "/etc/dnsmasq.conf"])
    assert (done.status, done.err) == (1, "\ndnsmasq: bad option at line 3 of /etc/dnsmasq.conf\n")
