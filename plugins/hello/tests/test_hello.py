"""The sample keeps its promises like any other plugin."""

from __future__ import annotations

from pathlib import Path

from fixtures import Admin, Build


def test_a_card_per_running_zone(admin: Admin, engine: Build, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    options = {"hello": {"folder": str(cards), "greeting": "Good morning"}}
    ours = engine({"plugins": {"enabled": ["hello", "etherstub", "vnic"], "options": options}}, dmz="10.1.0.0/24")
    ours.converge()
    assert not cards.exists()
    admin.do("zoneadm", "-z", "web1", "boot")
    ours.converge()
    assert (cards / "web1.txt").read_text() == "Good morning, web1!\nweb1_0 is on dmz as 10.1.0.5/24\n"
    (cards / "web1.txt").write_text("graffiti")
    ours.converge()
    assert (cards / "web1.txt").read_text().startswith("Good morning")
    admin.do("zoneadm", "-z", "web1", "halt")
    ours.converge()
    assert list(cards.iterdir()) == []
