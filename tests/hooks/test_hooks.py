"""Hooks over the life of zones and of daemons: told once of everything, in order, and of what happened meanwhile."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from calling import put
from theatre import Theatre, running, until, zone

from zonehookd.model.record import HOOK
from zonehookd.model.zone import ZoneState


@pytest.fixture
def theatre(tmp_path: Path) -> Theatre:
    return Theatre(tmp_path)


def test_from_its_creation_to_its_end(theatre: Theatre) -> None:
    put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("old"))
            await daemon.quiet()
            for now in ([zone("web1")], [running("web1")], [running("web1", 2)], [zone("web1")], []):
                daemon.look(zone("old"), *now)
                await daemon.quiet()
            assert daemon.moments("old") == ["reconnect"], "it was there before the first hook"
            runs = ["after-start", "after-stop"] * 2
            assert daemon.moments() == ["before-create", "after-create", *runs, "after-delete"]
            assert [each.name for each in daemon.store.of_kind(HOOK)] == ["old"]

    asyncio.run(play())


def test_what_was_missed_is_told_at_the_next_start(theatre: Theatre) -> None:
    put(theatre.folder, "a", 'printf "%s %s %s\n" "$1" "$3-$2" "$4" >> "$(dirname "$0")/../told"')

    async def play() -> list[str]:
        async with theatre.daemon() as daemon:
            daemon.look(running("stops"), zone("starts"), running("goes"), running("again"), running("stays"))
            await daemon.quiet()
        (theatre.root / "told").unlink()
        async with theatre.daemon() as daemon:
            daemon.look(zone("stops"), running("starts", 7), zone("comes"), running("again", 8), running("stays"),
                        zone("goes", ZoneState.ABSENT))  # fmt: skip
            await daemon.quiet()
        return (theatre.root / "told").read_text().splitlines()

    lines = asyncio.run(play())
    told = {name: [line.split(" ", 1)[1] for line in lines if line.split()[0] == name] for name in
            ("stops", "starts", "goes", "again", "stays", "comes")}  # fmt: skip
    assert told == {
        "stops": ["begin-reconnect -", "after-stop missed"],
        "starts": ["begin-reconnect -", "after-start missed"],
        "goes": ["after-stop missed", "after-delete missed"],
        "again": ["begin-reconnect -", "after-stop missed", "after-start missed"],
        "stays": ["begin-reconnect -"],
        "comes": ["before-create missed", "after-create missed"],
    }


def test_a_boot_of_the_host_is_another_run_though_the_zone_id_is_the_same(theatre: Theatre) -> None:
    put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
        for file in (theatre.root / "run").iterdir():  # /var/run is in memory
            file.unlink()
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", "after-stop", "after-start"]

    asyncio.run(play())


def test_a_run_folder_that_is_emptied_under_a_daemon_is_no_boot_of_the_host(theatre: Theatre) -> None:
    put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
            for file in (theatre.root / "run").iterdir():
                file.unlink()
            daemon.hooks.note_boot()
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["reconnect"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("meanwhile", "again"), [(running("web1"), "after-start"), (zone("web1"), "after-stop")], ids=["runs", "stopped"]
)
def test_a_daemon_that_is_killed_while_a_hook_runs(theatre: Theatre, meanwhile: object, again: str) -> None:
    """Nobody knows what the hook has done: it is told again, or that it is over."""
    put(theatre.folder, "a", f'[ "$2 $3" = "start after" ] && [ ! -e {theatre.root}/go ] && sleep 300; exit 0')

    async def play() -> None:
        async with theatre.daemon(killed=True) as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            daemon.look(running("web1"))
            await until(lambda: daemon.hooks.zones["web1"].turn.locked(), "it is called")
        (theatre.root / "go").touch()
        async with theatre.daemon() as daemon:
            assert isinstance(meanwhile, type(zone("web1")))
            daemon.look(meanwhile)
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", again]

    asyncio.run(play())


def test_a_hook_that_says_later_is_asked_again_and_the_others_go_on(theatre: Theatre) -> None:
    put(theatre.folder, "a-later", f'[ -e {theatre.root}/go ] && exit 0; echo "again-after: 1"; exit 75')
    put(theatre.folder, "b", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            await until(lambda: daemon.moments(hook="b") == ["before-create", "after-create"], "b is told of all")
            daemon.look(running("web1"))
            await until(lambda: daemon.moments(hook="b")[2:] == ["after-start"], "b goes on")
            assert set(daemon.moments(hook="a-later")) == {"before-create"}, "in order"
            (theatre.root / "go").touch()
            await daemon.quiet()
            told = list(dict.fromkeys(daemon.moments(hook="a-later")))
            assert told == ["before-create", "after-create", "after-start"]

    asyncio.run(play())


def test_what_comes_and_goes_meanwhile_is_not_told_to_a_busy_hook(theatre: Theatre) -> None:
    put(theatre.folder, "a", f'[ "$2" = reconnect ] && while [ ! -e {theatre.root}/go ]; do sleep 0.05; done; exit 0')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            for zoneid in range(1, 6):
                daemon.look(running("web1", zoneid))
                daemon.look(zone("web1"))
            daemon.look(running("web1", 9))
            (theatre.root / "go").touch()
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", "after-start"], "the newest state; what ran was let end"

    asyncio.run(play())


def test_one_call_at_a_time_for_one_zone_and_several_for_several(theatre: Theatre) -> None:
    note = f"mkdir {theatre.root}/in.$1 || echo twice >> {theatre.root}/bad; sleep 0.1; rmdir {theatre.root}/in.$1"
    for name in ("a", "b", "c"):
        put(theatre.folder, name, note)

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(*(zone(f"web{number}") for number in range(6)))
            await daemon.quiet()
            assert [hook for hook, name, moment in daemon.told if name == "web3"] == ["a", "b", "c", "a", "b", "c"]
            order = [name for hook, name, moment in daemon.told]
            assert order != sorted(order), "zones do not wait for each other"

    asyncio.run(play())
    assert not (theatre.root / "bad").exists()


def test_one_that_fails_is_tried_again_and_given_up_in_the_end(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path, retries=1)
    put(theatre.folder, "a", '[ "$2" = reconnect ] && exit 0; exit 9')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", "after-start", "after-start"]
            assert daemon.hooks.counts["a", "failed"] == 2
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["reconnect"], "given up is given up"

    asyncio.run(play())


def test_never_is_not_asked_again(theatre: Theatre) -> None:
    put(theatre.folder, "a", "exit 77")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", "after-start"]

    asyncio.run(play())


def test_a_hook_that_comes_is_told_of_all_zones_and_one_that_goes_is_owed_nothing(theatre: Theatre) -> None:
    put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"), running("web2"))
            await daemon.quiet()
            late = put(theatre.folder, "b", "exit 75")
            daemon.hooks.look()
            await until(lambda: ("b", "web1", "reconnect") in daemon.told, "the new one is told")
            await until(lambda: ("b", "web2", "reconnect") in daemon.told, "of every zone")
            late.path.unlink()
            daemon.hooks.look()
            await daemon.quiet()
            told = [each for each in daemon.told if each[0] == "a"]
            assert sorted(told) == [("a", "web1", "reconnect"), ("a", "web2", "reconnect")]

    asyncio.run(play())


def test_without_hooks_nothing_is_remembered(theatre: Theatre) -> None:
    hook = put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            assert list(daemon.store.of_kind(HOOK))
            hook.path.unlink()
            daemon.hooks.look()
            await daemon.quiet()
            assert not list(daemon.store.of_kind(HOOK))
            daemon.look(running("web1"))
            put(theatre.folder, "b", "exit 0")
            daemon.hooks.look()
            await daemon.quiet()
            assert daemon.moments(hook="b") == ["reconnect"], "what happened before the first hook is not told"

    asyncio.run(play())


def test_a_stop_lets_a_call_end_and_what_is_owed_is_told_later(theatre: Theatre) -> None:
    put(theatre.folder, "a", f'[ "$2" = start ] && sleep 0.5; touch {theatre.root}/$2; exit 0')
    put(theatre.folder, "b", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            daemon.look(running("web1"))
            await until(lambda: daemon.hooks.zones["web1"].turn.locked(), "a is called")
        assert (theatre.root / "start").exists() and daemon.moments(hook="b") == ["reconnect"]
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments(hook="a") == ["reconnect"]
            assert daemon.moments(hook="b") == ["reconnect", "after-start"]

    asyncio.run(play())


def test_a_look_waits_for_no_hook(theatre: Theatre) -> None:
    put(theatre.folder, "a", '[ "$2" = create ] && sleep 300; exit 0')

    async def play() -> None:
        async with theatre.daemon(killed=True) as daemon:
            daemon.look()
            zones = [zone(f"web{number}") for number in range(200)]
            began = time.monotonic()
            daemon.look(*zones)
            daemon.look(*(running(each.name) for each in zones))
            assert time.monotonic() - began < 30.0, "two looks at two hundred zones whose hook hangs"

    asyncio.run(play())
