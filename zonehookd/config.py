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
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, field_validator

from zonehookd.errors import ConfigError

DEFAULT_FILE = Path("/etc/zonehookd/zonehookd.toml")
_MERGED = ("network", "gateway", "provisioning")  # what drop-ins may hold
NetworkName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,30}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DhcpSection(Section):
    """One `[network.NAME.dhcp]`: what the network's clients are told. `dhcp = false` is short for enabled = false."""

    enabled: bool = Field(True, description="false: nobody serves DHCP on this network")
    lease_s: int = Field(300, ge=60, le=31_536_000, description="clients renew at half of it, in seconds")
    dynamic: list[str] = Field(default_factory=list, description="ranges FIRST-LAST for clients that are no zone")
    resolvers: list[str] = Field(default_factory=list, description="by default the gateway, where it answers names")
    search: list[str] = Field(default_factory=list, description="search domains")
    ntp: list[str] = Field(default_factory=list, description="time servers, by address")
    next_server: str | None = Field(None, description="address of the boot server")
    boot_file: str = Field("", max_length=127, description="boot file name")
    options: Mapping[str, str] = Field(default_factory=dict, description="any other option, by code or name")
    zones: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict, description="ZONE = { OPTION = VALUE }: what this zone is told instead"
    )


class NameSection(Section):
    """One `[[network.NAME.names]]`: a static record; exactly one of the four values."""

    name: str
    a: str | None = None
    aaaa: str | None = None
    cname: str | None = None
    txt: str | None = None


class NetworkSection(Section):
    """One `[network.NAME]`."""

    cidr: str | list[str] = Field(description="IPv4 /8 to /30, IPv6 /48 to /126; at most one of each")
    etherstub: str | None = Field(None, description="internal: name of the etherstub; made from the name by default")
    uplink: str | None = Field(None, description="external: the physical link or aggregation its VNICs are made over")
    mtu: int | None = Field(None, ge=576, le=9000, description="bytes; 1500 for an etherstub unless told otherwise")
    gateway: str | list[str] | None = Field(None, description="gateway address; the lowest host address by default")
    isolated: bool = Field(False, description="may overlap other networks; zones must name it")
    antispoof: bool = Field(True, description="a zone may only send from the addresses it was given")
    via: str | None = Field(None, description="the gateway that holds the gateway address: a [gateway.NAME]")
    gateway_link: str | None = Field(None, description="the gateway's NIC on it; named after the two by default")
    pool: list[str] | None = Field(
        None,
        description="ranges FIRST-LAST or single addresses for NICs that bring none; with `via` the whole IPv4 network",
    )
    exclude: list[str] = Field(default_factory=list, description="ranges or addresses never given to anybody")
    quarantine_s: float = Field(600.0, ge=0, le=31_536_000, description="pause before an address changes its owner")
    address_by: Literal["auto", "dhcp", "zonecfg", "zlogin", "none"] = Field(
        "auto", description="how a zone gets its address and default route; see the README"
    )
    dhcp: DhcpSection = Field(default_factory=lambda: DhcpSection(), description="false: none")
    domain: str = Field("", description="its names end so; by default in the network's own name")
    names: list[NameSection] = Field(default_factory=list, description="static records")

    @field_validator("dhcp", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"enabled": value} if isinstance(value, bool) else value


class ForwardSection(Section):
    """One `[[gateway.NAME.forward]]`: a way in."""

    port: int | str = Field(description="public port, or FIRST-LAST")
    to: str = Field(description="an address behind the gateway, or the name of a zone")
    to_port: int | None = Field(None, ge=1, le=65535, description="first port there; the public one by default")
    protocol: Literal["tcp", "udp", "tcp/udp"] = "tcp"
    public: str | None = Field(None, description="one of the gateway's outer addresses; the first by default")
    sources: list[str] = Field(default_factory=list, description="CIDRs that may use it; by default everybody")
    fixed: bool = Field(False, description="true: a whole range goes to the one port")


class StaticSection(Section):
    """One `[[gateway.NAME.static]]`: one public address for one inner one."""

    public: str
    inside: str = Field(description="an address behind the gateway, or the name of a zone")


class TlsSection(Section):
    """One `[[gateway.NAME.proxy.tls]]`: files in the proxy's own zone; nothing of them is read or copied by us."""

    certificate: str = Field(description="path of the PEM file")
    key: str = Field("", description="path of its key; none: it is in the same file")
    hosts: list[str] = Field(default_factory=list, description="for these names; by default for all that no other has")


class ProxySection(Section):
    """`[gateway.NAME.proxy]`: a reverse proxy in the gateway's zone, for what the zones behind it serve."""

    program: Literal["haproxy", "nginx"] = Field(description="which one; it must be installed there")
    http: int = Field(80, ge=0, le=65535, description="public port for HTTP; 0: none")
    https: int = Field(443, ge=0, le=65535, description="public port for HTTPS, where there is a `tls`")
    listen: list[str] = Field(
        default_factory=list,
        description="on these addresses of its own; by default on all, in the global zone on its outer ones",
    )
    balance: Literal["roundrobin", "leastconn", "source"] = Field("roundrobin", description="among zones of one route")
    tls: list[TlsSection] = Field(default_factory=list)
    tcp_ports: list[int | str] = Field(
        default_factory=list, description="public ports, or FIRST-LAST, that zones may ask for; by default none"
    )
    hosts: Mapping[str, list[str]] = Field(
        default_factory=dict, description="HOST or *.DOMAIN = [ZONES]: only these may serve it; * and ? stand for any"
    )
    drain_s: float = Field(10.0, ge=0, le=3600, description="a zone that leaves may finish what it serves, so long")


class RouteSection(Section):
    """One `[[gateway.NAME.route]]`: as the attribute ``zh.route`` of a zone says it, declared here."""

    to: str = Field(description="the zone, or an address behind the gateway")
    host: str | list[str] = Field(default_factory=list, description="host names, each perhaps with a path")
    tcp: int | None = Field(None, ge=1, le=65535, description="instead of hosts: a public TCP port")
    port: int | None = Field(None, ge=1, le=65535, description="port there; 80, or for tcp the public one")
    weight: int = Field(1, ge=1, le=256)
    check: str = Field("tcp", description="tcp, no, or a path that answers below 400 when it is well")
    group: str = Field("", description="who says the same one shares the route")
    on: str = Field("", description="the network by which it is reached, where the zone is on several")


class GatewaySection(Section):
    """One `[gateway.NAME]`: NAME is its zone, or `global`."""

    kind: Literal["proxy", "router", "global", "external"] | None = Field(
        None, description="proxy: a zone that has other work too; router: a zone for nothing else; external: only wired"
    )
    outside: str | None = Field(None, description="the network of its outer NIC")
    address: str | list[str] | None = Field(None, description="its outer addresses; by default one of the pool")
    link: str | None = Field(None, description="its outer NIC; named after zone and network by default")
    nat: bool = Field(True, description="what leaves shows the outer address")
    forward: list[ForwardSection] = Field(default_factory=list)
    static: list[StaticSection] = Field(default_factory=list)
    dhcp: Literal["auto", "dhcpd", "dnsmasq", "none"] = Field("auto", description="auto: what the system has")
    dns: Literal["dnsmasq", "none"] = Field("dnsmasq", description="who answers names on the inner side")
    upstream: list[str] = Field(default_factory=list, description="resolvers it asks for the names of others")
    proxy: ProxySection | None = Field(None, description="a reverse proxy for the zones behind it")
    route: list[RouteSection] = Field(default_factory=list)


class ProvisioningSection(Section):
    """One `[provisioning.NAME]`: network NAME behind the host itself, with NAT, DHCP and names, to set zones up."""

    cidr: str = Field("10.190.190.0/24", description="IPv4, /8 to /29")
    host: str | None = Field(None, description="the host's address in it; the lowest host address by default")
    etherstub: str | None = Field(None, description="estub_NAME0 by default")
    vnic: str | None = Field(None, description="the host's NIC in it; NAME_interconnect0 by default")
    uplink: str | None = Field(None, description="the link that leads out; or a network over it: `outside`")
    uplink_cidr: str | None = Field(None, description="the range on the uplink, where no network is declared over it")
    outside: str | None = Field(None, description="the declared network that leads out; as gateway.global by default")
    pool: list[str] | None = Field(None, description="for zones; see the README for the split")
    dynamic: list[str] | None = Field(None, description="for clients that are no zone; the last quarter by default")
    lease_s: int = Field(300, ge=60, le=31_536_000, description="seconds")
    resolvers: list[str] = Field(default_factory=list, description="told to clients; by default the host")
    upstream: list[str] = Field(default_factory=list, description="resolvers the host asks for the names of others")
    domain: str = Field("", description="its names end so; by default in the network's own name")


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
    heartbeat_s: float = Field(10.0, ge=0.1, le=3600, description="zone channel silent so long: does it still deliver?")
    pace_s: float = Field(0.02, ge=0.0, le=10, description="shortest pause between two looks; bursts gather in it")
    absence_s: float = Field(1.0, ge=0.0, le=3600, description="a zone is gone when missing for this long, seen twice")
    retry_max_s: float = Field(30.0, ge=0.1, le=3600, description="longest pause between two tries")


class GuardSection(Section):
    """What happens to a gateway that other zones depend on, and to a boot that comes before its links."""

    without_daemon: Literal["block", "record", "allow"] = Field(
        "block",
        description="uninstall of a gateway while zonehookd cannot be asked; record: blocked if zones depended on it",
    )
    halt: Literal["allow", "deny"] = Field("allow", description="deny: no halt of a gateway with running dependents")
    restore: Literal["ask", "auto"] = Field("ask", description="auto: a vanished gateway is restored at once")
    boot: Literal["allow", "deny"] = Field("allow", description="a boot whose links could not be made in time")


class MetricsSection(Section):
    listen: str = Field("127.0.0.1:9631", description="HOST:PORT of /metrics, /healthz, /readyz; empty: off")
    zones_max: int = Field(100, ge=0, description="at most this many zones get a degraded gauge of their own")


# In this order, as far as their own `after` leaves it open.
STANDARD = (
    "etherstub", "pool", "address", "vnic", "gateway_nic", "boot_again", "nat", "gateway", "keeper", "zap",
    "zone_address", "dhcpd", "dnsmasq", "haproxy", "nginx",
)  # fmt: skip


class PluginsSection(Section):
    folders: list[Path] = Field(default_factory=list, description="further folders of plugins; ours are always there")
    enabled: list[str] = Field(default=list(STANDARD), description="which plugins work")
    options: Mapping[str, dict[str, Any]] = Field(default_factory=dict, description="one table per plugin")


class LogSection(Section):
    level: str = Field("info", pattern="^(debug|info|warning|error)$")
    format: str = Field("auto", pattern="^(auto|text|json)$", description="auto: text on a terminal, else JSON")


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
    network: Mapping[NetworkName, NetworkSection] = Field(default_factory=dict)
    gateway: Mapping[str, GatewaySection] = Field(default_factory=dict)
    provisioning: Mapping[NetworkName, ProvisioningSection] = Field(default_factory=dict)
    paths: PathsSection = PathsSection()
    commands: CommandsSection = Field(default_factory=lambda: CommandsSection())
    timing: TimingSection = TimingSection()
    guard: GuardSection = GuardSection()
    metrics: MetricsSection = MetricsSection()
    plugins: PluginsSection = PluginsSection()
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
    try:
        return PathsSection.model_validate(_read(path).get("paths", {}))
    except ValidationError as problem:
        faults = (f"{path}: paths.{fault}" for fault in explain(problem, Origins(), PathsSection))
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
