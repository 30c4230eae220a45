"""DHCP options as an admin writes them, by code or name, checked against their type and put into octets. Pure.

Names and types are those of dhcp-options(5) of ISC dhcpd; so the same declaration means the same whichever server it is
given to, and a server is handed octets, never text that it would read in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

MAX_BYTES = 255  # one option; longer ones need RFC 3396, which clients need not know
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)
_BYTES = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2})*", re.ASCII)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)

# What is made from the rest of the declaration, and from nothing else: code -> where it comes from.
_MANAGED: Mapping[int, str] = {
    1: "comes from the network's cidr",
    3: "is the network's gateway, for the NIC that has the default route",
    12: "is the zone's name",
    28: "comes from the network's cidr",
    **dict.fromkeys([50, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 77, 81, 82, 90], "belongs to the protocol itself"),
    51: "is lease_s",
}

# code -> (name, type); types are the keys of _ENCODERS.
_KNOWN: Mapping[int, tuple[str, str]] = {
    1: ("subnet-mask", "ip"),
    2: ("time-offset", "int32"),
    3: ("routers", "ips"),
    4: ("time-servers", "ips"),
    5: ("ien116-name-servers", "ips"),
    6: ("domain-name-servers", "ips"),
    7: ("log-servers", "ips"),
    8: ("cookie-servers", "ips"),
    9: ("lpr-servers", "ips"),
    10: ("impress-servers", "ips"),
    11: ("resource-location-servers", "ips"),
    12: ("host-name", "text"),
    13: ("boot-size", "uint16"),
    14: ("merit-dump", "text"),
    15: ("domain-name", "text"),
    16: ("swap-server", "ip"),
    17: ("root-path", "text"),
    18: ("extensions-path", "text"),
    19: ("ip-forwarding", "flag"),
    20: ("non-local-source-routing", "flag"),
    21: ("policy-filter", "pairs"),
    22: ("max-dgram-reassembly", "uint16"),
    23: ("default-ip-ttl", "uint8"),
    24: ("path-mtu-aging-timeout", "uint32"),
    25: ("path-mtu-plateau-table", "uint16s"),
    26: ("interface-mtu", "uint16"),
    27: ("all-subnets-local", "flag"),
    28: ("broadcast-address", "ip"),
    29: ("perform-mask-discovery", "flag"),
    30: ("mask-supplier", "flag"),
    31: ("router-discovery", "flag"),
    32: ("router-solicitation-address", "ip"),
    33: ("static-routes", "pairs"),
    34: ("trailer-encapsulation", "flag"),
    35: ("arp-cache-timeout", "uint32"),
    36: ("ieee802-3-encapsulation", "flag"),
    37: ("default-tcp-ttl", "uint8"),
    38: ("tcp-keepalive-interval", "uint32"),
    39: ("tcp-keepalive-garbage", "flag"),
    40: ("nis-domain", "text"),
    41: ("nis-servers", "ips"),
    42: ("ntp-servers", "ips"),
    43: ("vendor-encapsulated-options", "bytes"),
    44: ("netbios-name-servers", "ips"),
    45: ("netbios-dd-server", "ips"),
    46: ("netbios-node-type", "uint8"),
    47: ("netbios-scope", "text"),
    48: ("font-servers", "ips"),
    49: ("x-display-manager", "ips"),
    51: ("dhcp-lease-time", "uint32"),
    61: ("dhcp-client-identifier", "bytes"),
    64: ("nisplus-domain", "text"),
    65: ("nisplus-servers", "ips"),
    66: ("tftp-server-name", "text"),
    67: ("bootfile-name", "text"),
    68: ("mobile-ip-home-agent", "ips"),
    69: ("smtp-server", "ips"),
    70: ("pop-server", "ips"),
    71: ("nntp-server", "ips"),
    72: ("www-server", "ips"),
    73: ("finger-server", "ips"),
    74: ("irc-server", "ips"),
    75: ("streettalk-server", "ips"),
    76: ("streettalk-directory-assistance-server", "ips"),
    85: ("nds-servers", "ips"),
    86: ("nds-tree-name", "text"),
    87: ("nds-context", "text"),
    88: ("bcms-controller-names", "names"),
    89: ("bcms-controller-address", "ips"),
    98: ("uap-servers", "text"),
    100: ("pcode", "text"),
    101: ("tcode", "text"),
    112: ("netinfo-server-address", "ips"),
    113: ("netinfo-server-tag", "text"),
    114: ("default-url", "text"),
    117: ("name-service-search", "uint16s"),
    119: ("domain-search", "names"),
    121: ("classless-static-routes", "routes"),  # RFC 3442; dhcpd has no name for it (services sheet 4.3)
    136: ("pana-agent", "ips"),
    138: ("capwap-ac-v4", "ips"),
    150: ("tftp-server-address", "ips"),
    209: ("loader-configfile", "text"),
    210: ("loader-pathprefix", "text"),
    211: ("loader-reboottime", "uint32"),
}
_CODES = {name: code for code, (name, _) in _KNOWN.items()}
NAMELESS = frozenset({121})  # known by a name of ours only


@dataclass(frozen=True, slots=True)
class Option:
    """`code` 1 to 254; `name` as dhcpd knows it, "" if it knows none; `octets` as they go over the wire."""

    code: int
    name: str
    octets: bytes

    @property
    def hex(self) -> str:
        """``0a:01:00:01``, as both servers read it."""
        return self.octets.hex(":")


def option(key: str, value: str) -> Option:
    """The option `key` (a code or a name) with `value`; several values are separated by commas.

    A code without a known type takes octets (``01:02:ff``), addresses, or else text. Raises ValueError with what was
    expected and what was found.
    """
    code = _CODES.get(key.lower(), 0) or (int(key) if _NUMBER.fullmatch(key) else 0)
    if not 1 <= code <= 254:
        raise ValueError(f"no DHCP option is called {key!r}: give a code from 1 to 254, or a name of dhcp-options(5)")
    if code in _MANAGED:
        raise ValueError(f"DHCP option {key} {_MANAGED[code]}")
    name, kind = _KNOWN.get(code, ("", "any"))
    try:
        octets = _ENCODERS[kind][1](value.strip())
    except ValueError as problem:
        raise ValueError(f"DHCP option {key}: expected {_ENCODERS[kind][0]}, found {value!r}") from problem
    if not 1 <= len(octets) <= MAX_BYTES:
        raise ValueError(f"DHCP option {key}: {len(octets)} octets, and it may have 1 to {MAX_BYTES}")
    return Option(code, "" if code in NAMELESS else name, octets)


def options(given: Mapping[str, str]) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """(those that are right, by code; what is wrong with the others). The same one twice is wrong."""
    found: dict[int, Option] = {}
    faults = []
    for key, value in sorted(given.items()):
        try:
            one = option(key, value)
        except ValueError as problem:
            faults.append(str(problem))
            continue
        if one.code in found:
            faults.append(f"DHCP option {key} is given twice")
            continue
        found[one.code] = one
    return tuple(found[code] for code in sorted(found)), tuple(faults)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _ips(text: str) -> bytes:
    return b"".join(IPv4Address(part).packed for part in _split(text))


def _pairs(text: str) -> bytes:
    parts = [word for part in _split(text) for word in part.split()]
    if len(parts) % 2:
        raise ValueError("not in pairs")
    return b"".join(IPv4Address(part).packed for part in parts)


def _routes(text: str) -> bytes:
    """``10.98.0.0/24 10.99.0.1, …``: prefix length, the octets it covers, the router (services sheet 4.3)."""
    words = [word for part in _split(text) for word in part.split()]
    if len(words) % 2:
        raise ValueError("not in pairs")
    found = b""
    for destination, router in zip(words[::2], words[1::2], strict=True):
        network = IPv4Network(destination)
        significant = network.network_address.packed[: (network.prefixlen + 7) // 8]
        found += bytes([network.prefixlen]) + significant + IPv4Address(router).packed
    return found


def _number(size: int, signed: bool = False) -> Callable[[str], bytes]:
    def encode(text: str) -> bytes:
        if not _NUMBER.fullmatch(text):
            raise ValueError("not a number")
        try:
            return int(text).to_bytes(size, "big", signed=signed)
        except OverflowError as problem:
            raise ValueError("too large") from problem

    return encode


def _flag(text: str) -> bytes:
    value = {"false": 0, "off": 0, "0": 0, "true": 1, "on": 1, "1": 1}.get(text.lower())
    if value is None:
        raise ValueError("not a flag")
    return bytes([value])


def _octets(text: str) -> bytes:
    if not _BYTES.fullmatch(text):
        raise ValueError("not octets")
    return bytes(int(part, 16) for part in text.split(":"))


def _text(text: str) -> bytes:
    if not text.isascii() or not text.isprintable():
        raise ValueError("not printable ASCII")
    return text.encode("ascii")


def _names(text: str) -> bytes:
    """Each as labels with their lengths, uncompressed (RFC 3397)."""
    found = b""
    for name in _split(text):
        labels = name.rstrip(".").split(".")
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise ValueError("not a name")
        found += b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"
    return found


def _any(text: str) -> bytes:
    if ":" in text and _BYTES.fullmatch(text):
        return _octets(text)
    if _NUMBER.fullmatch(text):
        raise ValueError("how many octets it has is not known")
    try:
        return _ips(text)
    except ValueError:
        return _text(text)


_ENCODERS: Mapping[str, tuple[str, Callable[[str], bytes]]] = {
    "ip": ("an IPv4 address", lambda text: IPv4Address(text).packed),
    "ips": ("IPv4 addresses", _ips),
    "pairs": ("pairs of IPv4 addresses", _pairs),
    "routes": ("CIDRs, each with a router", _routes),
    "uint8": ("a number from 0 to 255", _number(1)),
    "uint16": ("a number from 0 to 65535", _number(2)),
    "uint32": ("a number from 0 to 4294967295", _number(4)),
    "int32": ("a number of 32 bits", _number(4, signed=True)),
    "uint16s": ("numbers from 0 to 65535", lambda text: b"".join(_number(2)(part) for part in _split(text))),
    "flag": ("true or false", _flag),
    "bytes": ("octets such as 01:02:ff", _octets),
    "text": ("printable ASCII text", _text),
    "names": ("domain names", _names),
    "any": ("octets such as 01:02:ff (a number too), addresses, or text", _any),
}
