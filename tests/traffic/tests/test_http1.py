"""The parser of answers: however the bytes come, it is the same answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traffic.http1 import Answer, MalformedAnswer

WHOLE = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nweb1\n": (200, b"web1\n", True),
    b"HTTP/1.1 200\r\ncontent-length:0\r\nConnection: Close\r\n\r\n": (200, b"", False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok": (200, b"ok", True),
    b"HTTP/1.1 204 No Content\r\n\r\n": (204, b"", True),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"
    b"Content-Length: 1\r\n\r\nx": (200, b"x", True),
    b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nA ; a=b\r\n0123456789\r\n0\r\n\r\n": (503, b"abc0123456789", True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n\r\r\n0\r\nA: b\r\nC: d\r\n\r\n": (200, b"\r", True),
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_cuts_between_the_bytes_change_nothing(text: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(text) - 1)))
    answer = Answer()
    start = 0
    for cut in [*sorted(cuts), len(text)]:
        assert not answer.complete
        answer.feed(text[start:cut])
        start = cut
    assert answer.complete
    assert (answer.status, answer.body, answer.keep) == WHOLE[text]


@pytest.mark.parametrize("text", sorted(WHOLE))
def test_no_beginning_of_an_answer_is_an_answer(text: bytes) -> None:
    for end in range(1, len(text)):
        answer = Answer()
        answer.feed(text[:end])
        assert answer.started
        assert not answer.ends_well()


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\n\r\nwe")
    answer.feed(b"b1")
    assert not answer.complete
    assert answer.ends_well()
    assert (answer.body, answer.keep) == (b"web1", False)


def test_what_follows_a_101_is_not_part_of_it() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello")
    assert answer.complete
    assert answer.rest() == b"hello"


def test_a_long_body_is_counted_to_its_end() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(999):
        answer.feed(b"x" * 1000)
    assert not answer.complete
    answer.feed(b"x" * 1000)
    assert answer.complete


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0-x",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"x" * 70000,
    ],
    ids=lambda text: repr(text[:60]),
)
def test_what_is_no_answer_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        Answer().feed(text)
