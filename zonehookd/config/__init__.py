"""The configuration: a TOML file and its drop-ins, validated whole. An error gives file, key, expected, found.

Beside FILE.toml every FILE.d/*.toml is read, in the order of the names. A drop-in holds whole networks, gateways and
provisioning networks, nothing else, and nobody declares the same one twice: so a command may own a file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from zonehookd.config.daemon import (
    STANDARD,
    CommandsSection,
    EventsSection,
    GuardSection,
    LogSection,
    MetricsSection,
    PathsSection,
    PluginsSection,
    RunSection,
    TimingSection,
)
from zonehookd.config.gateway import (
    ForwardSection,
    GatewaySection,
    ProxySection,
    RouteSection,
    StaticSection,
    TlsSection,
)
from zonehookd.config.hooks import HooksSection, OnFailureSection
from zonehookd.config.network import DhcpSection, NameSection, NetworkSection
from zonehookd.config.provisioning import ProvisioningSection
from zonehookd.config.section import NetworkName, Section
from zonehookd.errors import ConfigError

__all__ = [
    "DEFAULT_FILE",
    "STANDARD",
    "CommandsSection",
    "Config",
    "DhcpSection",
    "EventsSection",
    "ForwardSection",
    "GatewaySection",
    "GuardSection",
    "HooksSection",
    "LogSection",
    "MetricsSection",
    "NameSection",
    "NetworkName",
    "NetworkSection",
    "OnFailureSection",
    "Origins",
    "PathsSection",
    "PluginsSection",
    "ProvisioningSection",
    "ProxySection",
    "RouteSection",
    "RunSection",
    "Section",
    "StaticSection",
    "TimingSection",
    "TlsSection",
    "drop_ins",
    "events",
    "explain",
    "load",
    "paths",
]

DEFAULT_FILE = Path("/etc/zonehookd/zonehookd.toml")
AnySection = TypeVar("AnySection", bound=Section)
_MERGED = ("network", "gateway", "provisioning")  # what drop-ins may hold


class Origins:
    """Which file declares what. `of`: ``network.dmz`` -> file; all else stands in the main `file`."""

    def __init__(self, file: Path | None = None, of: Mapping[str, Path] | None = None) -> None:
        self.file = file
        self.of = of or {}

    def located(self, fault: str) -> str:
        """A fault that begins with its key, with its file before it; as it is when there is no file."""
        keys = (key for key in self.of if fault.startswith(key) and fault[len(key) : len(key) + 1] in (".", ":"))
        key = max(keys, key=len, default=None)  # a zone may be called web.1, and another web
        file = self.of[key] if key is not None else self.file
        return f"{file}: {fault}" if file is not None else fault


class Config(Section):
    site: str = Field(
        default_factory=lambda: os.uname().nodename,
        min_length=1,
        description="goes into the MACs we give, so that two hosts never give the same; the host name by default",
    )
    network: Mapping[NetworkName, NetworkSection] = Field(default_factory=dict, description="by name")
    gateway: Mapping[str, GatewaySection] = Field(default_factory=dict, description="by the name of its zone")
    provisioning: Mapping[NetworkName, ProvisioningSection] = Field(default_factory=dict, description="by name")
    paths: PathsSection = PathsSection()
    commands: CommandsSection = Field(default_factory=lambda: CommandsSection())
    timing: TimingSection = TimingSection()
    guard: GuardSection = GuardSection()
    metrics: MetricsSection = MetricsSection()
    events: EventsSection = EventsSection()
    plugins: PluginsSection = PluginsSection()
    hooks: HooksSection = HooksSection()
    log: LogSection = LogSection()
    _origins: Origins = PrivateAttr(default_factory=Origins)

    @property
    def origins(self) -> Origins:
        return self._origins


def drop_ins(path: Path) -> Sequence[Path]:
    """The drop-ins of a configuration file, in order. Raises ConfigError when the folder cannot be read."""
    folder = path.with_suffix(".d")
    try:
        found = [each for each in folder.iterdir() if each.suffix == ".toml" and not each.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise ConfigError(f"{folder}: cannot read it: {problem}") from problem
    return sorted(found)


def load(path: Path) -> Config:
    """`path` and its drop-ins. Raises ConfigError; what is declared is checked as a whole in `declaration.declare`."""
    merged = _read(path)
    origins: dict[str, Path] = {}
    for section in _MERGED:
        tables = merged.get(section, {})
        if isinstance(tables, dict):
            origins.update({f"{section}.{name}": path for name in tables})
    for drop_in in drop_ins(path):
        _merge(merged, _read(drop_in), origins, path, drop_in)
    try:
        config = Config.model_validate(merged)
    except ValidationError as problem:
        raise ConfigError("\n".join(explain(problem, Origins(path, origins), Config))) from problem
    config._origins = Origins(path, origins)
    return config


def paths(path: Path) -> PathsSection:
    """The [paths] of the main file, whatever else is wrong with it: who asks the daemon needs no more."""
    return _alone(path, "paths", PathsSection)


def events(path: Path) -> EventsSection:
    """The [events] of the main file, in the same way: the keys are there before a daemon can start."""
    return _alone(path, "events", EventsSection)


def _alone(path: Path, name: str, section: type[AnySection]) -> AnySection:
    try:
        return section.model_validate(_read(path).get(name, {}))
    except ValidationError as problem:
        faults = (f"{path}: {name}.{fault}" for fault in explain(problem, Origins(), section))
        raise ConfigError("\n".join(faults)) from problem


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot read it: {problem}", hint="give the file with --config") from problem
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: not TOML: {problem}") from problem


def _merge(
    merged: dict[str, Any], drop_in: Mapping[str, Any], origins: dict[str, Path], path: Path, file: Path
) -> None:
    faults = []
    for section, tables in drop_in.items():
        if section not in _MERGED:
            near = difflib.get_close_matches(section, _MERGED, 1)
            known = section in Config.model_fields
            hint = f"it belongs into {path}" if known else f"did you mean {near[0]!r}?" if near else "no such section"
            faults.append(f"{file}: {section}: a drop-in holds only {', '.join(_MERGED)} ({hint})")
            continue
        here = merged.setdefault(section, {})
        if not isinstance(tables, dict) or not isinstance(here, dict):
            faults.append(f"{file}: {section}: expected tables such as [{section}.NAME]")
            continue
        for name, table in tables.items():
            owner = origins.setdefault(f"{section}.{name}", file)
            if owner != file:
                faults.append(f"{file}: {section}.{name}: is declared in {owner} already (hint: keep one of the two)")
            else:
                here[name] = table
    if faults:
        raise ConfigError("\n".join(faults))


def explain(problem: ValidationError, origins: Origins, model: type[BaseModel]) -> Iterator[str]:
    """One line per fault: file, key, expected, found, and the nearest known key for one that is unknown."""
    for fault in problem.errors(include_url=False):
        place = [str(part) for part in fault["loc"]]
        key = ".".join(place)
        if fault["type"] == "extra_forbidden":
            known = _known_keys(model, place[:-1])
            near = difflib.get_close_matches(place[-1], known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
            yield origins.located(f"{key}: unknown key ({hint})")
        else:
            yield origins.located(f"{key}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}")


def _known_keys(model: type[BaseModel], place: list[str]) -> list[str]:
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
            if getattr(current, "__args__", None):  # Mapping[name, Section], list[Section], Section | None
                sections = [each for each in current.__args__ if isinstance(each, type) and issubclass(each, BaseModel)]
                current = sections[-1] if sections else None
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
