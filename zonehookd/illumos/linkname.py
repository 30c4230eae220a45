"""Names and MAC addresses of datalinks (network sheet 1.1, 3.6)."""

from __future__ import annotations

import hashlib
import re

LENGTH_MAX = 31  # MAXLINKNAMELEN counts the NUL
_RULE = re.compile(r"(?=.{2,31}\Z)[A-Za-z_.](?:[A-Za-z0-9_.]*[A-Za-z_.])?(?:0|[1-9][0-9]*)", re.ASCII)
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}", re.ASCII)


def legal(name: str) -> bool:
    """As dladm checks it: letters, digits, `_`, `.`; no leading digit; a trailing number without leading zero."""
    return _RULE.fullmatch(name) is not None


def legal_from(words: str) -> str:
    """A legal link name made of any text, the same each time: `dmz` gives `dmz0`, `my-net` gives `my_net0`."""
    body = re.sub(r"[^A-Za-z0-9_.]", "_", words)
    if not body or body[0].isdigit():
        body = f"_{body}"
    if body[-1].isdigit():
        body += "_"
    name = f"{body}0"
    if len(name) <= 24:  # kstat names hold 30 characters, and SmartOS prefixes them
        return name
    return f"{body[:14]}_{hashlib.sha256(words.encode()).hexdigest()[:7]}_0"


def normal_mac(text: str) -> str:
    """`2:8:20:a:b:c` and `02:08:20:0A:0B:0C` are one address: padded, lower case. Raises ValueError."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"not a MAC address: {text!r}")
    return ":".join([octet.zfill(2) for octet in text.lower().split(":")])


def unicast_mac(text: str) -> str:
    """A MAC that a link may have: not multicast, not broadcast, not zero (network sheet 2.5). Raises ValueError."""
    mac = normal_mac(text)
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError(f"not a MAC address that a link may have: {text!r}")
    return mac


def derived_mac(site: str, link: str, attempt: int = 0) -> str:
    """The MAC a new link of ours gets: illumos' own prefix and 24 bits of a hash. Allocated once, then recorded.

    Derived and not random, so that lost records can be rebuilt: a link that carries the MAC of its own name is ours.
    """
    digest = hashlib.sha256(f"zonehookd\0{site}\0{link}\0{attempt}".encode()).digest()
    return ":".join(["02", "08", "20", *(f"{octet:02x}" for octet in digest[:3])])
