"""Reading a DHCP server's message (RFC 2131, 2132, 3396, 3397, 3442)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import dhcp_packet


def message(options: bytes, sname: bytes = b"", file: bytes = b"") -> bytes:
    """A BOOTREPLY for 10.0.0.50 from 10.0.0.1."""
    head = bytes([2, 1, 6, 0]) + bytes(12) + bytes([10, 0, 0, 50, 10, 0, 0, 1]) + bytes(4) + bytes(16)
    return head + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + b"\x63\x82\x53\x63" + options


ACK = bytes([53, 1, 5])


def test_header_and_padding() -> None:
    reply = dhcp_packet.decode(message(b"\0\0" + ACK + b"\0\xff\x0c\x01x", b"server", b"pxe.0"))
    assert (reply.address, reply.next_server, reply.server_name, reply.boot_file) == (
        "10.0.0.50", "10.0.0.1", "server", "pxe.0",
    )  # fmt: skip
    assert reply.options == {53: b"\5"}  # nothing counts after the end


def test_an_option_in_pieces_and_overloaded_fields() -> None:
    options = ACK + bytes([52, 1, 3, 15, 2]) + b"a." + b"\xff"
    reply = dhcp_packet.decode(message(options, b"\x42\x02sn\xff", bytes([15, 1]) + b"b" + bytes([67, 2]) + b"fi\xff"))
    assert reply.options == {53: b"\5", 52: b"\3", 15: b"a.b", 67: b"fi", 66: b"sn"}
    assert (reply.server_name, reply.boot_file) == ("", "")


@pytest.mark.parametrize(
    ("number", "data", "value"),
    [
        (3, b"\x0a\0\0\1\x0a\0\0\2", ["10.0.0.1", "10.0.0.2"]),
        (51, b"\0\0\x0e\x10", 3600),
        (2, b"\xff\xff\xff\xff", -1),
        (19, b"\1", 1),
        (12, b"web\0", "web"),
        (119, b"\1a\7example\0\1b\xc0\0\1c\xc0\x02", ["a.example", "b.a.example", "c.example"]),
        (121, b"\x00\x0a\0\0\1\x19\x0a\1\2\x80\x0a\0\0\2", ["0.0.0.0/0 via 10.0.0.1", "10.1.2.128/25 via 10.0.0.2"]),
        (250, b"\xaa", None),
    ],
)
def test_values(number: int, data: bytes, value: object) -> None:
    assert dhcp_packet.value_of(number, data) == value


@pytest.mark.parametrize("kind", [1, 2, 6])
def test_only_an_acknowledgement_is_one(kind: int) -> None:
    assert dhcp_packet.is_acknowledgement(message(ACK + b"\xff"))
    assert not dhcp_packet.is_acknowledgement(message(bytes([53, 1, kind, 255])))
    assert not dhcp_packet.is_acknowledgement(message(ACK)[:238])


@given(st.binary(max_size=300), st.binary(max_size=64), st.binary(max_size=128))
def test_nothing_a_server_sends_breaks_the_reader(options: bytes, sname: bytes, file: bytes) -> None:
    sent = message(ACK + options, sname, file)
    assert dhcp_packet.decode(sent).options[53][:1] == b"\5"
    for number, data in dhcp_packet.decode(sent).options.items():
        dhcp_packet.value_of(number, data)


@given(st.integers(0, 255), st.binary(max_size=255))
def test_every_value_can_be_read(number: int, data: bytes) -> None:
    dhcp_packet.value_of(number, data)
