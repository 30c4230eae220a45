"""The sample keeps the rules that every plugin must keep, and is tested as yours will be."""

from __future__ import annotations

from pathlib import Path

from zonehookd.testing import Harness, Host, conforms, zone

FOLDER = Path(__file__).resolve().parents[1]
CARD = "/var/run/zonehookd/hello/web1.txt"


def test_a_card_says_where_the_zone_is() -> None:
    host = Host()
    running = zone("web1", "running", "dmz", "10.1.0.5/24")
    harness = Harness(FOLDER, host=host, greeting="Good morning").given(running)
    assert harness.plan().lines == [f"write {CARD} (52 characters)"]
    harness.settle()
    assert host.files == {CARD: "Good morning, web1!\nweb1_0 is on dmz as 10.1.0.5/24\n"}
    harness.given(zone("web1", "installed", "dmz", "10.1.0.5/24")).settle()
    assert host.files == {}


def test_the_rules() -> None:
    conforms(FOLDER, zone("web1", "running", "dmz", "10.1.0.5/24"), zone("web2", "installed"))
