"""The file that `provisioning setup` keeps: one section, which an admin may edit, comments and all."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from zonehookd.errors import ConfigError

_MADE_BY = (
    "Made by `zonehookctl provisioning setup`. Change it as you like, then `zonehookctl reload`.",
    "`zonehookctl provisioning teardown` removes it.",
)


def place(config: Path, name: str) -> Path:
    return config.with_suffix(".d") / f"provisioning-{name}.toml"


def section(text: str | None, name: str, file: Path) -> Mapping[str, Any]:
    """What the file says of `name`; nothing when it is not there. Raises ConfigError."""
    try:
        found = tomllib.loads(text or "").get("provisioning", {})
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{file}: not TOML: {problem}") from problem
    here = found.get(name, {}) if isinstance(found, dict) else {}
    return here if isinstance(here, dict) else {}


def written(text: str | None, name: str, values: Mapping[str, Any], file: Path) -> str:
    """`text` with these values in its section. Raises ConfigError."""
    try:
        document = tomlkit.parse(text) if text else tomlkit.document()
    except TOMLKitError as problem:
        raise ConfigError(f"{file}: not TOML: {problem}") from problem
    if not text:
        for line in _MADE_BY:
            document.add(tomlkit.comment(line))
        document.add(tomlkit.nl())
    sections = document.setdefault("provisioning", tomlkit.table(is_super_table=True))
    table = sections.setdefault(name, tomlkit.table())
    for key, value in values.items():
        if table.get(key) != value:
            table[key] = value
    return tomlkit.dumps(document)
