"""kstat -p (network sheet 6.3)."""

from __future__ import annotations

import pytest

from zonehookd.errors import CannotObserve
from zonehookd.illumos.kstat import Traffic, traffic
from zonehookd.model.command import Reply

SAID = (
    "link:0:web1_0:ierrors\t1\nlink:0:web1_0:ipackets64\t20\nlink:0:web1_0:link_state\t1\n"
    "link:0:web1_0:obytes64\t4294967299\nlink:0:web1_0:oerrors\t2\nlink:0:web1_0:opackets64\t30\n"
    "link:0:web1_0:rbytes64\t654321\nlink:0:web2_0:link_state\t4294967295\nlink:0:web3_0:link_state\t0\n"
)


def test_one_command_for_any_number_of_links() -> None:
    query = traffic()
    assert query.argv[:6] == ("kstat", "-p", "-m", "link", "-i", "0"), "module and name are filtered before the data"
    found = query.parse(Reply(0, SAID, ""))
    assert found == {
        "web1_0": Traffic(654321, 4294967299, 20, 30, 1, 2, True),
        "web2_0": Traffic(up=None),
        "web3_0": Traffic(up=False),
    }


def test_no_link_at_all_is_an_answer() -> None:
    assert traffic().parse(Reply(1, "", "")) == {}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(3, "", "kstat: fatal"),
        Reply(1, "", "kstat: cannot open"),
        Reply(0, "link:0:web1_0:rbytes64 12\n", ""),
        Reply(0, "link:0:web1_0\t12\n", ""),
        Reply(0, "link:0:web1_0:rbytes64\tmany\n", ""),
    ],
)
def test_anything_else_is_not_known(reply: Reply) -> None:
    with pytest.raises(CannotObserve):
        traffic().parse(reply)
