"""What a DHCP server's message says: header fields and options (RFC 2131, 2132, 3396, 3397, 3442)."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

_COOKIE = b"\x63\x82\x53\x63"
_MESSAGE_TYPE, _OVERLOAD = 53, 52
_ACK = 5
_OPTIONS_AT = 240
_FILE, _SNAME = slice(108, 236), slice(44, 108)
_ADDRESSES = {
    1: "subnet-mask", 3: "routers", 6: "domain-name-servers", 28: "broadcast-address", 33: "static-routes",
    42: "ntp-servers", 44: "netbios-name-servers", 50: "requested-address", 54: "server-identifier",
}  # fmt: skip
_NUMBERS = {
    2: "time-offset", 19: "ip-forwarding", 23: "default-ip-ttl", 26: "interface-mtu", 51: "lease-time",
    52: "overload", 53: "message-type", 57: "max-message-size", 58: "renewal-time", 59: "rebinding-time",
}  # fmt: skip
_TEXTS = {
    12: "host-name", 14: "merit-dump", 15: "domain-name", 17: "root-path", 40: "nis-domain", 56: "message",
    60: "vendor-class", 66: "tftp-server-name", 67: "bootfile-name", 252: "wpad",
}  # fmt: skip
_SEARCH, _ROUTES = 119, 121
_NAMES = {**_ADDRESSES, **_NUMBERS, **_TEXTS, 43: "vendor-specific", _SEARCH: "domain-search", _ROUTES: "routes"}

Value = str | int | list[str] | None


@dataclass(frozen=True)
class Reply:
    """Header fields as text, and options by number, in the order of the message, each as it came."""

    address: str  # yiaddr
    next_server: str  # siaddr
    server_name: str  # sname
    boot_file: str  # file
    options: dict[int, bytes]


def is_acknowledgement(message: bytes) -> bool:
    return message[236:240] == _COOKIE and _options(message).get(_MESSAGE_TYPE) == bytes([_ACK])


def decode(message: bytes) -> Reply:
    """`message` has passed `is_acknowledgement`."""
    options = _options(message)
    overload = int.from_bytes(options.get(_OVERLOAD, b""), "big")
    return Reply(
        str(ipaddress.IPv4Address(message[16:20])),
        str(ipaddress.IPv4Address(message[20:24])),
        "" if overload & 2 else _text(message[_SNAME]),
        "" if overload & 1 else _text(message[_FILE]),
        options,
    )


def _options(message: bytes) -> dict[int, bytes]:
    """Those in the overloaded fields too; one that comes in pieces is put together."""
    found: dict[int, bytes] = {}
    _collect(message[_OPTIONS_AT:], found)
    overload = int.from_bytes(found.get(_OVERLOAD, b""), "big")
    for bit, place in ((1, _FILE), (2, _SNAME)):
        if overload & bit:
            _collect(message[place], found)
    return found


def _collect(field: bytes, found: dict[int, bytes]) -> None:
    at = 0
    while at < len(field) and field[at] != 255:
        if field[at] == 0:
            at += 1
            continue
        length = field[at + 1] if at + 1 < len(field) else 0
        found[field[at]] = found.get(field[at], b"") + field[at + 2 : at + 2 + length]
        at += 2 + length


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")


def name_of(number: int) -> str:
    return _NAMES.get(number, f"option-{number}")


def value_of(number: int, data: bytes) -> Value:
    """Addresses as a list of texts, numbers as such (signed: the time offset), None for what has no known form."""
    if number in _ADDRESSES:
        return [str(ipaddress.IPv4Address(data[at : at + 4])) for at in range(0, len(data) - 3, 4)]
    if number in _NUMBERS:
        return int.from_bytes(data, "big", signed=number == 2)
    if number in _TEXTS:
        return _text(data)
    if number == _SEARCH:
        return _names(data)
    if number == _ROUTES:
        return _classless(data)
    return None


def _names(data: bytes) -> list[str]:
    """Domain names in DNS form, compressed ones included."""
    names: list[str] = []
    at = 0
    while at < len(data):
        labels: list[str] = []
        here, jumped, hops = at, False, 0
        while here < len(data) and data[here] and hops < len(data):
            hops += 1
            if data[here] >= 0xC0:
                if here + 1 >= len(data):
                    break
                at = at if jumped else here + 2
                jumped, here = True, struct.unpack_from("!H", data, here)[0] & 0x3FFF
            else:
                labels.append(data[here + 1 : here + 1 + data[here]].decode(errors="replace"))
                here += 1 + data[here]
        at = at if jumped else here + 1
        names.append(".".join(labels))
    return names


def _classless(data: bytes) -> list[str]:
    """`NETWORK/LEN via GATEWAY`"""
    found: list[str] = []
    at = 0
    while at < len(data):
        length = data[at]
        octets = (length + 7) // 8
        rest = data[at + 1 : at + 1 + octets + 4]
        if length > 32 or len(rest) < octets + 4:
            break
        network = ipaddress.IPv4Address(rest[:octets].ljust(4, b"\0"))
        found.append(f"{network}/{length} via {ipaddress.IPv4Address(rest[octets:])}")
        at += 1 + octets + 4
    return found
