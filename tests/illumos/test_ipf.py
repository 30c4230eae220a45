"""Whether a stack filters; texts from the services sheet, 1.8 and 1.12."""

from __future__ import annotations

import pytest

from zonehookd.errors import CannotObserve
from zonehookd.illumos import ipf
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Reply

VERSION = """ipf: IP Filter: v4.1.9 (1234)
Kernel: IP Filter: v4.1.9
Running: yes
Log Flags: 0 = none set
Default: pass all, Logging: available
Active list: 0
Feature mask: 0x107
"""


def test_whether_it_runs() -> None:
    query = ipf.enabled("web1")
    assert query.argv == ("ipf", "-V", "web1") and ipf.enabled().argv == ("ipf", "-V")
    assert query.parse(Reply(0, VERSION, "")) is True
    assert query.parse(Reply(0, VERSION.replace("yes", "no"), "")) is False


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(1, "", "Could not find running zone: web1\n"), "zone web1 is not up"),
        (Reply(0, "", "Could not find running zone: web1\n"), "did not say"),
        (Reply(1, "", "open device: Permission denied\n"), "exited 1"),
    ],
)
def test_no_word_is_no_answer(reply: Reply, said: str) -> None:
    with pytest.raises(CannotObserve, match=said):
        ipf.enabled("web1").parse(reply)


def test_the_zone_is_the_last_operand_and_exit_0_is_not_success() -> None:
    change = ipf.enable("web1", why="")
    assert change.argv == ("ipf", "-E", "web1") and change.silent and ipf.enable(GLOBAL, why="").argv == ("ipf", "-E")
    busy = change.judge(0, "Could not find running zone: web1")
    assert (busy.again, busy.busy, busy.done) == (True, True, False)
    assert not change.judge(1, "open device: Permission denied").again
