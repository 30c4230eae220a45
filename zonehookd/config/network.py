"""What is declared of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from zonehookd.config.section import Section


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

    name: str = Field(description="host name, to which the network's domain is added")
    a: str | None = Field(None, description="IPv4 address")
    aaaa: str | None = Field(None, description="IPv6 address")
    cname: str | None = Field(None, description="another name; one of ours, or of the world")
    txt: str | None = Field(None, description="any text")


class NetworkSection(Section):
    """One `[network.NAME]`: internal with an etherstub of its own, external with an `uplink`."""

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
