"""How the daemon itself works: places, commands, times, plugins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from zonehookd.config.section import Section


class PathsSection(Section):
    """`[paths]`: where things lie."""

    zones: Path = Field(Path("/etc/zones"), description="where zonecfg keeps the index and the XML files")
    state: Path = Field(Path("/var/lib/zonehookd"), description="our books; mode 0700")
    run: Path = Field(Path("/var/run/zonehookd"), description="control and event sockets; mode 0700")
    audit: Path = Field(Path("/var/log/zonehookd/audit.jsonl"), description="one JSON object per external command")


class CommandsSection(Section):
    """`[commands]`: how the system's commands are run."""

    search_path: str = Field(
        default_factory=lambda: os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin"),
        description="where dladm, zoneadm and the others are found; by default the PATH we were started with",
    )
    parallel: int = Field(4, ge=1, le=64, description="changing commands at once")
    output_max_bytes: int = Field(64 << 20, ge=4096, description="per command and stream")


class TimingSection(Section):
    """`[timing]`: how often the daemon looks by itself, and how long it waits. Seconds."""

    poll_s: float = Field(10.0, ge=0.05, le=3600, description="zoneadm list at least this often")
    full_look_s: float = Field(60.0, ge=0.1, le=86400, description="every subject looked at, changed or not")
    files_s: float = Field(0.1, ge=0.01, le=60, description="stat of /etc/zones")
    heartbeat_s: float = Field(10.0, ge=0.1, le=3600, description="zone channel silent so long: does it still deliver?")
    pace_s: float = Field(0.02, ge=0.0, le=10, description="shortest pause between two looks; bursts gather in it")
    absence_s: float = Field(1.0, ge=0.0, le=3600, description="a zone is gone when missing for this long, seen twice")
    retry_max_s: float = Field(30.0, ge=0.1, le=3600, description="longest pause between two tries")


class GuardSection(Section):
    """`[guard]`: what happens to a gateway that other zones depend on, and to a boot that comes before its links."""

    without_daemon: Literal["block", "record", "allow"] = Field(
        "block",
        description="uninstall of a gateway while zonehookd cannot be asked; record: blocked if zones depended on it",
    )
    halt: Literal["allow", "deny"] = Field("allow", description="deny: no halt of a gateway with running dependents")
    restore: Literal["ask", "auto"] = Field("ask", description="auto: a vanished gateway is restored at once")
    boot: Literal["allow", "deny"] = Field("allow", description="a boot whose links could not be made in time")


class MetricsSection(Section):
    """`[metrics]`: what Prometheus finds."""

    listen: str = Field("127.0.0.1:9631", description="HOST:PORT of /metrics, /healthz, /readyz; empty: off")
    zones_max: int = Field(100, ge=0, description="at most this many zones get a degraded gauge of their own")
    traffic: bool = Field(False, description="counters of each link on a declared network, read by one `kstat`")
    traffic_s: float = Field(15.0, ge=0.5, le=3600, description="so often, in seconds: no more than Prometheus scrapes")
    links_max: int = Field(1000, ge=0, le=100_000, description="traffic of at most this many links is shown")


class EventsSection(Section):
    """`[events]`: the event stream. On this host it is always there for its owner; over TCP, by CURVE keys alone."""

    listen: str = Field("", description="ADDRESS:PORT for subscribers on other hosts; empty: none")
    keys: Path = Field(Path("/etc/zonehookd/keys"), description="who they may be; made by `zonehookctl keys`")
    queue: int = Field(10_000, ge=100, le=1_000_000, description="so many announcements wait for a slow subscriber")
    pulse_s: float = Field(5.0, ge=0.05, le=3600, description="seconds between two pulses, which say what was lost")

    @field_validator("listen")
    @classmethod
    def _literal(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        literal = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        good = _is_address(literal, literal != host) and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535
        if value and not good:
            raise ValueError("expected ADDRESS:PORT, an IPv6 address in brackets")
        return value


def _is_address(text: str, bracketed: bool) -> bool:
    try:
        return (ip_address(text).version == 6) is bracketed
    except ValueError:
        return False


# In this order, as far as their own `after` leaves it open.
STANDARD = (
    "etherstub", "pool", "address", "vnic", "gateway_nic", "boot_again", "nat", "gateway", "keeper", "zap",
    "zone_address", "dhcpd", "dnsmasq", "haproxy", "nginx",
)  # fmt: skip


class RunSection(Section):
    """`[plugins.run.NAME]`: how the process of one plugin that is not ours is run."""

    required: bool = Field(False, description="without its answer a zone is degraded; else that is only said")
    deadline_s: float = Field(10.0, ge=0.1, le=600, description="an answer that takes longer is none: it is ended")
    memory_max_mb: int = Field(256, ge=32, le=65536, description="MiB; its address space, and what it keeps in memory")
    user: str = Field("", description="as whom it works, its commands and files too; by default as zonehookd itself")


class PluginsSection(Section):
    """`[plugins]`: which plugins work, where they are found, and what each is told."""

    folders: list[Path] = Field(default_factory=list, description="further folders of plugins; ours are always there")
    enabled: list[str] = Field(default=list(STANDARD), description="which plugins work")
    also: list[str] = Field(default_factory=list, description="which work beside those that are enabled")
    options: Mapping[str, dict[str, Any]] = Field(default_factory=dict, description="one table per plugin")
    run: Mapping[str, RunSection] = Field(default_factory=dict, description="by name, for plugins that are not ours")

    @property
    def working(self) -> list[str]:
        """Those that are enabled, and those that work beside them; each once."""
        return list(dict.fromkeys([*self.enabled, *self.also]))


class LogSection(Section):
    """`[log]`: what the daemon writes to its standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is written")
    format: Literal["auto", "text", "json"] = Field("auto", description="auto: text on a terminal, else JSON")
