"""`zonehookctl plugin try`: a real worker, on a host of the paper lab. It says what would be done, and nothing is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import zmq.asyncio
from fixtures import Admin
from lab.world import World
from paper import Engine

from zonehookd import log
from zonehookd.bus.messages import Request, TrialWish
from zonehookd.bus.trial_messages import TrialReply
from zonehookd.config import PluginsSection
from zonehookd.errors import ZonehookError
from zonehookd.foreign.tools import Tools
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.host.process import Limits, Processes
from zonehookd.trial.answers import TrialAnswers

CARDS = '''
"""A card for each zone."""
import itertools
from pathlib import Path
from zonehookd.plugin import Change, HostReader, Plan, PluginOptions, Query, WriteFile, ZonePlugin, ZoneView, nothing

count = itertools.count()

class Cards(ZonePlugin[tuple[str | None, int]]):
    name = "cards"
    class Options(PluginOptions):
        file: Path = Path("/var/card")
        how: str = "well"
    options: Options
    async def observe(self, zone: ZoneView, host: HostReader) -> tuple[str | None, int]:
        links = await host.ask(Query(("dladm", "show-link", "-p", "-o", "link"), lambda reply: reply.stdout.split()))
        if self.options.how == "asks what is not there":
            await host.ask(Query(("dladm", "show-nothing"), lambda reply: {}[reply.status]))
        if self.options.how == "raises":
            raise RuntimeError("as told")
        return (host.read_file(self.options.file) if self.options.how == "well" else None, len(links))
    def plan(self, zone: ZoneView, seen: tuple[str | None, int]) -> Plan:
        text = f"{zone.zone.name} has a card\\n"
        if self.options.how == "counts":
            text = f"{next(count)}\\n"
        if seen[0] == text:
            return nothing("it is right")
        return Plan((WriteFile(self.options.file, text, "a card"), Change(("things", "make"), "a thing")))
'''


class Trying:
    """Somebody at zonehookctl, with a daemon's engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        self.section = PluginsSection(folders=[folder / "plugins"])

    def __call__(self, kind: Any = "zone", name: str = "web1", path: str = "", **options: Any) -> TrialReply:
        wish = TrialWish(path=path, kind=kind, name=name, options=options)
        request = Request(verb="plugin-try", plugin="cards", trial=wish)
        return asyncio.run(self.ask(request))

    async def ask(self, request: Request) -> TrialReply:
        context = zmq.asyncio.Context()
        processes = Processes("/usr/bin:/bin", Limits())
        sockets = self.folder / "sockets"
        sockets.mkdir(exist_ok=True)
        told = {"came_up": lambda name: None, "went_down": lambda name: None}
        workers = ForeignWorkers(Tools(context, processes, sockets, self.engine._look, log.get(), **told))
        try:
            return await TrialAnswers(self.engine, workers, self.engine._look, lambda: self.section).trial(request)
        finally:
            await workers.stop()
            context.term()


@pytest.fixture
def admin(vanilla: World) -> Admin:
    return Admin(vanilla)


@pytest.fixture
def try_(admin: Admin, tmp_path: Path) -> Trying:
    folder = tmp_path / "plugins" / "cards"
    for each in (folder.parent, folder):
        each.mkdir(mode=0o755)
    (folder / "plugin.py").write_text(CARDS)
    (folder / "plugin.py").chmod(0o644)
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = Engine(admin.world, tmp_path / "state" / "state.db", {"dmz": {"cidr": "10.1.0.0/24"}})
    ours.converge()
    ours.commands.changes.clear()
    return Trying(ours, tmp_path)


def standing(folder: Path) -> dict[str, bytes]:
    """Every file of the paper host."""
    return {str(each): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def test_what_it_would_do_is_said_and_not_done(try_: Trying, admin: Admin) -> None:
    host = try_.folder / "host"
    before, records = standing(host), list(try_.engine.store.all())
    said = try_()
    assert [step.step for step in said.steps] == ["write /var/card (16 characters)", "things make"]
    assert (said.changes, said.remarks, said.failed, said.blind) == (2, [], "", "")
    assert (said.plugin, said.shape, said.about) == ("cards", "folder", "A card for each zone.")
    assert [(row.command, row.status) for row in said.asked] == [("dladm show-link -p -o link", 0)]
    assert said.asked[0].seconds > 0 and said.start_s > said.plan_s > 0
    assert standing(host) == before
    assert (try_.engine.commands.changes, list(try_.engine.store.all())) == ([], records)
    assert not list((try_.folder / "sockets").iterdir()), "its worker is gone, and its socket"


def test_nothing_to_do_is_said_too(try_: Trying, admin: Admin) -> None:
    admin.world.path("/var/card").write_text("web1 has a card\n")
    said = try_(file=str(admin.world.path("/var/card")))
    assert (said.steps, said.changes, [note.text for note in said.notes]) == ([], 0, ["it is right"])


def test_a_folder_that_is_installed_nowhere(try_: Trying) -> None:
    try_.section = PluginsSection()
    assert try_(path=str(try_.folder / "plugins" / "cards")).changes == 2
    with pytest.raises(ZonehookError, match="plugin 'cards' is not there"):
        try_()


def test_what_would_never_be_done(try_: Trying, admin: Admin) -> None:
    admin.world.path("/var/card").write_text("web1 has a card\n")
    [remark] = try_(how="does not look").remarks
    assert "it is so already, and would be done at every look" in remark
    [remark] = try_(how="counts").remarks
    assert remark.startswith("asked twice it planned ") and "no clock, no chance, no memory" in remark


def test_what_goes_wrong_is_said_exactly(try_: Trying) -> None:
    said = try_(how="raises")
    assert "RuntimeError('as told')" in said.failed and "plugin.py:" in said.failed
    said = try_(how="asks what is not there")
    assert said.steps == [] and (said.failed or said.blind)
    assert [row.command for row in said.asked] == ["dladm show-link -p -o link", "dladm show-nothing"]
    with pytest.raises(ZonehookError, match=r"plugins.options.cards.hwo: no such option.*did you mean 'how'\?"):
        try_(hwo="well")


def test_a_rule_that_its_plan_breaks_is_said(try_: Trying) -> None:
    said = try_(file="relative")
    assert "relative is no absolute path" in said.failed and said.steps == []


def test_subjects_and_plugins_that_cannot_be(try_: Trying) -> None:
    with pytest.raises(ZonehookError, match=r"there is no zone 'web9' \(hint: there are: .*web1"):
        try_(name="web9")
    with pytest.raises(ZonehookError, match=r"is for zones, and network:dmz is none \(hint: --zone NAME\)"):
        try_(kind="network", name="dmz")
    request = Request(verb="plugin-try", plugin="vnic", trial=TrialWish(kind="zone", name="web1"))
    with pytest.raises(ZonehookError, match="plugin vnic is ours, and runs in the daemon"):
        asyncio.run(try_.ask(request))
