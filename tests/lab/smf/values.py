"""Property values: their types, how they are checked, and how `svcprop` prints them [services 3.4, 3.5]."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

TYPES = (
    "astring", "ustring", "boolean", "count", "integer", "time", "fmri", "uri", "host", "hostname", "net_address",
    "net_address_v4", "net_address_v6", "opaque",
)  # fmt: skip
_QUOTED = set(";&()|^<>\n \t\\\"'`")


@dataclass(frozen=True)
class Property:
    """One property: a type and any number of values, all as text."""

    type: str
    values: tuple[str, ...]

    def shown(self) -> str:
        """The values as `svcprop` prints them: one line, blanks between."""
        return " ".join(quote(value) for value in self.values)


def quote(value: str) -> str:
    """Backslash before what a shell would take; the empty string is ``""`` [services 3.4]."""
    return "".join(f"\\{letter}" if letter in _QUOTED else letter for letter in value) or '""'


def _address(text: str, kinds: tuple[int, ...]) -> bool:
    try:
        return ipaddress.ip_interface(text).version in kinds
    except ValueError:
        return False


def _matching(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "boolean": lambda text: text in ("true", "false", "0", "1"),
    "count": _matching(r"\d+"),
    "integer": _matching(r"-?\d+"),
    "time": _matching(r"-?\d+(\.\d{1,9})?"),
    "net_address": lambda text: _address(text, (4, 6)),
    "net_address_v4": lambda text: _address(text, (4,)),
    "net_address_v6": lambda text: _address(text, (6,)),
    "opaque": _matching(r"([0-9a-fA-F]{2})*"),
    "hostname": _matching(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"),
    "fmri": _matching(r"(svc|lrc|file):.*"),
}


def valid(kind: str, text: str) -> bool:
    """Whether `text` is a value of type `kind`; types without a rule of their own take any text."""
    check = _CHECKS.get(kind)
    return check is None or check(text)


def boolean(value: bool) -> Property:
    return Property("boolean", ("true" if value else "false",))


def astring(*values: str) -> Property:
    return Property("astring", values)


def count(value: int) -> Property:
    return Property("count", (str(value),))
