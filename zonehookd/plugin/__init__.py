"""What a plugin is. The public face: everything an author needs comes from here."""

from zonehookd.errors import CannotObserve
from zonehookd.host.doors import HostReader
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.gateway import GLOBAL, Forward, Gateway, StaticNat
from zonehookd.model.network import Cidr, Dhcp, Ip, Network, Range, StaticName
from zonehookd.model.plan import GATEWAY_SHUT, Forget, Note, Plan, Remember, RemoveFile, WriteBlock, WriteFile, nothing
from zonehookd.model.record import Record
from zonehookd.model.route import Backend, Match, Proxy, Route
from zonehookd.model.zone import Address, Nic, Zone, ZoneState
from zonehookd.plugin.contract import (
    GatewayPlugin,
    GatewayView,
    NetworkPlugin,
    NetworkView,
    PluginOptions,
    ZonePlugin,
    ZoneView,
)
from zonehookd.plugin.hooking import Later, Never, on
from zonehookd.plugin.nics import expected_macs
from zonehookd.plugin.templates import overridden, templates

__all__ = [
    "GATEWAY_SHUT",
    "GLOBAL",
    "Address",
    "Attachment",
    "Backend",
    "CannotObserve",
    "Change",
    "Cidr",
    "Dhcp",
    "Forget",
    "Forward",
    "Gateway",
    "GatewayPlugin",
    "GatewayView",
    "HostReader",
    "Ip",
    "Later",
    "Match",
    "Network",
    "NetworkPlugin",
    "NetworkView",
    "Never",
    "Nic",
    "Note",
    "Plan",
    "PluginOptions",
    "Proxy",
    "Query",
    "Range",
    "Record",
    "Refusal",
    "Remember",
    "RemoveFile",
    "Reply",
    "Route",
    "StaticName",
    "StaticNat",
    "Verdict",
    "WriteBlock",
    "WriteFile",
    "Zone",
    "ZonePlugin",
    "ZoneState",
    "ZoneView",
    "expected_macs",
    "nothing",
    "on",
    "overridden",
    "templates",
]
