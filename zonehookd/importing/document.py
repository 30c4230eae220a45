"""The declaration that an import makes, as a TOML file that people read: comments, networks, gateways."""

from __future__ import annotations

import ipaddress
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError

from zonehookd.config import Config, Origins, explain
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname


@dataclass(frozen=True, slots=True)
class Uplink:
    """The way out, which no record of the other tools says in full: a link, and the range of the network it is on."""

    link: str
    cidr: str = ""


@dataclass(slots=True)
class Table:
    """One ``[section.name]``: its keys in order, and comments above them."""

    values: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """`source`: what was read. `stays` and `lost`: one line each, ``what: why``."""

    source: str
    networks: dict[str, Table] = field(default_factory=dict)
    gateways: dict[str, Table] = field(default_factory=dict)
    zones: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The file. Raises ConfigError when zonehookd would refuse it: then the input cannot be taken as it is."""
        written = tomlkit.document()
        _comment(written, f"Imported from {self.source}. Check it with: zonehookd --check --config FILE")
        for title, lines in (
            ("Zones, and how each finds its network:", self.zones),
            ("Stays as it is, outside this file:", self.stays),
            ("NOT EXPRESSED HERE:", self.lost),
        ):
            if lines:
                written.add(tomlkit.nl())
                _comment(written, title)
                for line in lines:
                    _comment(written, f"  {line}")
        for section, tables in (("network", self.networks), ("gateway", self.gateways)):
            if tables:
                written[section] = _section(tables)
        text = tomlkit.dumps(written)
        self._check(text)
        return text

    def _check(self, text: str) -> None:
        refused = f"{self.source} cannot be taken over as it is:\n"
        try:
            declare(Config.model_validate(tomllib.loads(text)))
        except ConfigError as problem:
            raise ConfigError(refused + str(problem.args[0]), hint=problem.hint) from problem
        except ValidationError as problem:
            raise ConfigError(refused + "\n".join(explain(problem, Origins(), Config))) from problem

    def way_out(self, uplink: Uplink | None) -> str | None:
        """The name of the network over `uplink`, made when no imported one lies there; None without an uplink."""
        if uplink is None:
            return None
        for name, table in self.networks.items():
            if table.values.get("uplink") == uplink.link:
                return name
        if not uplink.cidr:
            raise ConfigError(f"the range of the network on {uplink.link} is not known", hint="give --uplink-cidr")
        table = Table({"cidr": uplink.cidr, "uplink": uplink.link, "dhcp": False}, ["The way out."])
        name = _free_name("uplink", self.networks)
        self.networks[name] = table
        return name


def network_name(text: str, taken: Mapping[str, Table]) -> str:
    """A name that a network may have, made of `text`; `text` itself where it may be one."""
    body = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in text)[:31]
    if not body or not body[0].isalpha():
        body = f"n{body}"[:31]
    return _free_name(body, taken)


def _free_name(wanted: str, taken: Mapping[str, Table]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted[:27]}-{number}", number + 1
    return name


def attribute(zone: str, index: int, link: str, wish: str) -> str:
    """The command that gives a zone a NIC on a network by name."""
    return (
        f"zonecfg -z {shlex.quote(zone)} 'add net; set physical={link}; end; "
        f'add attr; set name=zh.net{index}; set type=string; set value="{wish}"; end\''
    )


def zone_link(zone: str, index: int) -> str:
    return linkname.legal_from(zone) if index == 0 else linkname.legal_from(f"{zone}_{index}")


def holds(cidr: str, address: str) -> bool:
    """Whether `address` is in `cidr`; False when one of them is neither."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(cidr)
    except ValueError:
        return False


def read(file: Path) -> str:
    """Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{file}: cannot read it: {problem}") from problem


def _section(tables: Mapping[str, Table]) -> Any:
    section = tomlkit.table(is_super_table=True)
    for name, table in tables.items():
        written = tomlkit.table()
        for line in table.comments:
            _comment(written, line)
        for key, value in table.values.items():
            written[key] = value
        section[name] = written
    return section


def _comment(where: Any, text: str) -> None:
    """Lines of a comment; what TOML forbids in one is shown as an escape."""
    for line in text.splitlines() or [""]:
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
        where.add(tomlkit.comment(shown))
