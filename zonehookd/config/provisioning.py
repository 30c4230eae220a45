"""What is declared of a network to set zones up on."""

from __future__ import annotations

from pydantic import Field

from zonehookd.config.section import Section


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
