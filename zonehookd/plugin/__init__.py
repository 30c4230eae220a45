"""What a plugin is. The public face: everything an author needs comes from here."""

from zonehookd.errors import CannotObserve
from zonehookd.host.doors import HostReader
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.network import Network
from zonehookd.model.plan import Forget, Note, Plan, Remember, RemoveFile, WriteFile, nothing
from zonehookd.model.record import Record
from zonehookd.model.zone import Nic, Zone, ZoneState
from zonehookd.plugin.contract import NetworkPlugin, NetworkView, PluginOptions, ZonePlugin, ZoneView
from zonehookd.plugin.templates import templates

__all__ = [
    "Attachment",
    "CannotObserve",
    "Change",
    "Forget",
    "HostReader",
    "Network",
    "NetworkPlugin",
    "NetworkView",
    "Nic",
    "Note",
    "Plan",
    "PluginOptions",
    "Query",
    "Record",
    "Refusal",
    "Remember",
    "RemoveFile",
    "Reply",
    "Verdict",
    "WriteFile",
    "Zone",
    "ZonePlugin",
    "ZoneState",
    "ZoneView",
    "nothing",
    "templates",
]
