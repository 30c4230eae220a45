"""The configuration: one TOML file, validated whole. An error gives file, key, what was expected, what was found."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from zonehookd.errors import ConfigError

DEFAULT_FILE = Path("/etc/zonehookd/zonehookd.toml")
NetworkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkSection(Section):
    """One `[network.NAME]`."""

    cidr: str | list[str] = Field(description="IPv4 /8 to /30, IPv6 /48 to /126; at most one of each")
    etherstub: str | None = Field(None, description="internal: name of the etherstub; made from the name by default")
    uplink: str | None = Field(None, description="external: the physical link or aggregation its VNICs are made over")
    mtu: int | None = Field(None, ge=576, le=9000, description="bytes; 1500 for an etherstub unless told otherwise")
    gateway: str | list[str] | None = Field(None, description="gateway address; the lowest host address by default")
    isolated: bool = Field(False, description="may overlap other networks; zones must name it")
    antispoof: bool = Field(True, description="a zone may only send from the addresses it was given")


class PathsSection(Section):
    zones: Path = Field(Path("/etc/zones"), description="where zonecfg keeps the index and the XML files")
    state: Path = Field(Path("/var/lib/zonehookd"), description="our books; mode 0700")
    run: Path = Field(Path("/var/run/zonehookd"), description="control and event sockets; mode 0700")
    audit: Path = Field(Path("/var/log/zonehookd/audit.jsonl"), description="one JSON object per external command")


class CommandsSection(Section):
    search_path: str = Field(
        default_factory=lambda: os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin"),
        description="where dladm, zoneadm and the others are found; by default the PATH we were started with",
    )
    parallel: int = Field(4, ge=1, le=64, description="changing commands at once")
    output_max_bytes: int = Field(64 << 20, ge=4096, description="per command and stream")


class TimingSection(Section):
    poll_s: float = Field(10.0, ge=0.05, le=3600, description="zoneadm list at least this often")
    full_look_s: float = Field(60.0, ge=0.1, le=86400, description="every subject looked at, changed or not")
    files_s: float = Field(0.1, ge=0.01, le=60, description="stat of /etc/zones")
    pace_s: float = Field(0.02, ge=0.0, le=10, description="shortest pause between two looks; bursts gather in it")
    absence_s: float = Field(1.0, ge=0.0, le=3600, description="a zone is gone when missing for this long, seen twice")
    retry_max_s: float = Field(30.0, ge=0.1, le=3600, description="longest pause between two tries")


class MetricsSection(Section):
    listen: str = Field("127.0.0.1:9631", description="HOST:PORT of /metrics, /healthz, /readyz; empty: off")
    zones_max: int = Field(100, ge=0, description="at most this many zones get a degraded gauge of their own")


class PluginsSection(Section):
    folders: list[Path] = Field(default_factory=list, description="further folders of plugins; ours are always there")
    enabled: list[str] = Field(default=["etherstub", "vnic", "boot_again"], description="which plugins work")
    options: Mapping[str, dict[str, Any]] = Field(default_factory=dict, description="one table per plugin")


class LogSection(Section):
    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    format: str = Field("auto", pattern="^(auto|text|json)$", description="auto: text on a terminal, else JSON")


class Config(Section):
    site: str = Field(
        default_factory=lambda: os.uname().nodename,
        min_length=1,
        description="goes into the MACs we give, so that two hosts never give the same; the host name by default",
    )
    network: Mapping[NetworkName, NetworkSection] = Field(default_factory=dict)
    paths: PathsSection = PathsSection()
    commands: CommandsSection = Field(default_factory=lambda: CommandsSection())
    timing: TimingSection = TimingSection()
    metrics: MetricsSection = MetricsSection()
    plugins: PluginsSection = PluginsSection()
    log: LogSection = LogSection()


def load(path: Path) -> Config:
    """Raises ConfigError; the networks are checked against each other in `networks.declare`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: cannot read it: {problem}", hint="give the file with --config") from problem
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: not TOML: {problem}") from problem
    except ValidationError as problem:
        raise ConfigError("\n".join(explain(problem, path, Config))) from problem


def explain(problem: ValidationError, path: Path, model: type[BaseModel]) -> Iterator[str]:
    """One line per fault: file, key, expected, found, and the nearest known key for one that is unknown."""
    for fault in problem.errors(include_url=False):
        place = [str(part) for part in fault["loc"]]
        key = ".".join(place)
        if fault["type"] == "extra_forbidden":
            known = _known_keys(model, place[:-1])
            near = difflib.get_close_matches(place[-1], known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
            yield f"{path}: {key}: unknown key ({hint})"
        else:
            yield f"{path}: {key}: {fault['msg'][:1].lower()}{fault['msg'][1:]}, found {fault['input']!r}"


def _known_keys(model: type[BaseModel], place: list[str]) -> list[str]:
    current: Any = model
    for part in place:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
            if getattr(current, "__args__", None):  # Mapping[name, Section]
                current = current.__args__[-1]
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []
