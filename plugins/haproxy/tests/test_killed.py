"""Killed after each of its steps, in a gateway zone: the next start finishes, a real haproxy has what lies on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.haproxy.tests.paper_haproxy import ADMINS, PROXY, Story
from zonehookd.plugin.served import steps

STEPS = 54  # of the undisturbed story: 50, and more where a slow haproxy is waited for


def run(story: Story) -> list[object]:
    """What there is after each chapter."""
    states: list[object] = []

    def chapter(serving: set[str]) -> None:
        assert story.settle() == "online"
        servers, maps = story.running()
        assert (servers, maps) == story.on_disk(), "it has what it would start with"
        assert {each.partition("/")[2].partition(":")[0] for each in servers} == serving
        states.append((servers, maps, story.disk()))

    chapter({"web1"})
    story.admin.do("zoneadm", "-z", "web2", "boot")
    chapter({"web1", "web2"})
    story.admin.do("zoneadm", "-z", "web1", "halt")
    chapter({"web2"})
    story.redeclare(proxy=PROXY, route=[{"tcp": 5400, "to": "web2", "port": 5000, "check": "no"}])
    chapter({"web2"})
    story.redeclare()
    states.append((story.settle(), story.disk()))
    assert not [each for each in story.engine.store.all() if each.plugin == "haproxy"]
    return states


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE_S", 0.3)  # how long an svcadm may take to show, on a machine that is not busy


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, list[object]]]:
    story = Story(tmp_path_factory.mktemp("undisturbed"))
    try:
        yield story, run(story)
    finally:
        story.close()


def test_the_story(undisturbed: tuple[Story, list[object]]) -> None:
    """One start, one reload, for the TCP port; the zones that come and go cost none."""
    story, states = undisturbed
    assert states[-1] == ("disabled", {"haproxy.cfg": ADMINS})
    assert (story.starts, story.reloads) == (1, 1)
    assert 50 <= len(story.done) <= STEPS, "the story changed: let the test below cover every step of it"


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_after_each_step(undisturbed: tuple[Story, list[object]], tmp_path: Path, number: int) -> None:
    story = Story(tmp_path)
    try:
        story.die_after = number
        assert run(story) == undisturbed[1]
    finally:
        story.close()
