"""Hooks that may refuse: what a gate is told in time, and zones whose links wait for leave."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calling import put
from theatre import Theatre, running, until, zone

from zonehookd.hooks.asking import Decision
from zonehookd.hooks.moments import Gated
from zonehookd.model.zone import ZoneConfig


def asked(root: Path, script: str, moment: Gated = "before-start", limit_s: float = 30.0, **on_failure: str) -> Any:
    """What the gate is told when hook `a` is that script."""
    theatre = Theatre(root, on_failure=on_failure)
    put(theatre.folder, "a", f'[ "$3" = before ] || exit 0\n{script}')

    async def play() -> Decision | None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            return await daemon.hooks.ask("web1", moment, limit_s)

    return asyncio.run(play())


def test_all_agree(tmp_path: Path) -> None:
    assert asked(tmp_path, "exit 0") == Decision(True, "hooks-agree")


@pytest.mark.parametrize(
    ("moment", "does"), [("before-start", "boot"), ("before-stop", "halt"), ("before-delete", "uninstall")]
)
def test_never_is_a_refusal_with_its_reason(tmp_path: Path, moment: Gated, does: str) -> None:
    decision = asked(tmp_path, "echo not on a Friday >&2; echo ask Ann >&2; exit 77", moment)
    assert decision == Decision(
        False,
        "hook-refused",
        (f"zonehookd: {does} of zone web1 is refused by hook a: not on a Friday", "  ask Ann"),
    )


def test_later_is_a_refusal_for_now(tmp_path: Path) -> None:
    decision = asked(tmp_path, "echo 'again-after: 30'; echo its disk is copied >&2; exit 75")
    line = "zonehookd: boot of zone web1 is refused by hook a, for now: its disk is copied (again in 30 s)"
    assert decision == Decision(False, "hook-later", (line,))


def test_a_failure_is_no_refusal_unless_it_is_told_to_be(tmp_path: Path) -> None:
    (tmp_path / "allow").mkdir()
    decision = asked(tmp_path / "allow", "exit 3")
    line = "zonehookd: boot of zone web1 goes on without hook a, which failed: exited 3"
    assert decision == Decision(True, "hook-failed", (line,))
    (tmp_path / "refuse").mkdir()
    decision = asked(tmp_path / "refuse", "exit 3", before_start="refuse")
    line = "zonehookd: boot of zone web1 is refused by hook a, which failed: exited 3"
    assert decision == Decision(False, "hook-failed", (line,))


@pytest.mark.parametrize(("policy", "allowed"), [("allow", True), ("refuse", False)])
def test_who_is_late_is_waited_for_no_longer(tmp_path: Path, policy: str, allowed: bool) -> None:
    began = time.monotonic()
    decision = asked(tmp_path, "trap '' TERM; sleep 300 & wait", limit_s=1.0, before_start=policy)
    assert decision.allowed == allowed and decision.code == "hook-failed"
    assert "gave no answer in time" in decision.lines[0]
    assert time.monotonic() - began < 60


def test_the_first_that_refuses_ends_it(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "b", 'echo b >&2; [ "$3" = before ] && exit 77; exit 0')
    put(theatre.folder, "a", f'[ "$3" = before ] && touch {tmp_path}/a; exit 0')
    put(theatre.folder, "c", f'[ "$3" = before ] && touch {tmp_path}/c; exit 0')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            decision = await daemon.hooks.ask("web1", "before-start", 30.0)
            assert decision is not None and not decision.allowed

    asyncio.run(play())
    assert (tmp_path / "a").exists() and not (tmp_path / "c").exists()


def test_nobody_is_asked_who_does_not_want_to_be(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "a", "# zonehookd-moments: after-start\nexit 77")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            assert await daemon.hooks.ask("web1", "before-start", 30.0) is None
            daemon.look(running("web1"))
            await daemon.quiet()
            assert daemon.moments() == ["after-start"]

    asyncio.run(play())


def test_a_question_comes_after_the_call_that_runs_for_this_zone(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "a", f"while [ $2 = reconnect -a ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"), zone("web2"))
            await until(lambda: daemon.hooks.zones["web1"].turn.locked(), "it is called")
            late = await daemon.hooks.ask("web1", "before-start", 0.3)
            assert late is not None and late.code == "hook-failed"
            (tmp_path / "go").touch()
            agreed = await daemon.hooks.ask("web1", "before-start", 30.0)
            assert agreed == Decision(True, "hooks-agree")
            unseen = await daemon.hooks.ask("web9", "before-start", 30.0)
            assert unseen == Decision(True, "hooks-agree"), "one that no look has seen yet"
            await daemon.quiet()
            assert "before-start" not in [each.moment for each in daemon.heard[:1]]

    asyncio.run(play())


# -- creation: the zone is there, but its links wait


def test_links_are_not_made_while_a_hook_refuses_the_zone(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    rule = 'case "$(cat)" in *\'"owner": "ann"\'*) exit 0;; esac; echo nobody owns it >&2; exit 77'
    put(theatre.folder, "a", f'[ "$2 $3" = "create before" ] || exit 0; {rule}')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("old"))
            assert await daemon.hooks.hold("old") == "", "it was there before"
            daemon.look(zone("old"), zone("web1"))
            assert await daemon.hooks.hold("web1") == "hook a refuses it: nobody owns it"
            assert await daemon.hooks.hold("web1") == "hook a refuses it: nobody owns it"
            assert daemon.moments() == ["before-create"], "asked once for one configuration"
            owned = replace(zone("web1"), config=ZoneConfig("sparse", True, (), {"owner": "ann"}))
            daemon.look(zone("old"), owned)
            await until(lambda: daemon.released == ["web1"], "it is looked at again")
            assert await daemon.hooks.hold("web1") == ""
            await daemon.quiet()
            assert daemon.moments()[-1] == "after-create"

    asyncio.run(play())


def test_a_refusal_outlives_the_daemon(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "a", '[ "$2 $3" = "create before" ] || exit 0; exit 77')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            assert "refuses it" in await daemon.hooks.hold("web1")
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            assert "refuses it" in await daemon.hooks.hold("web1")
            daemon.look()  # its configuration is deleted
            await daemon.quiet()
            assert daemon.moments()[-1] == "after-delete"

    asyncio.run(play())


def test_who_agrees_later_releases_it(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "a", f'[ -e {tmp_path}/go ] && exit 0; echo "again-after: 1"; echo wait >&2; exit 75')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            assert await daemon.hooks.hold("web1") == "hook a says not yet: wait"
            (tmp_path / "go").touch()
            await until(lambda: daemon.released == ["web1"], "it is released")

    asyncio.run(play())


@pytest.mark.parametrize(("policy", "held"), [("allow", ""), ("refuse", "no answer within 0.5 s")])
def test_a_hook_that_hangs_holds_a_zone_up_no_longer_than_its_deadline(tmp_path: Path, policy: str, held: str) -> None:
    theatre = Theatre(tmp_path, deadline_s=0.5, on_failure={"before_create": policy})
    put(theatre.folder, "a", '[ "$2 $3" = "create before" ] && sleep 300; exit 0')

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            why = await daemon.hooks.hold("web1")
            assert (why == "") if policy == "allow" else (held in why or "did not end within" in why)

    asyncio.run(play())


def test_when_the_hook_goes_so_does_its_refusal(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    hook = put(theatre.folder, "a", "exit 77")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            assert await daemon.hooks.hold("web1")
            hook.path.unlink()
            daemon.hooks.look()
            await until(lambda: daemon.released == ["web1"], "it is released")
            assert await daemon.hooks.hold("web1") == ""

    asyncio.run(play())


def test_who_is_held_holds_up_no_stop(tmp_path: Path) -> None:
    theatre = Theatre(tmp_path)
    put(theatre.folder, "a", '[ "$2 $3" = "create before" ] && sleep 300; exit 0')

    async def play() -> None:
        async with theatre.daemon(killed=True) as daemon:
            daemon.look()
            daemon.look(zone("web1"))
            held = asyncio.ensure_future(daemon.hooks.hold("web1"))
            await until(lambda: daemon.hooks.zones["web1"].turn.locked(), "it is called")
            daemon.stopping = True
            assert await held == "we are stopping"

    asyncio.run(play())
