"""What is declared of a gateway: ways in and out, and a reverse proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from zonehookd.config.section import Section


class ForwardSection(Section):
    """One `[[gateway.NAME.forward]]`: a way in."""

    port: int | str = Field(description="public port, or FIRST-LAST")
    to: str = Field(description="an address behind the gateway, or the name of a zone")
    to_port: int | None = Field(None, ge=1, le=65535, description="first port there; the public one by default")
    protocol: Literal["tcp", "udp", "tcp/udp"] = Field("tcp", description="what is let in")
    public: str | None = Field(None, description="one of the gateway's outer addresses; the first by default")
    sources: list[str] = Field(default_factory=list, description="CIDRs that may use it; by default everybody")
    fixed: bool = Field(False, description="true: a whole range goes to the one port")


class StaticSection(Section):
    """One `[[gateway.NAME.static]]`: one public address for one inner one."""

    public: str = Field(description="the outer address, which the gateway gets besides its own")
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
    tls: list[TlsSection] = Field(default_factory=list, description="certificates; without one there is no HTTPS")
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
    weight: int = Field(1, ge=1, le=256, description="share of the requests, among those of one route")
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
    forward: list[ForwardSection] = Field(default_factory=list, description="ways in, by port")
    static: list[StaticSection] = Field(default_factory=list, description="ways in, one address for one")
    dhcp: Literal["auto", "dhcpd", "dnsmasq", "none"] = Field("auto", description="auto: what the system has")
    dns: Literal["dnsmasq", "none"] = Field("dnsmasq", description="who answers names on the inner side")
    upstream: list[str] = Field(default_factory=list, description="resolvers it asks for the names of others")
    proxy: ProxySection | None = Field(None, description="a reverse proxy for the zones behind it")
    route: list[RouteSection] = Field(default_factory=list, description="routes that come before every zone's own")
