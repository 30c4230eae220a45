"""A program is told of a moment: what it gets, what its end means, and what it cannot do to us."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from calling import Phone, put

from zonehookd.hooks.calls import Answer, judged


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path)


def test_what_a_program_is_told(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "10-log", f'printf "%s|" "$0" "$@" > {tmp_path}/words; cat > {tmp_path}/object')
    assert asyncio.run(phone.call(hook, "before-start", networks=["dmz"])) == Answer("ok")
    assert (tmp_path / "words").read_text().split("|")[:-1] == [str(hook.path), "web1", "start", "before", "-"]
    told = json.loads((tmp_path / "object").read_text())
    assert told["v"] == 1 and told["hook"] == "10-log" and told["moment"] == "before-start" and told["may_refuse"]
    assert told["zone"]["name"] == "web1" and told["networks"] == ["dmz"] and told["addresses"] == []
    assert told["when"] == "1970-01-01T00:00:00.000+00:00" and told["try"] == 1 and told["cause"] == "look"


@pytest.mark.parametrize(
    ("status", "out", "err", "answer"),
    [
        (0, "whatever", "it wants", Answer("ok")),
        (75, "", "", Answer("later", "not now")),
        (75, "again-after: 30\n", "busy\n", Answer("later", "busy", 30.0)),
        (75, "well\nagain-after: 30\n", "", Answer("later", "not now")),  # the first line only
        (77, "", "not on a Friday\n", Answer("never", "not on a Friday")),
        (77, "", "", Answer("never", "it gave no reason")),
        (3, "", "", Answer("failed", "exited 3")),
        (127, "", "sh: dig: not found", Answer("failed", "exited 127: sh: dig: not found")),
        (-11, "", "", Answer("failed", "was ended by signal 11")),
    ],
)
def test_what_its_end_means(status: int, out: str, err: str, answer: Answer) -> None:
    assert judged(status, out, err) == answer


def test_what_it_says_steers_no_terminal() -> None:
    assert judged(77, "", "\033[2Jgone").text == "?[2Jgone"


def test_every_call_is_written_down_and_heard(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "no", "echo why >&2; exit 77")
    asyncio.run(phone.call(hook, "before-delete"))
    (line,) = phone.audited()
    assert line["kind"] == "hook" and line["argv"] == [str(hook.path), "web1", "delete", "before", "-"]
    assert (line["zone"], line["status"], line["why"]) == ("web1", 77, "before-delete of zone web1")
    assert line["error"] == "never: why"
    (call,) = phone.heard
    assert (call.hook, call.zone, call.moment, call.answer) == ("no", "web1", "before-delete", Answer("never", "why"))


def test_who_takes_too_long_is_stopped_with_all_it_started(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "slow", f"sleep 300 & echo $! > {tmp_path}/child; wait")
    answer = asyncio.run(phone.call(hook, deadline_s=3.0))
    assert answer == Answer("timeout", "it did not end within 3 s and was stopped")
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{child}").exists() and "zombie" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < deadline, "the sleep is still there"
        time.sleep(0.05)


def test_a_child_that_keeps_the_output_open_holds_up_nobody(tmp_path: Path, phone: Phone) -> None:
    """virt-manager waits for ever then: the program is done when it has exited."""
    hook = put(tmp_path / "hooks.d", "forks", f"sleep 300 & echo $! > {tmp_path}/child; echo so >&2; exit 75")
    try:
        assert asyncio.run(phone.call(hook)) == Answer("later", "so")
    finally:
        os.kill(int((tmp_path / "child").read_text()), 9)
    assert phone.heard[0].seconds < 25


def test_a_flood_is_read_and_dropped(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "flood", "head -c 50000000 /dev/zero | tr '\\0' x; echo end >&2; exit 77")
    assert asyncio.run(phone.call(hook)) == Answer("never", "end")


def test_who_reads_nothing_of_a_long_message_is_waited_for_no_longer(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "deaf", "exec <&-; exit 0")
    assert asyncio.run(phone.call(hook, networks=["x" * 1000] * 1000)) == Answer("ok")


def test_a_file_that_cannot_be_run_has_failed(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "odd", "")
    hook.path.write_bytes(b"\x7fNOPE")
    answer = asyncio.run(phone.call(hook))
    assert answer.outcome == "failed" and "cannot be run: Exec format error" in answer.text
    hook.path.unlink()
    assert asyncio.run(phone.call(hook)).outcome == "failed"


def test_when_we_stop_nothing_is_begun(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "one", f"touch {tmp_path}/called")
    phone.processes.begin_no_change()
    assert asyncio.run(phone.call(hook)).outcome == "failed"
    assert not (tmp_path / "called").exists()


def test_many_are_called_a_few_at_a_time(tmp_path: Path, phone: Phone) -> None:
    hook = put(tmp_path / "hooks.d", "busy", f"mkdir {tmp_path}/in.$$; ls -d {tmp_path}/in.* | wc -l >> {tmp_path}/n; "
               f"sleep 0.05; rmdir {tmp_path}/in.$$")  # fmt: skip

    async def run() -> None:
        await asyncio.gather(*(phone.call(hook) for _ in range(20)))

    asyncio.run(run())
    together = [int(line) for line in (tmp_path / "n").read_text().split()]
    assert len(together) == 20 and max(together) <= 4
